import { expect, test } from 'vitest';
import { isFailing, webhookStateOf, waitingCounts } from '../../src/dashboard/webhook-state.ts';

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

test('the badge is never plainly active beside failures', () => {
  const webhook = { active: true, auto_disabled: null, warning: false };
  expect(webhookStateOf(webhook)).toBe('active');
  expect(webhookStateOf(webhook, hours([3, 3]))).toBe('active, failing');
  expect(webhookStateOf({ ...webhook, warning: true }, hours([3, 0]))).toBe('active, failing');
  expect(webhookStateOf({ ...webhook, active: false }, hours([3, 3]))).toBe('paused');
});

test('what waits is named by its state, and a count that stopped says so', () => {
  const texts = (waiting: Parameters<typeof waitingCounts>[0]) =>
    waitingCounts(waiting).map((each) => each.text);
  expect(texts({ pending: 0, retrying: 83, held: 0 })).toEqual(['83 retrying']);
  expect(texts({ pending: 1, retrying: 0, held: 1000 })).toEqual(['1 pending', '1,000 or more held']);
});
