import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createWebhookSchema, updateWebhookSchema } from '../../src/contracts/webhook.ts';
import { retryPresets, type RetryPolicy, type RetryPreset } from '../../src/contracts/webhook-policy.ts';
import { decideNext } from '../../src/domain/next-attempt.ts';
import { isGone, reasonOf } from '../../src/domain/outcome.ts';
import {
  presetTexts,
  ownPolicy,
  scheduleOf,
  termsOf,
  withJitter,
  type RetryTerms,
} from '../../src/domain/retry-policy.ts';

const page = [60, 300, 1800];
const hour = 3600;
const sum = (waits: readonly number[]) => waits.reduce((total, wait) => total + wait, 0);
const schedules = Object.fromEntries(
  retryPresets.map((preset) => [preset, scheduleOf({ preset }) ?? page]),
) as Record<RetryPreset, number[]>;

test('each preset has its waits', () => {
  const day = [5, 300, 1800, 7200, 18_000, 36_000];
  const half = 43_200;
  expect(scheduleOf(null)).toBeNull();
  expect(scheduleOf({ preset: 'page' })).toBeNull();
  expect([null, { preset: 'page' as const }].map(ownPolicy)).toEqual([null, null]);
  const own = [
    { preset: 'page' as const, jitter: 0.1 },
    { preset: 'day' as const },
    { schedule_seconds: [60] },
  ];
  expect(own.map(ownPolicy)).toEqual(own);
  expect(schedules.day).toEqual(day);
  expect(schedules.three_days).toEqual([...day, half, half, half, half]);
  expect(schedules.week).toEqual([...day, ...Array<number>(12).fill(half)]);
  expect(schedules.none).toEqual([]);
  expect(scheduleOf({ schedule_seconds: [7] })).toEqual([7]);
  // The last attempt is made within the time, and another one would not be.
  for (const [preset, days] of [['three_days', 3] as const, ['week', 7] as const]) {
    expect(sum(schedules[preset])).toBeLessThanOrEqual(days * 24 * hour);
    expect(sum(schedules[preset]) + half).toBeGreaterThan(days * 24 * hour);
  }
  for (const schedule of Object.values(schedules)) expect(schedule.length).toBeLessThanOrEqual(20);
});

test("a preset's text about outages is true", () => {
  const outages = { hour: 1, night: 12, weekend: 60 };
  /** Whether a delivery that is accepted at the beginning of an outage is delivered after it. */
  const survives = (preset: RetryPreset, hours: number) => sum(schedules[preset]) >= hours * hour;
  const claims: Record<RetryPreset, (keyof typeof outages)[]> = {
    page: [],
    day: ['hour', 'night'],
    three_days: ['hour', 'night', 'weekend'],
    week: ['hour', 'night', 'weekend'],
    none: [],
  };
  for (const preset of retryPresets) {
    const survived = (Object.keys(outages) as (keyof typeof outages)[]).filter((name) =>
      survives(preset, outages[name]),
    );
    expect(survived).toEqual(claims[preset]);
    // One sentence, which names each of them.
    for (const name of Object.keys(outages)) expect(presetTexts[preset]).toContain(name);
    expect(presetTexts[preset]).toMatch(/^[^.]+\.$/);
  }
  expect(presetTexts.page).toContain(`${Math.floor(sum(page) / 60)} minutes`);
  expect(presetTexts.day).toContain(`${Math.floor(sum(schedules.day) / hour)} hours`);
  expect(presetTexts.three_days).toContain(`${Math.floor(sum(schedules.three_days) / hour)} hours`);
});

const accepts = (retry: unknown): boolean =>
  createWebhookSchema.safeParse({ url: 'https://a.example/', events: ['*'], retry }).success;

test.each<[string, unknown, boolean]>([
  ['no wait', { schedule_seconds: [] }, true],
  ['20 waits', { schedule_seconds: Array(20).fill(1) }, true],
  ['21 waits', { schedule_seconds: Array(21).fill(1) }, false],
  ['a wait of 1 s', { schedule_seconds: [1] }, true],
  ['a wait of 0 s', { schedule_seconds: [0] }, false],
  ['a wait of half a second', { schedule_seconds: [0.5] }, false],
  ['a wait of a day', { schedule_seconds: [86_400] }, true],
  ['a wait of a day and a second', { schedule_seconds: [86_401] }, false],
  ['8 days in all', { schedule_seconds: Array(8).fill(86_400) }, true],
  ['8 days and a second in all', { schedule_seconds: [...Array<number>(8).fill(86_400), 1] }, false],
  ['a preset', { preset: 'week' }, true],
  ['an unknown preset', { preset: 'year' }, false],
  ['a preset and a schedule', { preset: 'day', schedule_seconds: [1] }, false],
  ['neither', { also: ['429'] }, false],
  ['all of also', { preset: 'page', also: ['408', '425', '429', '4xx'] }, true],
  ['a status that is not in the list', { preset: 'page', also: ['404'] }, false],
  ['a status as a number', { preset: 'page', also: [429] }, false],
  ['a status twice', { preset: 'page', also: ['429', '429'] }, false],
  ['jitter 0', { preset: 'page', jitter: 0 }, true],
  ['jitter 0.2', { preset: 'page', jitter: 0.2 }, true],
  ['jitter 0.21', { preset: 'page', jitter: 0.21 }, false],
  ['negative jitter', { preset: 'page', jitter: -0.01 }, false],
  ['on_gone', { preset: 'page', on_gone: 'disable' }, true],
  ['another on_gone', { preset: 'page', on_gone: 'delete' }, false],
  ['an unknown field', { preset: 'page', times: 3 }, false],
])('%s', (_name, retry, isAccepted) => {
  expect(accepts(retry)).toBe(isAccepted);
});

