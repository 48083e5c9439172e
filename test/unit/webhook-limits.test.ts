import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  correctTimes,
  decideSlots,
  isUnlimited,
  logMs,
  rampTime,
  slotTimes,
  startLimitMs,
  startWithinMs,
  windowsOf,
  type Queued,
  type QueueState,
  type WebhookLimits,
} from '../../src/domain/webhook-limits.ts';

const none: WebhookLimits = {
  windows: [],
  notBefore: null,
  nextProbeAt: null,
  rampStartedAt: null,
  maxConcurrent: null,
};
const rated = (attempts: number, seconds: number, hourlyCap = 0): WebhookLimits => ({
  ...none,
  windows: windowsOf({ hourlyCap, rateLimit: { attempts, seconds }, releasePerSecond: null }),
});
const now = 1_000_000_000;
const holdMs = 72 * 3_600_000;
const stateOf = (limits: WebhookLimits, more: Partial<QueueState> = {}): QueueState => ({
  limits,
  now,
  used: [],
  underWay: 0,
  head: [],
  isLonger: false,
  hasDown: false,
  tail: [],
  ...more,
});
const waiting = (...ids: string[]) => ids.map((id) => ({ id, expiresAt: now + holdMs }));
const queued = (id: string, more: Partial<Queued> = {}): Queued => ({
  id,
  until: now,
  reason: 'down',
  expiresAt: now + holdMs,
  ...more,
});
const decide = (state: QueueState, ...ids: string[]) =>
  Object.fromEntries(decideSlots(state, waiting(...ids)));

/** The steps of a webhook's processes: deliveries are accepted, time passes, requests begin late and take long. */
type Accept = { count: number; afterMs: number };
type Attempt = { id: string; grantedAt: number; start: number; recordedAt: number };

