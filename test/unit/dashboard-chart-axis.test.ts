import fc from 'fast-check';
import { expect, test } from 'vitest';
import { statsRanges, type StatsRange } from '../../src/contracts/stats-ranges.ts';
import { axisLabels, bucketText, ticksOf } from '../../src/dashboard/chart-axis.ts';
import { bucketsOf } from '../../src/domain/stats-range.ts';

test('an axis has few whole and even steps, and reaches the largest value', () => {
  expect(ticksOf(0)).toEqual([0, 1]);
  expect(ticksOf(1)).toEqual([0, 1]);
  expect(ticksOf(7)).toEqual([0, 2, 4, 6, 8]);
  expect(ticksOf(83)).toEqual([0, 20, 40, 60, 80, 100]);
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (max) => {
      const ticks = ticksOf(max);
      expect(ticks.length).toBeGreaterThanOrEqual(2);
      expect(ticks.length).toBeLessThanOrEqual(6);
      expect(ticks.every((tick) => Number.isInteger(tick))).toBe(true);
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(max);
      expect(ticks.at(-2)).toBeLessThan(Math.max(1, max));
    }),
  );
});

const now = new Date('2024-01-10T13:07:30Z');
const startsOf = (range: StatsRange) => bucketsOf(range, now).starts.map((at) => at.toISOString());
const textsOf = (range: StatsRange, zone = 'UTC') =>
  axisLabels(range, startsOf(range), zone).map(({ text }) => text);

test('labels have the day where it changes, in the time zone', () => {
  expect(textsOf('1h')).toEqual(['12:15', '12:30', '12:45', '13:00']);
  // Yesterday's hours come first, and say so.
  expect(textsOf('24h')).toEqual([
    expect.stringMatching(/Tue 18:00/),
    expect.stringMatching(/^(Wed 10|10 Wed)$/),
    '06:00',
  ]);
  expect(textsOf('24h', 'Asia/Kolkata')).toEqual([
    expect.stringMatching(/^(Wed 10|10 Wed)$/),
    '06:30',
    '12:30',
  ]);
  expect(textsOf('7d')).toEqual([4, 5, 6, 7, 8, 9].map((day) => expect.stringContaining(String(day))));
  expect(textsOf('30d')[0]).toMatch(/^(12 Dec|Dec 12)$/);
});

test.each(['UTC', 'America/New_York', 'Asia/Kolkata', 'Pacific/Auckland'])(
  'no label is close to the end of the axis, and each belongs to a bucket: %s',
  (zone) => {
    for (const range of statsRanges) {
      const starts = startsOf(range);
      const labels = axisLabels(range, starts, zone);
      expect(labels.length).toBeGreaterThanOrEqual(2);
      expect(labels.length).toBeLessThanOrEqual(7);
      for (const { index } of labels) expect(index).toBeLessThan(starts.length * 0.9);
    }
  },
);

test('the time of a bucket is named with its day; days are those of UTC', () => {
  const at = '2024-01-10T12:00:00.000Z';
  expect(bucketText('24h', at, 3600, 'UTC')).toMatch(/Wed.*12:00.* to .*(13|0?1):00/);
  expect(bucketText('7d', at, 21_600, 'Asia/Kolkata')).toMatch(/17:30|05:30/);
  expect(bucketText('1h', at, 60, 'UTC')).not.toContain(' to ');
  expect(bucketText('30d', '2024-01-10T00:00:00.000Z', 86_400, 'America/New_York')).toMatch(/10.* UTC$/);
});
