import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  downAfterFailures,
  downAfterMs,
  isInRamp,
  judgeHealth,
  probeInterval,
  rampMs,
  stepPacing,
  type HealthFacts,
  type Pacing,
  type PacingInput,
} from '../../src/domain/health.ts';

const now = 1_800_000_000_000;
const facts = (more: Partial<HealthFacts>): HealthFacts => ({
  state: 'healthy',
  now,
  isPaced: false,
  attempts: 0,
  failed: 0,
  failuresInRow: 0,
  failingSince: null,
  ...more,
});
const failures = (count: number, sinceMs: number) => ({
  attempts: count,
  failed: count,
  failuresInRow: Math.min(count, downAfterFailures),
  failingSince: now - sinceMs,
});

test.each([
  ['no attempt', {}, 'healthy'],
  ['4 attempts, all failed', failures(4, 1000), 'healthy'],
  ['5 attempts, 1 failed: 20 %', { attempts: 5, failed: 1 }, 'failing'],
  ['100 attempts, 19 failed', { attempts: 100, failed: 19 }, 'healthy'],
  ['100 attempts, 20 failed', { attempts: 100, failed: 20 }, 'failing'],
  ['19 failures for 5 minutes', failures(19, downAfterMs), 'failing'],
  ['20 failures for a moment less than 5 minutes', failures(20, downAfterMs - 1), 'failing'],
  ['20 failures for 5 minutes', failures(20, downAfterMs), 'down'],
  [
    '20 failures after 10,000 successes',
    { attempts: 10_020, failed: 20, failuresInRow: 20, failingSince: now - downAfterMs },
    'down',
  ],
  ['down, and few failures in the last hour', { state: 'down' as const, ...failures(1, 1000) }, 'down'],
  ['down, and then a success', { state: 'down' as const, attempts: 30, failed: 29 }, 'failing'],
  ['down, and no attempt for an hour', { state: 'down' as const }, 'healthy'],
  ['down and paced, and no attempt for an hour', { state: 'down' as const, isPaced: true }, 'down'],
  ['down and paced, and then a success', { state: 'down' as const, isPaced: true, attempts: 1 }, 'healthy'],
  ['failing, and no attempt for an hour', { state: 'failing' as const }, 'healthy'],
] satisfies [string, Partial<HealthFacts>, string][])('%s', (_name, more, state) => {
  expect(judgeHealth(facts(more))).toBe(state);
});

const none: Pacing = { nextProbeAt: null, probes: 0, rampStartedAt: null };
const paced: Pacing = { nextProbeAt: now, probes: 2, rampStartedAt: null };
const ramp: Pacing = { nextProbeAt: null, probes: 0, rampStartedAt: now - 1000 };
const failed = (failuresInRow: number, isFinal = false): PacingInput => ({
  type: 'failed',
  failuresInRow,
  isFinal,
});

test.each<[string, Pacing, PacingInput, Pacing]>([
  ['19 failures', none, failed(19), none],
  ['20 failures', none, failed(20), { ...none, nextProbeAt: now + 30_000 }],
  ['a failed probe was counted when it was granted', paced, failed(20), paced],
  ['20 refused deliveries', none, failed(20, true), { ...none, nextProbeAt: now + 30_000 }],
  ['a refused delivery in the ramp', ramp, failed(1, true), ramp],
  ['a failure in the ramp', ramp, failed(1), { ...none, nextProbeAt: now + 30_000 }],
  [
    'a failure after the ramp',
    { ...none, rampStartedAt: now - rampMs },
    failed(1),
    { ...none, rampStartedAt: now - rampMs },
  ],
  ['a grant while paced', paced, { type: 'granted' }, { ...paced, probes: 3, nextProbeAt: now + 900_000 }],
  ['a grant in the ramp', ramp, { type: 'granted' }, ramp],
  ['a success while paced', paced, { type: 'succeeded' }, { ...none, rampStartedAt: now }],
  ['a success in the ramp', ramp, { type: 'succeeded' }, ramp],
  ['a success', none, { type: 'succeeded' }, none],
  ['activated while paced', paced, { type: 'activated' }, { ...none, nextProbeAt: now }],
  ['activated', none, { type: 'activated' }, none],
  ['switched off while paced', paced, { type: 'switched_off' }, none],
  ['switched off in the ramp', ramp, { type: 'switched_off' }, none],
])('pacing: %s', (_name, before, input, after) => {
  expect(stepPacing(before, input, now)).toEqual(after);
});

test('a receiver that is dead for two hours gets 10 probes: after 30, 60, 300 s, then every 900 s', () => {
  expect([0, 1, 2, 3, 4, 100].map(probeInterval)).toEqual([30, 60, 300, 900, 900, 900]);
  let pacing = stepPacing(none, failed(20), 0);
  const probes: number[] = [];
  while (pacing.nextProbeAt !== null && pacing.nextProbeAt <= 7_200_000) {
    probes.push(pacing.nextProbeAt / 1000);
    pacing = stepPacing(pacing, { type: 'granted' }, pacing.nextProbeAt);
  }
  expect(probes.slice(0, 5)).toEqual([30, 90, 390, 1290, 2190]);
  expect(probes).toHaveLength(10);
});

test('in any sequence of events, a webhook is not both paced and in the ramp, and a probe is at least 30 s after the last', () => {
  const input = fc.oneof(
    fc.record({
      type: fc.constant('failed' as const),
      failuresInRow: fc.integer({ min: 1, max: 20 }),
      isFinal: fc.boolean(),
    }),
    fc.record({ type: fc.constantFrom('succeeded' as const, 'granted' as const, 'switched_off' as const) }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(input, fc.integer({ min: 0, max: 20_000 }))), (steps) => {
      let pacing = none;
      let at = now;
      for (const [step, afterMs] of steps) {
        at += afterMs;
        const next = stepPacing(pacing, step, at);
        expect(next.nextProbeAt === null || next.rampStartedAt === null).toBe(true);
        if (next.nextProbeAt !== null && next.nextProbeAt !== pacing.nextProbeAt)
          expect(next.nextProbeAt - at).toBeGreaterThanOrEqual(30_000);
        if (isInRamp(next, at)) expect(next.nextProbeAt).toBeNull();
        pacing = next;
      }
    }),
  );
});
