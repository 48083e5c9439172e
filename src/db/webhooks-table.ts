import type { WebhookChange } from '../contracts/webhook.ts';
import type { WebhookFormat } from '../contracts/webhook-format.ts';
import { wipeResponsesOf } from './idempotency-keys.ts';
import { syncDeliveries, syncUntil } from './sync-deliveries.ts';
import { onlyRow, withTransaction, type Client, type Pool, type Queryable } from './pool.ts';

export type WebhookRow = {
  id: string;
  accountId: string;
  url: string;
  events: string[];
  description: string | null;
  active: boolean;
  format: WebhookFormat;
  warnedAt: Date | null;
  disabledAt: Date | null;
  disabledEnded: number | null;
  disabledFailed: number | null;
  sealedSecret: string;
  secretCreatedAt: Date;
  previousSealedSecret: string | null;
  /** May have passed: then the previous secret no longer signs. */
  previousSecretUntil: Date | null;
  createdAt: Date;
  updatedAt: Date;
};

export const webhookColumns = `id, account_id as "accountId", url, events, description, active, format,
  warned_at as "warnedAt", disabled_at as "disabledAt", disabled_ended as "disabledEnded", disabled_failed as "disabledFailed",
  sealed_secret as "sealedSecret",
  secret_created_at as "secretCreatedAt", previous_sealed_secret as "previousSealedSecret",
  previous_secret_until as "previousSecretUntil", created_at as "createdAt", updated_at as "updatedAt"`;

type NewWebhook = Pick<
  WebhookRow,
  'id' | 'accountId' | 'url' | 'events' | 'description' | 'active' | 'format' | 'sealedSecret'
>;

/**
 * Inserts a webhook, unless the account has as many as it may. The account's row is locked, so that concurrent calls are
 * counted one after the other.
 *
 * @param defaultMax where the account has no limit of its own
 */
export async function insertWebhook(
  client: Client,
  webhook: NewWebhook,
  defaultMax: number,
): Promise<WebhookRow | { limit: number } | 'no_account'> {
  const account = await client.query<{ limit: number }>(
    `select coalesce(max_webhooks, $2) as limit from accounts
     where id = $1 and deletion_requested_at is null for update`,
    [webhook.accountId, defaultMax],
  );
  const limit = account.rows[0]?.limit;
  if (limit === undefined) return 'no_account';
  const counted = await client.query<{ count: number }>(
    `select count(*)::int as count from webhooks where account_id = $1 and deleted_at is null`,
    [webhook.accountId],
  );
  if (onlyRow(counted.rows, 'count').count >= limit) return { limit };
  const { rows } = await client.query<WebhookRow>(
    `insert into webhooks (id, account_id, url, events, description, active, sealed_secret, format)
     values ($1, $2, $3, $4, $5, $6, $7, $8) returning ${webhookColumns}`,
    [
      webhook.id,
      webhook.accountId,
      webhook.url,
      webhook.events,
      webhook.description,
      webhook.active,
      webhook.sealedSecret,
      webhook.format,
    ],
  );
  return onlyRow(rows, 'insert');
}

export async function findWebhook(db: Queryable, accountId: string, id: string) {
  const { rows } = await db.query<WebhookRow>(
    `select ${webhookColumns} from webhooks where id = $1 and account_id = $2 and deleted_at is null`,
    [id, accountId],
  );
  return rows[0] ?? null;
}

/** Newest first; `before`: the last id of the previous page. */
export async function listWebhooks(db: Queryable, accountId: string, before: string | null, limit: number) {
  const { rows } = await db.query<WebhookRow>(
    `select ${webhookColumns} from webhooks
     where account_id = $1 and deleted_at is null and ($2::text is null or id < $2)
     order by id desc limit $3`,
    [accountId, before, limit],
  );
  return rows;
}

/**
 * Changes a webhook. When it becomes inactive, waiting deliveries become held; when it becomes active, held ones are delivered,
 * oldest first. The reconciler changes the deliveries that are too many for a call. `check` runs in the same transaction.
 */
export async function updateWebhook(
  pool: Pool,
  accountId: string,
  id: string,
  patch: WebhookChange,
  check?: (client: Client) => Promise<void>,
) {
  const updated = await withTransaction(pool, async (client) => {
    await check?.(client);
    const before = await client.query<{ active: boolean }>(
      `select active from webhooks where id = $1 and account_id = $2 and deleted_at is null for update`,
      [id, accountId],
    );
    const [was] = before.rows;
    if (!was) return null;
    const isChanged = patch.active !== undefined && patch.active !== was.active;
    const { rows } = await client.query<WebhookRow>(
      `update webhooks set
         url = coalesce($2, url), events = coalesce($3, events),
         description = case when $4 then $5 else description end,
         active = coalesce($6, active), format = coalesce($7, format), updated_at = now(),
         activation = activation + case when $6 and not active then 1 else 0 end,
         warned_at = case when $6 and not active then null else warned_at end,
         disabled_at = case when $6 then null else disabled_at end,
         held_action = case when $8 then $9 else held_action end,
         sync_at = case when $8 then now() else sync_at end,
         sync_until = case when $8 then ${syncUntil} else sync_until end
       where id = $1 returning ${webhookColumns}`,
      [
        id,
        patch.url,
        patch.events,
        patch.description !== undefined,
        patch.description,
        patch.active,
        patch.format,
        isChanged,
        patch.held ?? 'deliver',
      ],
    );
    return { row: rows[0] ?? null, isChanged };
  });
  if (updated?.isChanged) await syncDeliveries(pool, id);
  return updated?.row ?? null;
}

/** Deletes a webhook: wipes its secrets and cancels its waiting deliveries. False: there is none. */
export async function deleteWebhook(pool: Pool, accountId: string, id: string): Promise<boolean> {
  const isDeleted = await withTransaction(pool, async (client) => {
    const { rowCount } = await client.query(
      `update webhooks set deleted_at = now(), updated_at = now(), active = false, sealed_secret = null,
         previous_sealed_secret = null, previous_secret_until = null, sync_at = now(), sync_until = ${syncUntil}
       where id = $1 and account_id = $2 and deleted_at is null`,
      [id, accountId],
    );
    if (rowCount === 1) await wipeResponsesOf(client, id);
    return rowCount === 1;
  });
  if (!isDeleted) return false;
  await syncDeliveries(pool, id);
  return true;
}
