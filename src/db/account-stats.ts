import type { Stats } from '../contracts/stats.ts';
import type { Queryable } from './pool.ts';
import { lastDay, nothingWaits, readWebhookWaiting, showAll, showCounts } from './read-stats.ts';

/** Webhooks in one response, which has an entry for each hour of each. */
export const maxWebhooksInStats = 1000;

/** `hour` null, as are the counts: the webhook had no traffic. */
type HourRow = { webhookId: string; hour: Date | null; attempts: number; delivered: number; failed: number };

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
  const webhooks = Map.groupBy(rows, ({ webhookId }) => webhookId);
  const waiting = await readWebhookWaiting(db, [...webhooks.keys()]);
  return {
    since: since.toISOString(),
    until: until.toISOString(),
    data: [...webhooks].map(([id, ofWebhook]) => {
      const byHour = new Map(ofWebhook.map((row) => [row.hour?.getTime(), row]));
      return {
        webhook_id: id,
        ...showAll(ofWebhook.filter(({ hour }) => hour !== null)),
        hourly: hours.map((at) => ({ hour: new Date(at).toISOString(), ...showCounts(byHour.get(at)) })),
        waiting: waiting.get(id) ?? nothingWaits,
      };
    }),
  };
}
