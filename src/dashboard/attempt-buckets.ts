import type { RangeStats } from '../contracts/stats.ts';

/** The counts of a time. failed_attempts: all that failed; failed: those that ended their delivery. */
export type AttemptBucket = RangeStats['data'][number]['buckets'][number];

/** The buckets of several webhooks, added up. All begin at the same times. */
export function sumBuckets(all: readonly (readonly AttemptBucket[])[]): AttemptBucket[] {
  const sums = new Map<string, AttemptBucket>();
  for (const each of all.flat()) {
    const sum = sums.get(each.at);
    sums.set(each.at, {
      at: each.at,
      attempts: (sum?.attempts ?? 0) + each.attempts,
      failed_attempts: (sum?.failed_attempts ?? 0) + each.failed_attempts,
      delivered: (sum?.delivered ?? 0) + each.delivered,
      failed: (sum?.failed ?? 0) + each.failed,
    });
  }
  return [...sums.values()];
}
