import type { StatsRange } from '../contracts/stats-ranges.ts';

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;
const shapes: Record<StatsRange, { bucketSeconds: number; count: number }> = {
  '1h': { bucketSeconds: minute, count: 60 },
  '24h': { bucketSeconds: hour, count: 24 },
  '7d': { bucketSeconds: 6 * hour, count: 28 },
  '30d': { bucketSeconds: day, count: 30 },
};

/** The buckets of a range of statistics. The last bucket is the present one, which is not over yet; all are whole in UTC. */
export type Buckets = { since: Date; until: Date; bucketSeconds: number; starts: Date[] };

/**
 * The buckets of a range that ends with the present minute.
 *
 * @example bucketsOf('7d', new Date('2024-01-10T13:01:30Z')).starts.at(-1) // 2024-01-10T12:00:00Z
 */
export function bucketsOf(range: StatsRange, now: Date): Buckets {
  const { bucketSeconds, count } = shapes[range];
  const floor = (seconds: number) => now.getTime() - (now.getTime() % (seconds * 1000));
  const last = floor(bucketSeconds);
  const starts = Array.from(
    { length: count },
    (_, index) => new Date(last - (count - 1 - index) * bucketSeconds * 1000),
  );
  const until = new Date(floor(minute) + minute * 1000);
  return { since: starts[0] ?? until, until, bucketSeconds, starts };
}
