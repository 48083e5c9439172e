import { expect, test } from 'vitest';
import { offsetText } from '../../src/dashboard/durations.ts';
import { failuresText, obstacleOf, summaryText } from '../../src/dashboard/delivery-summary.ts';
import type { AttemptErrorCode } from '../../src/contracts/attempt-schema.ts';

const responded = (status: number) => ({
  outcome: status === 200 ? ('delivered' as const) : ('retry' as const),
  status_code: status,
  error: null,
  duration_ms: 38,
});
const without = (code: AttemptErrorCode) => ({
  outcome: 'retry' as const,
  status_code: null,
  error: { code, message: '…' },
  duration_ms: 5000,
});
const waiting = { reason: null, next_attempt_at: null, waits_for: null, timeline: [] };

test.each([
  [[], undefined],
  [[200], undefined],
  [[500], 'The first attempt failed: 500.'],
  [[500, 500], 'Both attempts failed: 500 each time.'],
  [[500, 500, 500], 'All 3 attempts failed: 500 each time.'],
  [[500, 500, 500, 200], '3 of 4 attempts failed: 500 each time.'],
  [[503, 200], '1 of 2 attempts failed: 503.'],
  [[500, 'timeout_response', 500], 'All 3 attempts failed: 500 (2 times), timeout (response).'],
  [['dns_not_found', 'dns_not_found'], 'Both attempts failed: host not found each time.'],
] as const)('the summary of attempts %j is: %s', (results, words) => {
  const attempts = results.map((result) =>
    typeof result === 'number' ? responded(result) : without(result),
  );
  expect(failuresText(attempts)).toBe(words);
});

test('a summary has the outcome, and facts beyond the attempts', () => {
  expect(summaryText({ ...waiting, status: 'delivered', attempts: [responded(503), responded(200)] })).toBe(
    'Delivered: 200 in 38 ms. 1 of 2 attempts failed: 503.',
  );
  expect(summaryText({ ...waiting, status: 'retrying', attempts: [responded(503)] })).toBe(
    'The first attempt failed: 503.',
  );
  const wait = { at: '', type: 'wait', seconds: 60, until: '', reason: 'hourly_cap' } as const;
  expect(summaryText({ ...waiting, timeline: [wait], status: 'retrying', attempts: [responded(503)] })).toBe(
    'The first attempt failed: 503. Deferred: the webhook reached its hourly cap.',
  );
  expect(
    summaryText({ ...waiting, status: 'failed', reason: 'client_error', attempts: [responded(404)] }),
  ).toBe('The first attempt failed: 404. The receiver returned a 4xx response, which is not retried.');
  expect(
    summaryText({ ...waiting, status: 'failed', reason: 'retries_exhausted', attempts: [responded(500)] }),
  ).toBe('The first attempt failed: 500.');
  expect(summaryText({ ...waiting, status: 'held', attempts: [responded(500)] })).toBe(
    'The first attempt failed: 500. Held until the webhook is active again.',
  );
  expect(summaryText({ ...waiting, status: 'pending', attempts: [] })).toBe(
    'The first attempt is about to start.',
  );
  expect(summaryText({ ...waiting, status: 'pending', attempts: [responded(503)] })).toBe(
    'The first attempt failed: 503. The next attempt is about to start.',
  );
  const deferred = { ...waiting, waits_for: { reason: 'down', next_probe_at: '' } as const };
  expect(summaryText({ ...deferred, status: 'retrying', attempts: [responded(500)] })).toMatch(
    /^The first attempt failed: 500. Deferred: the webhook is down\. One delivery at a time/,
  );
  const back = { ...waiting, waits_for: { reason: 'down', next_probe_at: null } as const };
  expect(summaryText({ ...back, status: 'pending', attempts: [] })).toBe(
    'Deferred: the webhook was down. Its deliveries are being sent, the oldest first.',
  );
});

test('the reason against sending is named: the webhook first, then the payload', () => {
  const active = { active: true, auto_disabled: null };
  const disabled = { at: '', reason: 'failure_rate' as const, failure_rate: 1, ended: 10, failed: 10 };
  expect(obstacleOf(active, '{}')).toBeUndefined();
  expect(obstacleOf(active, undefined)).toBeUndefined();
  expect(obstacleOf(active, null)).toMatch(/^The payload was removed/);
  expect(obstacleOf(undefined, null)).toMatch(/^The webhook was deleted/);
  expect(obstacleOf({ active: false, auto_disabled: disabled }, '{}')).toBe(
    'The webhook was disabled automatically. Activate it first.',
  );
});

test('times are shown since the beginning', () => {
  const from = '2026-01-10T12:00:00.000Z';
  const offset = (ms: number) => offsetText(from, new Date(Date.parse(from) + ms).toISOString());
  expect([0, 24, 5000, 65_000, -3].map(offset)).toEqual([
    '+0 ms',
    '+24 ms',
    '+5.0 s',
    '+1 min 05 s',
    '+0 ms',
  ]);
});
