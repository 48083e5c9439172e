import type { Queryable } from './pool.ts';

/** `deliveriesPerHour` 0: no cap. */
export type AccountLimits = { maxWebhooks: number; deliveriesPerHour: number };

/** The limits of an account: its own, or the given ones, which are the settings. */
export async function readAccountLimits(
  db: Queryable,
  accountId: string,
  settings: AccountLimits,
): Promise<AccountLimits> {
  const { rows } = await db.query<AccountLimits>(
    `select coalesce(max_webhooks, $2) as "maxWebhooks", coalesce(deliveries_per_hour, $3) as "deliveriesPerHour"
     from accounts where id = $1`,
    [accountId, settings.maxWebhooks, settings.deliveriesPerHour],
  );
  return rows[0] ?? settings;
}
