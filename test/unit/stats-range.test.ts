import { expect, test } from 'vitest';
import { bucketsOf } from '../../src/domain/stats-range.ts';

const now = new Date('2024-01-10T13:01:30.5Z');
test.each([
  ['1h', 60, 60, '2024-01-10T12:02:00.000Z', '2024-01-10T13:01:00.000Z'],
  ['24h', 3600, 24, '2024-01-09T14:00:00.000Z', '2024-01-10T13:00:00.000Z'],
  ['7d', 21_600, 28, '2024-01-03T18:00:00.000Z', '2024-01-10T12:00:00.000Z'],
  ['30d', 86_400, 30, '2023-12-12T00:00:00.000Z', '2024-01-10T00:00:00.000Z'],
] as const)('%s is whole buckets, the present one at the end', (range, seconds, count, first, last) => {
  const { since, until, bucketSeconds, starts } = bucketsOf(range, now);
  expect([bucketSeconds, starts.length]).toEqual([seconds, count]);
  expect(since.toISOString()).toBe(first);
  expect(until.toISOString()).toBe('2024-01-10T13:02:00.000Z');
  expect([starts[0], starts.at(-1)].map((at) => at?.toISOString())).toEqual([first, last]);
});

test('at the very beginning of a bucket it is the last one', () => {
  const midnight = new Date('2024-01-10T00:00:00Z');
  expect(bucketsOf('30d', midnight).starts.at(-1)).toEqual(midnight);
  expect(bucketsOf('1h', midnight).starts.at(-1)).toEqual(midnight);
});