test('no window ever holds more attempts than its limit, nor are more under way; all are made, the oldest first', () => {
  const accept = fc.record({ count: fc.integer({ min: 1, max: 6 }), afterMs: fc.nat(4000) });
  fc.assert(
    fc.property(
      fc.record({
        attempts: fc.integer({ min: 1, max: 5 }),
        seconds: fc.integer({ min: 1, max: 5 }),
        hourlyCap: fc.constantFrom(0, 7, 1000),
        maxConcurrent: fc.constantFrom(null, 1, 2),
      }),
      fc.array(accept, { minLength: 1, maxLength: 12 }),
      // How late requests begin, and how long they take.
      fc.array(fc.tuple(fc.nat(startWithinMs), fc.nat(3000)), { minLength: 1, maxLength: 20 }),
      ({ attempts, seconds, hourlyCap, maxConcurrent }, accepts: Accept[], delays) => {
        const limits = { ...rated(attempts, seconds, hourlyCap), maxConcurrent };
        let at = now;
        const made: Attempt[] = [];
        const queue = new Map<string, number>();
        const isUnderWay = ({ recordedAt }: Attempt) => recordedAt > at;
        const request = (id: string): void => {
          const log = made.map((each) => (isUnderWay(each) ? each.grantedAt + startWithinMs : each.start));
          const head = [...queue].map(([each, until]) => queued(each, { until, reason: 'rate_limit' }));
          const state = stateOf(limits, {
            now: at,
            used: log.filter((time) => time > at - logMs(limits)).toSorted((a, b) => a - b),
            underWay: made.filter(isUnderWay).length,
            head: head.filter((each) => each.id !== id).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
          });
          const slot = decideSlots(state, waiting(id)).get(id);
          if (slot?.is === 'later') queue.set(id, slot.at);
          else if (slot?.is === 'busy') queue.set(id, at + 100);
          else {
            const [lateMs, responseMs] = delays[made.length % delays.length] ?? [0, 0];
            made.push({ id, grantedAt: at, start: at + lateMs, recordedAt: at + lateMs + responseMs });
            queue.delete(id);
          }
        };
        const passTo = (end: number): void => {
          for (;;) {
            const [next] = [...queue].toSorted((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1));
            if (!next || next[1] > end) break;
            at = Math.max(at, next[1]);
            request(next[0]);
          }
          at = end;
        };
        let accepted = 0;
        for (const { count, afterMs } of accepts) {
          passTo(at + afterMs);
          for (let each = 0; each < count; each += 1)
            request(`dlv_${String((accepted += 1)).padStart(4, '0')}`);
        }
        passTo(at + 100 * 3_600_000);
        expect(made).toHaveLength(accepted);
        const starts = made.map(({ start }) => start);
        const most = (ms: number) =>
          Math.max(...starts.map((from) => starts.filter((s) => s >= from && s < from + ms).length));
        expect(most(seconds * 1000)).toBeLessThanOrEqual(attempts);
        if (hourlyCap > 0) expect(most(3_600_000)).toBeLessThanOrEqual(hourlyCap);
        for (const { grantedAt } of made) {
          const together = made.filter(
            (other) => other.grantedAt <= grantedAt && other.recordedAt > grantedAt,
          );
          expect(together.length).toBeLessThanOrEqual(maxConcurrent ?? Infinity);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('the window that is full longest decides, and is the reason', () => {
  const limits: WebhookLimits = {
    ...none,
    windows: [
      { cap: 3, windowMs: 1000, reason: 'hourly_cap' },
      { cap: 1, windowMs: 100, reason: 'rate_limit' },
    ],
  };
  expect(slotTimes({ limits, now: 150, used: [100] }, 4)).toEqual([
    { at: 200, reason: 'rate_limit' },
    { at: 300, reason: 'rate_limit' },
    { at: 1100, reason: 'hourly_cap' },
    { at: 1200, reason: 'hourly_cap' },
  ]);
  expect(slotTimes({ limits: { ...limits, notBefore: 5000 }, now: 150, used: [100] }, 2)).toEqual([
    { at: 5000, reason: 'receiver_requested' },
    { at: 5100, reason: 'rate_limit' },
  ]);
  expect(decide(stateOf(none), 'dlv_1')).toEqual({ dlv_1: { is: 'now' } });
  expect([isUnlimited(none), isUnlimited(limits), isUnlimited({ ...none, maxConcurrent: 1 })]).toEqual([
    true,
    false,
    false,
  ]);
});

test('the time between a grant and its request matters for short windows only', () => {
  const hourly = { ...none, windows: windowsOf({ hourlyCap: 10, rateLimit: null, releasePerSecond: null }) };
  const releasing = { ...none, windows: windowsOf({ hourlyCap: 0, rateLimit: null, releasePerSecond: 5 }) };
  expect([none, hourly, rated(1, 1), releasing].map(startLimitMs)).toEqual([
    null,
    null,
    startWithinMs,
    startWithinMs,
  ]);
  expect(releasing.windows).toEqual([{ cap: 5, windowMs: 1050, reason: 'rate_limit' }]);
  expect([none, hourly, rated(1, 5), { ...none, rampStartedAt: now }].map(logMs)).toEqual([
    0, 3_600_000, 5050, 10_000,
  ]);
});

test('the ramp: 1, 2, 4, … in each second, then all', () => {
  const limits = { ...none, rampStartedAt: now };
  const times = slotTimes({ limits, now, used: [now - 5] }, 2000).map(({ at }) => at - now);
  const inSecond = (second: number) => times.filter((at) => Math.floor(at / 1000) === second).length;
  expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(inSecond)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
  expect(times.filter((at) => at === 10_000)).toHaveLength(2000 - 1023);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  // The attempts made since then count: it is the third.
  expect(slotTimes({ limits, now: now + 1200, used: [now, now + 1000] }, 1)).toEqual([
    { at: rampTime(now, 2), reason: 'down' },
  ]);
  const after = now + 10_000;
  expect(slotTimes({ limits, now: after, used: [] }, 2)).toEqual([
    { at: after, reason: null },
    { at: after, reason: null },
  ]);
});

test('late deliveries of a ramp go in order: 20 at once, twice as many in each minute, the others at the rate of the last 5 s', () => {
  const limits = { ...none, rampStartedAt: now };
  const timesAt = (at: number, recent: number, count: number) =>
    slotTimes({ limits, now: at, used: Array.from({ length: recent }, () => at - 4999) }, count).map(
      (slot) => slot.at - at,
    );
  const [ramp, minute] = [now + 10_000, 60_000];
  const times = timesAt(ramp, 0, 300);
  expect(times.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 0));
  // 20 a second at least, 100 at most.
  expect([times[20], times[39], times[219]]).toEqual([50, 1000, 10_000]);
  expect([79, 80, 100, 200, 400, 401, 5000].map((recent) => timesAt(ramp, recent, 21)[20])).toEqual([
    50, 50, 40, 20, 10, 10, 10,
  ]);
  // Attempts count for 5 s.
  expect(
    slotTimes({ limits, now: ramp, used: Array.from({ length: 200 }, () => ramp - 5000) }, 21)[20]?.at,
  ).toBe(ramp + 50);
  const atOnce = (at: number) => timesAt(at, 0, 1000).filter((time) => time === 0).length;
  expect([ramp, now + minute - 1, now + minute, now + 2 * minute, now + 3 * minute].map(atOnce)).toEqual([
    20, 20, 40, 80, 160,
  ]);
  expect([now + 4 * minute, now + 60 * minute - 1, now + 60 * minute].map(atOnce)).toEqual([160, 160, 1000]);
  // In the ramp, those whose time has not come keep it, unless those before them are later.
  const early = now + 3000;
  const mixed = slotTimes({ limits, now: early, used: [] }, 40).map(({ at }) => at);
  expect(mixed).toEqual(mixed.toSorted((a, b) => a - b));
  expect(mixed.at(-1)).toBe(rampTime(now, 39));
});

test('paced: the first of the queue is the next probe, the others wait for their end; one at a time', () => {
  const limits = { ...none, nextProbeAt: now + 30_000 };
  const down = { is: 'later', at: now + holdMs, reason: 'down' };
  expect(decide(stateOf(limits), 'dlv_2', 'dlv_1')).toEqual({
    dlv_1: { is: 'later', at: now + 30_000, reason: 'down' },
    dlv_2: down,
  });
  expect(decide(stateOf(limits, { head: [queued('dlv_0')] }), 'dlv_1')).toEqual({ dlv_1: down });
  const due = { ...none, nextProbeAt: now };
  expect(decide(stateOf(due), 'dlv_1', 'dlv_2')).toEqual({ dlv_1: { is: 'now' }, dlv_2: down });
  expect(decide(stateOf(due, { underWay: 1 }), 'dlv_1')).toEqual({ dlv_1: { is: 'busy' } });
  // The other limits count for a probe, too.
  const capped = { ...rated(1, 60), nextProbeAt: now };
  expect(decide(stateOf(capped, { used: [now - 50] }), 'dlv_1')).toEqual({
    dlv_1: { is: 'later', at: now + 60_000, reason: 'rate_limit' },
  });
  // At its edge: the end of the hold comes before the probe.
  const ends = (expiresAt: number) => decideSlots(stateOf(due), [{ id: 'dlv_1', expiresAt }]).get('dlv_1');
  expect([ends(now), ends(now + 1)]).toEqual([{ is: 'expired' }, { is: 'now' }]);
  // No longer paced, it goes.
  expect(decideSlots(stateOf(none), [{ id: 'dlv_1', expiresAt: now }]).get('dlv_1')).toEqual({ is: 'now' });
});

test('rows of the queue get their times when its webhook becomes paced, and when it recovers', () => {
  const first = queued('dlv_1', { reason: 'rate_limit', until: now + 500 });
  const second = queued('dlv_2', { reason: 'rate_limit', until: now + 1500 });
  // It has not requested its slot yet, so that no row is to be corrected.
  const third = queued('dlv_3', { reason: null });
  const log = (limits: WebhookLimits) => ({ limits, now, used: [] });
  expect(correctTimes(log({ ...none, nextProbeAt: now + 30_000 }), [first, second, third])).toEqual([
    { id: 'dlv_1', until: now + 30_000, reason: 'down' },
    { id: 'dlv_2', until: now + holdMs, reason: 'down' },
  ]);
  const down = [queued('dlv_1', { until: now + 30_000 }), queued('dlv_2', { until: now + holdMs })];
  expect(correctTimes(log({ ...none, rampStartedAt: now }), down)).toEqual([
    { id: 'dlv_1', until: now, reason: 'down' },
    { id: 'dlv_2', until: now + 1000, reason: 'down' },
  ]);
  // Estimates: a fifth of the wait is not worth a write.
  const inRamp = (until: number) =>
    correctTimes(log({ ...none, rampStartedAt: now }), [queued('dlv_1'), queued('dlv_2', { until })]);
  expect([799, 800, 1200, 1201].map((wait) => inRamp(now + wait).length)).toEqual([1, 0, 0, 1]);
  expect(correctTimes(log(none), down)).toEqual([
    { id: 'dlv_1', until: now, reason: 'down' },
    { id: 'dlv_2', until: now, reason: 'down' },
  ]);
  expect(correctTimes(log(none), [queued('dlv_1', { until: now - 10 })])).toEqual([]);
});

test('a delivery that is newer than a long queue goes behind it, for every reason of the queue', () => {
  const head = [queued('dlv_1'), queued('dlv_2')];
  const long = (limits: WebhookLimits, more: Partial<QueueState> = {}) =>
    decide(stateOf(limits, { head, isLonger: true, ...more }), 'dlv_8', 'dlv_9');
  const down = { is: 'later', at: now + holdMs, reason: 'down' };
  expect(long({ ...none, nextProbeAt: now + 1000 })).toEqual({ dlv_8: down, dlv_9: down });
  // Its webhook has recovered, and those before it are still released.
  expect(long({ ...none, rampStartedAt: now - 20_000 }, { hasDown: true })).toEqual({
    dlv_8: down,
    dlv_9: down,
  });
  expect(long(rated(1, 1), { tail: [now + 9000] })).toEqual({
    dlv_8: { is: 'later', at: now + 10_050, reason: 'rate_limit' },
    dlv_9: { is: 'later', at: now + 11_100, reason: 'rate_limit' },
  });
  expect(long({ ...none, notBefore: now + 700 })).toEqual({
    dlv_8: { is: 'later', at: now + 700, reason: 'receiver_requested' },
    dlv_9: { is: 'later', at: now + 700, reason: 'receiver_requested' },
  });
});
