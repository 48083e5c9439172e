import type { RangeStats, WebhookRangeStats } from '../contracts/stats.ts';
import type { StatsRange } from '../contracts/stats-ranges.ts';
import { bucketsOf, type Buckets } from '../domain/stats-range.ts';
import { maxWebhooksInStats } from './account-stats.ts';
import type { Queryable } from './pool.ts';
import {
  durationSums,
  nothingWaits,
  percentiles,
  readWebhookWaiting,
  showAll,
  showCounts,
  totalDurations,
} from './read-stats.ts';

type Row = { webhookId: string; at: Date; attempts: number; delivered: number; failed: number };
type RowWithDurations = Row & { durations: number[] };

/**
 * The counts of webhooks ($1) by bucket: by the minute for two days, and by the hour before that.
 *
 * @param columns in addition
 */
const byBucket = (columns: string): string =>
  `select w.id as "webhookId", s.* from unnest($1::text[]) as w(id) cross join lateral (
     select date_bin(make_interval(secs => $4), at, 'epoch') as at, sum(attempts)::int as attempts,
       sum(delivered)::int as delivered, sum(failed)::int as failed${columns}
     from (
       select minute as at, attempts, delivered, failed, durations from webhook_stats
       where webhook_id = w.id and minute >= $2 and minute < $3
       union all
       select hour, attempts, delivered, failed, durations from webhook_stats_hours
       where webhook_id = w.id and hour >= $2 and hour < $3) as counted
     group by 1) as s`;

const valuesOf = (ids: readonly string[], { since, until, bucketSeconds }: Buckets) => [
  ids,
  since,
  until,
  bucketSeconds,
];

/** A webhook in a range, by the bucket. */
export async function readRangeStats(
  db: Queryable,
  webhookId: string,
  range: StatsRange,
  now: Date,
): Promise<WebhookRangeStats> {
  const buckets = bucketsOf(range, now);
  const { rows } = await db.query<RowWithDurations>(
    byBucket(`, array[${durationSums}] as durations`),
    valuesOf([webhookId], buckets),
  );
  const waiting = (await readWebhookWaiting(db, [webhookId])).get(webhookId);
  const byTime = new Map(rows.map((row) => [row.at.getTime(), row]));
  return {
    webhook_id: webhookId,
    ...headOf(range, buckets),
    ...showAll(rows),
    waiting: waiting ?? nothingWaits,
    response_ms: percentiles(totalDurations(rows)),
    buckets: buckets.starts.map((at) => ({
      at: at.toISOString(),
      ...showCounts(byTime.get(at.getTime())),
      response_ms: percentiles(byTime.get(at.getTime())?.durations ?? []),
    })),
  };
}

/** An account's webhooks in a range, the newest webhook first, those without traffic included. */
export async function readAccountRangeStats(
  db: Queryable,
  accountId: string,
  range: StatsRange,
  now: Date,
): Promise<RangeStats> {
  const buckets = bucketsOf(range, now);
  const webhooks = await db.query<{ id: string }>(
    `select id from webhooks where account_id = $1 and deleted_at is null order by id desc limit $2`,
    [accountId, maxWebhooksInStats],
  );
  const ids = webhooks.rows.map(({ id }) => id);
  const { rows } = await db.query<Row>(byBucket(''), valuesOf(ids, buckets));
  const ofWebhooks = Map.groupBy(rows, ({ webhookId }) => webhookId);
  const waiting = await readWebhookWaiting(db, ids);
  return {
    ...headOf(range, buckets),
    data: ids.map((id) => {
      const ofWebhook = ofWebhooks.get(id) ?? [];
      const byTime = new Map(ofWebhook.map((row) => [row.at.getTime(), row]));
      return {
        webhook_id: id,
        ...showAll(ofWebhook),
        waiting: waiting.get(id) ?? nothingWaits,
        buckets: buckets.starts.map((at) => ({
          at: at.toISOString(),
          ...showCounts(byTime.get(at.getTime())),
        })),
      };
    }),
  };
}

const headOf = (range: StatsRange, { since, until, bucketSeconds }: Buckets) => ({
  range,
  since: since.toISOString(),
  until: until.toISOString(),
  bucket_seconds: bucketSeconds,
});
