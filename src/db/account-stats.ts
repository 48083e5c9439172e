import type { Stats } from '../contracts/stats.ts';
import type { Queryable } from './pool.ts';
import { failureRateOf, lastDay, nothingWaits } from './read-stats.ts';
import { readWebhookWaiting } from './webhook-waiting.ts';

/** Webhooks in one response, which has an entry for each hour of each. */
export const maxWebhooksInStats = 1000;

type HourRow = {
  webhookId: string;
  /** Null, as are the counts, where the webhook had no traffic. */
  hour: Date | null;
  attempts: number;
  delivered: number;
  failed: number;
};

/** The last 24 hours of an account's webhooks, the newest webhook first, those without traffic included. */
export async function readAccountStats(db: Queryable, accountId: string, now: Date): Promise<Stats> {
  const { since, until, hours } = lastDay(now);
  const { rows } = await db.query<HourRow>(
    `select w.id as "webhookId", s.hour, s.attempts, s.delivered, s.failed
     from (select id from webhooks where account_id = $1 and deleted_at is null order by id desc limit $4) as w
     left join lateral (
       select date_trunc('hour', minute) as hour, sum(attempts)::int as attempts, sum(delivered)::int as delivered,
         sum(failed)::int as failed
       from webhook_stats where webhook_id = w.id and minute >= $2 and minute < $3 group by 1) as s on true
     order by w.id desc`,
    [accountId, since, until, maxWebhooksInStats],
  );
  const webhooks = new Map<string, HourRow[]>();
  for (const row of rows) {
    const known = webhooks.get(row.webhookId) ?? [];
    webhooks.set(row.webhookId, row.hour === null ? known : [...known, row]);
  }
  const waiting = await readWebhookWaiting(db, [...webhooks.keys()]);
  return {
    since: since.toISOString(),
    until: until.toISOString(),
    data: [...webhooks].map(([id, ofWebhook]) => ({
      ...toStats(id, ofWebhook, hours),
      waiting: waiting.get(id) ?? nothingWaits,
    })),
  };
}

function toStats(webhookId: string, rows: readonly HourRow[], hours: readonly number[]) {
  const byHour = new Map(rows.map((row) => [row.hour?.getTime(), row]));
  const hourly = hours.map((at) => {
    const { attempts, delivered, failed } = byHour.get(at) ?? { attempts: 0, delivered: 0, failed: 0 };
    const failed_attempts = attempts - delivered;
    return { hour: new Date(at).toISOString(), attempts, failed_attempts, delivered, failed };
  });
  const sum = (field: 'attempts' | 'failed_attempts' | 'delivered' | 'failed') =>
    hourly.reduce((total, hour) => total + hour[field], 0);
  const [delivered, failed] = [sum('delivered'), sum('failed')];
  return {
    webhook_id: webhookId,
    attempts: sum('attempts'),
    failed_attempts: sum('failed_attempts'),
    delivered,
    failed,
    failure_rate: failureRateOf(delivered, failed),
    hourly,
  };
}
