import { expect, test } from 'vitest';
import { sumBuckets } from '../../src/dashboard/attempt-buckets.ts';
import {
  byUrgency,
  countStates,
  isFailing,
  toneOfShare,
  totalOf,
  waitingCounts,
  webhookStateOf,
} from '../../src/dashboard/webhook-state.ts';

const hours = (...each: [attempts: number, failed: number][]) =>
  each.map(([attempts, failed]) => ({ attempts, failed_attempts: failed }));

test('a webhook is failing where at least half of its latest attempts failed, however few there are', () => {
  expect(isFailing([])).toBe(false);
  expect(isFailing(hours([0, 0], [0, 0]))).toBe(false);
  expect(isFailing(hours([0, 0], [1, 1]))).toBe(true);
  expect(isFailing(hours([3, 3], [0, 0]))).toBe(true);
  expect(isFailing(hours([4, 1]))).toBe(false);
  expect(isFailing(hours([4, 2]))).toBe(true);
});

test('enough good attempts since then are a recovery; a single failure after many good ones is none', () => {
  expect(isFailing(hours([500, 500], [5, 0]))).toBe(false);
  expect(isFailing(hours([500, 0], [5, 5]))).toBe(true);
  expect(isFailing(hours([500, 0], [1, 1]))).toBe(false);
});

test('the state is the health of an active webhook, and is never healthy beside failures', () => {
  const health = { state: 'healthy', since: null, next_probe_at: null } as const;
  const webhook = { active: true, auto_disabled: null, warning: false, health };
  const down = { ...webhook, health: { ...health, state: 'down' } } as const;
  expect(webhookStateOf(webhook)).toBe('healthy');
  expect(webhookStateOf(webhook, hours([3, 3]))).toBe('failing');
  expect(webhookStateOf({ ...webhook, warning: true }, hours([3, 0]))).toBe('failing');
  expect(webhookStateOf({ ...webhook, health: { ...health, state: 'failing' } }, hours([9, 2]))).toBe(
    'failing',
  );
  expect(webhookStateOf(down, hours([50, 50]))).toBe('down');
  expect(webhookStateOf({ ...down, active: false }, hours([50, 50]))).toBe('paused');
  const disabled = { at: '', reason: 'down', failure_rate: 1, ended: 0, failed: 0 } as const;
  expect(webhookStateOf({ ...down, active: false, auto_disabled: disabled })).toBe('disabled');
});

test('webhooks that are down come first, and webhooks of one state keep their order', () => {
  const states = ['healthy', 'paused', 'down', 'failing', 'down', 'disabled', 'healthy'] as const;
  const rows = states.map((state, id) => ({ state, id }));
  expect(byUrgency(rows).map(({ id }) => id)).toEqual([2, 4, 5, 3, 1, 0, 6]);
  expect(countStates(states)).toEqual([
    { state: 'down', count: 2 },
    { state: 'disabled', count: 1 },
    { state: 'failing', count: 1 },
    { state: 'paused', count: 1 },
    { state: 'healthy', count: 2 },
  ]);
});

test('waiting deliveries are counted by status; a count that stopped has a plus sign', () => {
  const none = { pending: 0, deferred: 0, scheduled: 0, retrying: 0, held: 0 };
  const counts = (...all: Partial<typeof none>[]) => waitingCounts(all.map((each) => ({ ...none, ...each })));
  const texts = (...all: Partial<typeof none>[]) =>
    counts(...all).map(({ text, parts }) => [text, ...parts.map((part) => part.text)]);
  expect(counts({})).toEqual([]);
  expect(texts({ retrying: 83 })).toEqual([['83 retrying']]);
  expect(texts({ pending: 24, deferred: 20 }, { pending: 1, held: 2 })).toEqual([
    ['25 pending', '20 deferred'],
    ['2 held'],
  ]);
  expect(counts({ pending: 24, deferred: 24, scheduled: 0 })).toEqual([
    {
      status: 'pending',
      count: 24,
      text: '24 pending',
      parts: [{ text: '24 deferred', filters: { deferred: true } }],
    },
  ]);
  expect(texts({ pending: 1000, scheduled: 1000 }, { pending: 7, scheduled: 4 })).toEqual([
    ['1,007+ pending', '1,004+ scheduled'],
  ]);
  expect(texts({ held: 1000 }, { held: 5 })).toEqual([['1,005+ held']]);
  expect(totalOf(counts({ held: 1000 }, { retrying: 83 }))).toBe('1,083+');
  expect(totalOf(counts({ held: 999 }, { held: 2 }))).toBe('1,001');
  expect(totalOf(counts({ pending: 24, deferred: 20 }, { held: 2 }))).toBe('26');
  expect(totalOf([])).toBe('0');
});

test('a failure rate has the colour of failing from 20%, and of down from 50%', () => {
  expect([null, 0, 0.19, 0.2, 0.49, 0.5, 1].map(toneOfShare)).toEqual([
    undefined,
    undefined,
    undefined,
    'warn',
    'warn',
    'bad',
    'bad',
  ]);
});

test('the buckets of several webhooks are added up by time', () => {
  const bucket = (at: string, delivered: number, failed: number, retried: number) => ({
    at,
    attempts: delivered + failed + retried,
    failed_attempts: failed + retried,
    delivered,
    failed,
  });
  expect(sumBuckets([])).toEqual([]);
  expect(
    sumBuckets([
      [bucket('a', 1, 2, 3), bucket('b', 0, 0, 0)],
      [bucket('a', 10, 20, 30), bucket('b', 1, 0, 0)],
    ]),
  ).toEqual([bucket('a', 11, 22, 33), bucket('b', 1, 0, 0)]);
});
