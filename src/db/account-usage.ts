import type { Queryable } from './pool.ts';

export type AccountUsage = { webhooks: number; delivered: number; failed: number };

/** Counting an account's webhooks stops here, so that no account makes a list slow. */
export const maxCountedWebhooks = 1000;

/** The webhooks of each account, and its deliveries that ended after an attempt since that time. */
export async function readAccountUsage(
  db: Queryable,
  accountIds: readonly string[],
  since: Date,
): Promise<Map<string, AccountUsage>> {
  const { rows } = await db.query<AccountUsage & { id: string }>(
    `select a.id, w.webhooks, s.delivered, s.failed from unnest($1::text[]) as a(id)
     cross join lateral (select count(*)::int as webhooks from (
       select 1 from webhooks where account_id = a.id and deleted_at is null limit $3) as counted) as w
     cross join lateral (
       select coalesce(sum(delivered), 0)::int as delivered, coalesce(sum(failed), 0)::int as failed
       from event_type_stats where account_id = a.id and hour >= $2) as s`,
    [accountIds, since, maxCountedWebhooks],
  );
  return new Map<string, AccountUsage>(rows.map(({ id, ...usage }) => [id, usage]));
}