test('apply_to needs a retry; retry may be null', () => {
  const isValid = (patch: unknown) => updateWebhookSchema.safeParse(patch).success;
  expect(isValid({ apply_to: 'waiting' })).toBe(false);
  expect(isValid({ retry: null, apply_to: 'waiting' })).toBe(true);
  expect(isValid({ retry: { preset: 'day' }, apply_to: 'all' })).toBe(false);
});

test('jitter moves a wait by its share at most, in whole seconds, and never to 0', () => {
  expect(withJitter(300, 0, 0.9)).toBe(300);
  expect([0, 0.5, 1].map((random) => withJitter(300, 0.2, random))).toEqual([240, 300, 360]);
  expect([0, 1].map((random) => withJitter(1, 0.2, random))).toEqual([1, 1]);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 86_400 }),
      fc.double({ min: 0, max: 0.2, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (seconds, jitter, random) => {
        const waited = withJitter(seconds, jitter, random);
        expect(Number.isInteger(waited)).toBe(true);
        expect(waited).toBeGreaterThanOrEqual(1);
        expect(Math.abs(waited - seconds)).toBeLessThanOrEqual(seconds * jitter + 0.5);
      },
    ),
  );
});

test('the terms of an attempt: its own schedule, the one that was applied, or that of its workflow', () => {
  const delivery = { policy: null, schedule: null, isScheduleApplied: false, retriesUsed: 1 };
  // The setting was another one when its workflow was started.
  expect(termsOf(delivery, 40, page)).toEqual({ policy: null, scheduledSeconds: 40, longestSeconds: 1800 });
  expect(termsOf({ ...delivery, schedule: [5, 7200] }, 300, page)).toMatchObject({
    scheduledSeconds: 7200,
    longestSeconds: 7200,
  });
  expect(termsOf({ ...delivery, schedule: [5] }, 300, page).scheduledSeconds).toBeNull();
  expect(termsOf({ ...delivery, schedule: [] }, 300, page)).toMatchObject({
    scheduledSeconds: null,
    longestSeconds: 0,
  });
  // The setting was applied to it in place of its own.
  expect(termsOf({ ...delivery, isScheduleApplied: true }, 5, page).scheduledSeconds).toBe(300);
});

const now = new Date('2026-01-01T00:00:00Z');
const decide = (
  policy: RetryPolicy | null,
  response: number | 'timeout',
  more: { retryAfter?: string; retriesUsed?: number; random?: number; isProbe?: boolean } = {},
) => {
  const { retryAfter, retriesUsed = 0, random = 0.5, isProbe = false } = more;
  const delivery = { policy, schedule: scheduleOf(policy), isScheduleApplied: false, retriesUsed };
  const terms: RetryTerms = { ...termsOf(delivery, page[retriesUsed] ?? null, page), isProbe };
  const next = decideNext({
    response:
      response === 'timeout'
        ? { kind: 'failed', code: 'timeout_response' }
        : { kind: 'responded', statusCode: response },
    retryAfter,
    terms,
    now,
    random,
  });
  return [next.outcome, reasonOf(next), next.waitSeconds, next.deferSeconds];
};

const retried = (seconds: number, defer: number | null = null) => ['retry', null, seconds, defer];
const refused = ['failed', 'client_error', null, null];
const exhausted = ['failed', 'retries_exhausted', null, null];
const delivered = ['delivered', null, null, null];

