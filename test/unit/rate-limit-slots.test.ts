import fc from 'fast-check';
import { expect, test } from 'vitest';
import { windowMs } from '../../src/domain/hourly-cap.ts';
import * as limits from '../../src/domain/webhook-limits.ts';

type Queued = { id: string; until: number };
type Log = { cap: number; now: number; used: number[] };

/** A webhook that has the hourly cap alone. */
const logOf = ({ cap, now, used }: Log) => ({ limits: limitsOf({ hourlyCap: cap }), now, used });
const limitsOf = (more: Partial<Parameters<typeof limits.windowsOf>[0]>): limits.WebhookLimits => ({
  windows: limits.windowsOf({ hourlyCap: 0, rateLimit: null, releasePerSecond: null, ...more }),
  notBefore: null,
  nextProbeAt: null,
  rampStartedAt: null,
  maxConcurrent: null,
});
const queued = (members: readonly Queued[]): limits.Queued[] =>
  members.map((member) => ({ ...member, reason: 'hourly_cap' }));
const slotTimes = (log: Log, count: number) => limits.slotTimes(logOf(log), count).map(({ at }) => at);
const correctTimes = (log: Log, head: readonly Queued[]) => limits.correctTimes(logOf(log), queued(head));
function assignSlots({
  head,
  tail,
  requesters,
  ...log
}: Log & { head: Queued[]; tail: number[]; requesters: string[] }) {
  const isLonger = tail.length > 0;
  const state = { ...logOf(log), underWay: 0, head: queued(head), isLonger, tail, firstParked: null };
  const decided = limits.decideSlots(state, requesters);
  return new Map([...decided].map(([id, slot]) => [id, slot.is === 'later' ? slot.at : null]));
}

/** A webhook whose deliveries ask in any order, are canceled, and wake at their times or before. */
type Step =
  | { type: 'accept'; count: number; afterMs: number }
  | { type: 'cancel'; which: number }
  | { type: 'wake'; which: number }
  | { type: 'correct' }
  | { type: 'pass'; afterMs: number };

const afterMs = fc.integer({ min: 0, max: 1_200_000 });
const stepOf = fc.oneof<fc.Arbitrary<Step>[]>(
  fc.record({ type: fc.constant('accept'), count: fc.integer({ min: 1, max: 4 }), afterMs }),
  fc.record({ type: fc.constant('cancel'), which: fc.nat(50) }),
  fc.record({ type: fc.constant('wake'), which: fc.nat(50) }),
  fc.record({ type: fc.constant('correct') }),
  fc.record({ type: fc.constant('pass'), afterMs }),
);

test('no hour ever holds more attempts than the cap, none waits while there is room, the oldest goes first', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.array(stepOf, { maxLength: 60 }), (cap, steps) => {
      let now = 1_000_000_000;
      let number = 0;
      const made: { id: string; at: number }[] = [];
      const queue = new Map<string, number>();
      const used = () => made.map(({ at }) => at).filter((at) => at > now - windowMs);
      const head = (except: string[] = []): Queued[] =>
        [...queue]
          .filter(([id]) => !except.includes(id))
          .map(([id, until]) => ({ id, until }))
          .sort((a, b) => (a.id < b.id ? -1 : 1));
      const ask = (ids: string[]) => {
        const free = Math.max(0, cap - used().length);
        const before = head(ids);
        const slots = assignSlots({ cap, now, used: used(), head: before, tail: [], requesters: ids });
        const granted = ids.filter((id) => slots.get(id) === null);
        // Those that go are among the oldest that wait, as many as there is room for.
        const order = [...before.map(({ id }) => id), ...ids].sort();
        expect(granted.sort()).toEqual(order.slice(0, free).filter((id) => ids.includes(id)));
        for (const [id, until] of slots) {
          if (until === null) {
            made.push({ id, at: now });
            queue.delete(id);
          } else queue.set(id, until);
        }
      };
      const correct = () => {
        for (const { id, until } of correctTimes({ cap, now, used: used() }, head())) queue.set(id, until);
      };
      /** Each delivery whose time has come requests a slot. The times of the others are corrected, as the reconciler does. */
      const passTo = (end: number) => {
        for (;;) {
          correct();
          const [next] = head().sort((a, b) => a.until - b.until || (a.id < b.id ? -1 : 1));
          if (!next || next.until > end) break;
          now = Math.max(now, next.until);
          ask([next.id]);
        }
        now = end;
      };
      for (const step of steps) {
        const ids = [...queue.keys()];
        const which = 'which' in step ? ids[step.which % Math.max(1, ids.length)] : undefined;
        if (step.type === 'accept') {
          passTo(now + step.afterMs);
          ask(Array.from({ length: step.count }, () => `dlv_${String((number += 1)).padStart(6, '0')}`));
        } else if (step.type === 'pass') passTo(now + step.afterMs);
        else if (step.type === 'correct') correct();
        else if (which !== undefined && step.type === 'wake') ask([which]);
        else if (which !== undefined) queue.delete(which);
      }
      correct();
      const free = Math.max(0, cap - used().length);
      expect(head().filter(({ until }) => until <= now).length).toBe(Math.min(free, queue.size));
      passTo(now + 1_000 * windowMs);
      expect(queue.size).toBe(0);
      for (const { at: start } of made) {
        const inHour = made.filter(({ at }) => at >= start && at < start + windowMs);
        expect(inHour.length).toBeLessThanOrEqual(cap);
      }
    }),
    { numRuns: 500 },
  );
});

test('the times of a queue follow from the log, and then from each other', () => {
  expect(slotTimes({ cap: 3, now: 100, used: [10, 20] }, 5)).toEqual([
    100,
    windowMs + 10,
    windowMs + 20,
    windowMs + 100,
    2 * windowMs + 10,
  ]);
  // A cap that was lowered: as many entries have to leave first.
  expect(slotTimes({ cap: 1, now: 100, used: [10, 20, 30] }, 2)).toEqual([windowMs + 30, 2 * windowMs + 30]);
});

test('a delivery that is newer than a long queue goes behind it', () => {
  const head = [
    { id: 'dlv_1', until: windowMs + 1 },
    { id: 'dlv_2', until: windowMs + 2 },
  ];
  const slots = assignSlots({
    cap: 2,
    now: 100,
    used: [1, 2],
    head,
    tail: [5 * windowMs + 1, 5 * windowMs + 2],
    requesters: ['dlv_9', 'dlv_8', 'dlv_0'],
  });
  expect(Object.fromEntries(slots)).toEqual({
    dlv_0: windowMs + 1,
    dlv_8: 6 * windowMs + 1,
    dlv_9: 6 * windowMs + 2,
  });
});
