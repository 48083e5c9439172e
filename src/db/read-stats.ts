import type { WebhookStats, WebhookWaiting } from '../contracts/webhook.ts';
import { percentile, stepCount } from '../domain/response-times.ts';
import type { Queryable } from './pool.ts';
import { isQueued } from './read-queue.ts';

type Counts = { attempts: number; delivered: number; failed: number };
type HourRow = Counts & { hour: Date; durations: number[] };

/** The response times of all rows, by step. */
export const durationSums = Array.from(
  { length: stepCount },
  (_, step) => `sum(durations[${step + 1}])::int`,
).join(', ');

/** The last 24 hours of a webhook, from the counts that are updated as attempts are recorded. */
export async function readStats(db: Queryable, webhookId: string, now: Date): Promise<WebhookStats> {
  const { since, until, hours } = lastDay(now);
  const { rows } = await db.query<HourRow>(
    `select date_trunc('hour', minute) as hour, sum(attempts)::int as attempts, sum(delivered)::int as delivered,
       sum(failed)::int as failed, array[${durationSums}] as durations
     from webhook_stats where webhook_id = $1 and minute >= $2 and minute < $3 group by 1 order by 1`,
    [webhookId, since, until],
  );
  const waiting = (await readWebhookWaiting(db, [webhookId])).get(webhookId);
  const byHour = new Map(rows.map((row) => [row.hour.getTime(), row]));
  return {
    webhook_id: webhookId,
    since: since.toISOString(),
    until: until.toISOString(),
    ...showAll(rows),
    waiting: waiting ?? nothingWaits,
    response_ms: percentiles(totalDurations(rows)),
    hourly: hours.map((at) => ({
      hour: new Date(at).toISOString(),
      ...showCounts(byHour.get(at)),
      response_ms: percentiles(byHour.get(at)?.durations ?? []),
    })),
  };
}

/** Each count stops here, so that a client that polls does not read a million rows. */
const mostCounted = 1000;

const countOf = (status: 'retrying' | 'held'): string =>
  `(select count(*)::int from (
     select 1 from deliveries d where d.webhook_id = w.id and d.status = '${status}' limit $2) as counted) as ${status}`;

/** How many deliveries of each webhook have not ended, by their state. */
export async function readWebhookWaiting(db: Queryable, webhookIds: readonly string[]) {
  const { rows } = await db.query<WebhookWaiting & { id: string }>(
    `select w.id, least($2, p.pending + l.scheduled + o.in_order)::int as pending, p.deferred, l.scheduled, ${countOf('retrying')}, ${countOf('held')}
     from unnest($1::text[]) as w(id) cross join lateral (
       select count(*)::int as pending, count(*) filter (where ${isQueued})::int as deferred
       from (select wait_reason from deliveries d
         where d.webhook_id = w.id and d.status = 'pending' and d.start_after is null limit $2) as counted) as p
     cross join lateral (
       select count(*)::int as scheduled from (select 1 from deliveries d
         where d.webhook_id = w.id and d.status = 'pending' and d.start_after = 'deliver_at' limit $2) as counted) as l
     cross join lateral (
       select count(*)::int as in_order from (select 1 from deliveries d
         where d.webhook_id = w.id and d.status = 'pending' and d.start_after = 'line' limit $2) as counted) as o`,
    [webhookIds, mostCounted],
  );
  return new Map<string, WebhookWaiting>(rows.map(({ id, ...waiting }) => [id, waiting]));
}

export const nothingWaits: WebhookWaiting = { pending: 0, deferred: 0, scheduled: 0, retrying: 0, held: 0 };

export function showCounts(
  { attempts, delivered, failed }: Counts = { attempts: 0, delivered: 0, failed: 0 },
) {
  return { attempts, failed_attempts: attempts - delivered, delivered, failed };
}

/** The sums of all rows, and the share of the ended deliveries that failed. */
export function showAll(rows: readonly Counts[]) {
  const sum = (field: keyof Counts) => rows.reduce((total, row) => total + row[field], 0);
  const [delivered, failed] = [sum('delivered'), sum('failed')];
  return {
    ...showCounts({ attempts: sum('attempts'), delivered, failed }),
    failure_rate: delivered + failed === 0 ? null : failed / (delivered + failed),
  };
}

/** The 24 hours that end with this minute, and the start of each hour they overlap. */
export function lastDay(now: Date): { since: Date; until: Date; hours: number[] } {
  const until = new Date(now.getTime() - (now.getTime() % 60_000) + 60_000);
  const since = new Date(until.getTime() - 86_400_000);
  const hourMs = 3_600_000;
  const firstHour = since.getTime() - (since.getTime() % hourMs);
  const length = Math.ceil((until.getTime() - firstHour) / hourMs);
  const hours = Array.from({ length }, (_, index) => firstHour + index * hourMs);
  return { since, until, hours };
}

export const totalDurations = (rows: readonly { durations: readonly number[] }[]): number[] =>
  rows.reduce<number[]>((total, row) => row.durations.map((count, step) => count + (total[step] ?? 0)), []);

export function percentiles(counts: readonly number[]): WebhookStats['response_ms'] {
  return { p50: percentile(counts, 0.5), p95: percentile(counts, 0.95), p99: percentile(counts, 0.99) };
}

type Cap = { limit: number; used: number; next_at: string | null; deferred_until: string | null };

/** How much of the hourly cap is used, and when deferred deliveries are due. Reads no more rows than the cap allows attempts. */
export async function readCap(db: Queryable, webhookId: string, limit: number): Promise<Cap> {
  const deferred = `select next_attempt_at from deliveries where webhook_id = $1 and wait_reason = 'hourly_cap'`;
  const { rows } = await db.query<{ used: number; nextAt: Date | null; deferredUntil: Date | null }>(
    `select
       (select count(*)::int from (
          select 1 from attempts where webhook_id = $1 and counts_for_cap and started_at > now() - interval '1 hour' limit $2) as used) as used,
       (${deferred} order by next_attempt_at limit 1) as "nextAt",
       (${deferred} order by next_attempt_at desc limit 1) as "deferredUntil"`,
    [webhookId, limit],
  );
  const [row] = rows;
  return {
    limit,
    used: row?.used ?? 0,
    next_at: row?.nextAt?.toISOString() ?? null,
    deferred_until: row?.deferredUntil?.toISOString() ?? null,
  };
}
