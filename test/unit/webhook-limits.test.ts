import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rampTime } from '../../src/domain/health.ts';
import { releaseCount, secondsToRelease, type Parked } from '../../src/domain/release.ts';
import {
  correctTimes,
  decideSlots,
  isUnlimited,
  logMs,
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
const stateOf = (limits: WebhookLimits, more: Partial<QueueState> = {}): QueueState => ({
  limits,
  now,
  used: [],
  underWay: 0,
  head: [],
  isLonger: false,
  tail: [],
  firstParked: null,
  ...more,
});
const queued = (id: string, more: Partial<Queued> = {}): Queued => ({
  id,
  until: now,
  reason: 'rate_limit',
  ...more,
});
const decide = (state: QueueState, ...ids: string[]) => Object.fromEntries(decideSlots(state, ids));

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
          const head = [...queue].map(([each, until]) => queued(each, { until }));
          const state = stateOf(limits, {
            now: at,
            used: log.filter((time) => time > at - logMs(limits)).toSorted((a, b) => a - b),
            underWay: made.filter(isUnderWay).length,
            head: head.filter((each) => each.id !== id).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
          });
          const slot = decideSlots(state, [id]).get(id);
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

const ramp = { ...none, rampStartedAt: now };

test('the ramp: 1, 2, 4, … in each second', () => {
  const times = Array.from({ length: 2000 }, (_, k) => rampTime(now, k) - now);
  const inSecond = (second: number) => times.filter((at) => Math.floor(at / 1000) === second).length;
  expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(inSecond)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
  expect(times.filter((at) => at === 10_000)).toHaveLength(2000 - 1023);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
});

test('in the ramp an attempt begins at its time, after those before it in the queue that are about to be attempted', () => {
  const at = (k: number) => ({ is: 'soon', at: rampTime(now, k) });
  expect(decide(stateOf(ramp), 'dlv_2', 'dlv_1', 'dlv_3')).toEqual({
    dlv_1: { is: 'now' },
    dlv_2: at(1),
    dlv_3: at(2),
  });
  // The attempts made since then count, those before do not: it is the third.
  const later = stateOf(ramp, { now: now + 1200, used: [now - 5, now, now + 1000] });
  expect(decide(later, 'dlv_1')).toEqual({ dlv_1: at(2) });
  expect(decide({ ...later, now: now + 1500 }, 'dlv_1')).toEqual({ dlv_1: { is: 'now' } });
  // One that waits for another limit does not count.
  const head = [queued('dlv_0', { until: now + 9000 }), queued('dlv_1', { reason: null })];
  expect(decide(stateOf(ramp, { head }), 'dlv_2')).toEqual({ dlv_2: at(1) });
});

test('paced: one attempt at a time, when the next probe is due; all others are parked', () => {
  const park = { is: 'park' };
  expect(decide(stateOf({ ...none, nextProbeAt: now + 1 }), 'dlv_2', 'dlv_1')).toEqual({
    dlv_1: park,
    dlv_2: park,
  });
  const due = { ...none, nextProbeAt: now };
  expect(decide(stateOf(due), 'dlv_2', 'dlv_1')).toEqual({ dlv_1: { is: 'now' }, dlv_2: park });
  expect(decide(stateOf(due, { underWay: 1 }), 'dlv_1')).toEqual({ dlv_1: park });
  // An older one is about to request the slot, or waits for another limit.
  const first = (reason: Queued['reason']) => stateOf(due, { head: [queued('dlv_0', { reason })] });
  expect([null, 'hourly_cap' as const].map((reason) => decide(first(reason), 'dlv_1'))).toEqual([
    { dlv_1: park },
    { dlv_1: { is: 'now' } },
  ]);
  // The other limits count for a probe, too.
  const capped = { ...rated(1, 60), nextProbeAt: now };
  expect(decide(stateOf(capped, { used: [now - 50] }), 'dlv_1')).toEqual({
    dlv_1: { is: 'later', at: now + 60_000, reason: 'rate_limit' },
  });
});

test('while older deliveries are parked, newer ones are parked behind them, also when the ramp is over', () => {
  const limits = [none, ramp, { ...none, nextProbeAt: now }, rated(100, 1)];
  for (const each of limits) {
    const state = stateOf(each, { firstParked: 'dlv_5' });
    expect(decide(state, 'dlv_6', 'dlv_4')).toEqual({ dlv_4: { is: 'now' }, dlv_6: { is: 'park' } });
    expect(decide({ ...state, head: [queued('dlv_1')], isLonger: true }, 'dlv_6')).toEqual({
      dlv_6: { is: 'park' },
    });
  }
});

const parkedOf = (limits: WebhookLimits, more: Partial<Parked> = {}): Parked => ({
  limits,
  now,
  used: [],
  underWay: 0,
  released: 0,
  deferred: 0,
  ...more,
});
const release = (limits: WebhookLimits, more: Partial<Parked> = {}) => releaseCount(parkedOf(limits, more));

test('one parked delivery is released for the next probe, once it is due and the one before has ended', () => {
  const at = (nextProbeAt: number) => ({ ...none, nextProbeAt });
  expect([now + 1, now, now - 5000].map((time) => release(at(time)))).toEqual([0, 1, 1]);
  expect([release(at(now), { underWay: 1 }), release(at(now), { released: 1 })]).toEqual([0, 0]);
  // Another limit would defer it: it stays parked.
  const capped = (attempts: number) => ({ ...rated(attempts, 60), nextProbeAt: now });
  expect([1, 2].map((attempts) => release(capped(attempts), { used: [now - 50] }))).toEqual([0, 1]);
  expect(release(capped(2), { used: [now - 50], deferred: 1 })).toBe(0);
});

test('in the ramp as many are released as may begin within 200 ms; then all, 100 at once', () => {
  const after = (ms: number, more: Partial<Parked> = {}) => release(ramp, { now: now + ms, ...more });
  const used = [now];
  expect([0, 799, 800, 1300, 1800].map((ms) => after(ms, { used }))).toEqual([0, 0, 1, 2, 3]);
  expect([after(1300, { used, released: 1 }), after(1300, { used: [now - 9, now, now + 900] })]).toEqual([
    1, 1,
  ]);
  expect([after(9799, { used }), after(9799, { used, released: 94 })]).toEqual([100, 6]);
  expect([0, 99, 100, 300].map((released) => release(none, { released }))).toEqual([100, 1, 0, 0]);
});

test('more parked deliveries are looked for when they may be released', () => {
  const paced = (nextProbeAt: number) => secondsToRelease({ limits: { ...none, nextProbeAt }, now });
  expect([now + 30_000, now + 900_000, now, now - 1].map(paced)).toEqual([30, 60, 2, 2]);
  expect([ramp, none].map((limits) => secondsToRelease({ limits, now }))).toEqual([0.2, 0.2]);
});

test('rows of the queue get their times; a webhook that is paced or in the ramp does not change them', () => {
  const rows = [queued('dlv_1', { until: now + 500 }), queued('dlv_2', { until: now + 5000 })];
  // It has not requested its slot yet, so that no row is to be corrected.
  const third = queued('dlv_3', { reason: null });
  const limits = rated(1, 1);
  for (const each of [limits, { ...limits, nextProbeAt: now + 30_000 }, { ...limits, rampStartedAt: now }])
    expect(correctTimes({ limits: each, now, used: [now - 550] }, [...rows, third])).toEqual([
      { id: 'dlv_2', until: now + 1550, reason: 'rate_limit' },
    ]);
  expect(correctTimes({ limits: none, now, used: [] }, rows).map(({ until }) => until)).toEqual([now, now]);
  expect(correctTimes({ limits: none, now, used: [] }, [queued('dlv_1', { until: now - 10 })])).toEqual([]);
});

test('a delivery that is newer than a long queue goes behind it', () => {
  const head = [queued('dlv_1'), queued('dlv_2')];
  const long = (limits: WebhookLimits, more: Partial<QueueState> = {}) =>
    decide(stateOf(limits, { head, isLonger: true, ...more }), 'dlv_8', 'dlv_9');
  expect(long(rated(1, 1), { tail: [now + 9000] })).toEqual({
    dlv_8: { is: 'later', at: now + 10_050, reason: 'rate_limit' },
    dlv_9: { is: 'later', at: now + 11_100, reason: 'rate_limit' },
  });
  expect(long({ ...none, notBefore: now + 700 })).toEqual({
    dlv_8: { is: 'later', at: now + 700, reason: 'receiver_requested' },
    dlv_9: { is: 'later', at: now + 700, reason: 'receiver_requested' },
  });
});