/** The decisions after the first attempt, by policy: 200, 302, 404, 408, 429, 410, 503, a timeout. */
test.each<[string, RetryPolicy | null, unknown[][]]>([
  [
    'none of its own',
    null,
    [delivered, retried(60), refused, refused, refused, refused, retried(60), retried(60)],
  ],
  [
    'page',
    { preset: 'page' },
    [delivered, retried(60), refused, refused, refused, refused, retried(60), retried(60)],
  ],
  [
    'day',
    { preset: 'day' },
    [delivered, retried(5), refused, refused, refused, refused, retried(5), retried(5)],
  ],
  [
    'three_days',
    { preset: 'three_days' },
    [delivered, retried(5), refused, refused, refused, refused, retried(5), retried(5)],
  ],
  [
    'week',
    { preset: 'week' },
    [delivered, retried(5), refused, refused, refused, refused, retried(5), retried(5)],
  ],
  [
    'none',
    { preset: 'none' },
    [delivered, exhausted, refused, refused, refused, refused, exhausted, exhausted],
  ],
  [
    'own waits',
    { schedule_seconds: [7] },
    [delivered, retried(7), refused, refused, refused, refused, retried(7), retried(7)],
  ],
  [
    'no wait',
    { schedule_seconds: [] },
    [delivered, exhausted, refused, refused, refused, refused, exhausted, exhausted],
  ],
  [
    'also 429',
    { preset: 'day', also: ['429'] },
    [delivered, retried(5), refused, refused, retried(5), refused, retried(5), retried(5)],
  ],
  [
    'also 408',
    { preset: 'day', also: ['408'] },
    [delivered, retried(5), refused, retried(5), refused, refused, retried(5), retried(5)],
  ],
  [
    'also 4xx',
    { preset: 'day', also: ['4xx'] },
    [delivered, retried(5), retried(5), retried(5), retried(5), refused, retried(5), retried(5)],
  ],
  [
    'also 4xx without a wait',
    { preset: 'none', also: ['4xx'] },
    [delivered, exhausted, exhausted, exhausted, exhausted, refused, exhausted, exhausted],
  ],
  [
    'on_gone',
    { preset: 'day', on_gone: 'disable' },
    [delivered, retried(5), refused, refused, refused, refused, retried(5), retried(5)],
  ],
])('the decision after an attempt with the policy: %s', (_name, policy, expected) => {
  const responses = [200, 302, 404, 408, 429, 410, 503, 'timeout'] as const;
  expect(responses.map((response) => decide(policy, response))).toEqual(expected);
});

test('the outcome follows the schedule to its end', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 86_400 }), { maxLength: 20 }),
      fc.nat(25),
      (schedule_seconds, retriesUsed) => {
        const wait = schedule_seconds[retriesUsed];
        expect(decide({ schedule_seconds }, 503, { retriesUsed })).toEqual(
          wait === undefined ? exhausted : retried(wait),
        );
      },
    ),
  );
});

test('Retry-After counts on every response that is retried, to the longest wait of the schedule or 1,800 s', () => {
  const retryAfter = '90000';
  const all: RetryPolicy = { schedule_seconds: [10, 20], also: ['4xx'] };
  expect(decide(all, 503, { retryAfter })).toEqual(retried(1800));
  expect(decide(all, 302, { retryAfter })).toEqual(retried(1800));
  expect(decide(all, 404, { retryAfter })).toEqual(retried(1800));
  expect(decide(all, 429, { retryAfter })).toEqual(retried(1800, 1800));
  expect(decide({ ...all, schedule_seconds: [10, 7200] }, 429, { retryAfter })).toEqual(retried(7200, 7200));
  expect(decide({ preset: 'week', also: ['429'] }, 429, { retryAfter })).toEqual(retried(43_200, 43_200));
  // It never shortens the wait; the webhook is deferred for as long as was requested.
  expect(decide({ ...all, schedule_seconds: [100] }, 429, { retryAfter: '30' })).toEqual(retried(100, 30));
  expect(decide(all, 429)).toEqual(retried(10));
  expect(decide(all, 429, { retryAfter: 'soon' })).toEqual(retried(10));
  // One that is not retried defers nothing.
  expect(decide({ preset: 'day' }, 429, { retryAfter })).toEqual(refused);
  expect(decide(all, 429, { retryAfter, retriesUsed: 2 })).toEqual(exhausted);
  // Without a policy: a 5xx alone, as the default has it.
  expect(decide(null, 302, { retryAfter })).toEqual(retried(60));
  expect(decide(null, 503, { retryAfter })).toEqual(retried(1800));
  expect(decide(null, 'timeout', { retryAfter })).toEqual(retried(60));
  // Jitter comes before it.
  expect(decide({ ...all, jitter: 0.2 }, 503, { retryAfter: '12', random: 0 })).toEqual(retried(12));
  expect(decide({ ...all, jitter: 0.2 }, 503, { retryAfter: '1', random: 0 })).toEqual(retried(8));
});

test('a probe that fails is deferred also where no wait is left; one that is refused fails', () => {
  const none: RetryPolicy = { preset: 'none' };
  expect(decide(none, 503, { isProbe: true })).toEqual(retried(30));
  expect(decide(none, 404, { isProbe: true })).toEqual(refused);
  expect(decide(none, 200, { isProbe: true })).toEqual(delivered);
});

test('410 alone means that the receiver is gone, also where client errors are retried', () => {
  const gone = (statusCode: number) => isGone({ statusCode, errorCode: 'client_error' });
  expect([gone(410), gone(404)]).toEqual([true, false]);
  // Of a response that is not valid HTTP.
  expect(isGone({ statusCode: 410, errorCode: 'malformed_response' })).toBe(false);
});
