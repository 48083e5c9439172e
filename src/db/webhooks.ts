import { ApiError } from '../errors.ts';
import { withTransaction, type Client, type Pool, type Queryable } from './pool.ts';

export type WebhookRow = {
  id: string;
  accountId: string;
  url: string;
  events: string[];
  description: string | null;
  active: boolean;
  sealedSecret: string;
  secretCreatedAt: Date;
  createdAt: Date;
  updatedAt: Date;
};

const columns = `id, account_id as "accountId", url, events, description, active, sealed_secret as "sealedSecret",
  secret_created_at as "secretCreatedAt", created_at as "createdAt", updated_at as "updatedAt"`;

type NewWebhook = Pick<
  WebhookRow,
  'id' | 'accountId' | 'url' | 'events' | 'description' | 'active' | 'sealedSecret'
>;

/**
 * Inserts a webhook where the account has room; the account's row is locked, so that racing calls are counted in turn.
 *
 * @throws ApiError webhook_limit_reached
 */
export async function insertWebhook(
  client: Client,
  webhook: NewWebhook,
  maxPerAccount: number,
): Promise<WebhookRow> {
  await client.query(`select 1 from accounts where id = $1 for update`, [webhook.accountId]);
  const counted = await client.query<{ count: number }>(
    `select count(*)::int as count from webhooks where account_id = $1 and deleted_at is null`,
    [webhook.accountId],
  );
  if ((counted.rows[0]?.count ?? 0) >= maxPerAccount) {
    throw new ApiError(
      'webhook_limit_reached',
      `An account may have ${maxPerAccount} webhooks. Delete one that is no longer needed.`,
    );
  }
  const { rows } = await client.query<WebhookRow>(
    `insert into webhooks (id, account_id, url, events, description, active, sealed_secret)
     values ($1, $2, $3, $4, $5, $6, $7) returning ${columns}`,
    [
      webhook.id,
      webhook.accountId,
      webhook.url,
      webhook.events,
      webhook.description,
      webhook.active,
      webhook.sealedSecret,
    ],
  );
  const [row] = rows;
  if (!row) throw new Error('insert returned no row');
  return row;
}

export async function findWebhook(db: Queryable, accountId: string, id: string): Promise<WebhookRow | null> {
  const { rows } = await db.query<WebhookRow>(
    `select ${columns} from webhooks where id = $1 and account_id = $2 and deleted_at is null`,
    [id, accountId],
  );
  return rows[0] ?? null;
}

/** Newest first; `before` is the last id of the page before. */
export async function listWebhooks(
  db: Queryable,
  accountId: string,
  before: string | null,
  limit: number,
): Promise<WebhookRow[]> {
  const { rows } = await db.query<WebhookRow>(
    `select ${columns} from webhooks
     where account_id = $1 and deleted_at is null and ($2::text is null or id < $2)
     order by id desc limit $3`,
    [accountId, before, limit],
  );
  return rows;
}

type Patch = {
  url?: string | undefined;
  events?: string[] | undefined;
  description?: string | null | undefined;
  active?: boolean | undefined;
};

/**
 * Changes a webhook. No longer active: what waits becomes held at once, and the sweep tells the workflows. Active
 * again: what is held is due at once, oldest first.
 */
export async function updateWebhook(
  pool: Pool,
  accountId: string,
  id: string,
  patch: Patch,
): Promise<WebhookRow | null> {
  return withTransaction(pool, async (client) => {
    const before = await client.query<{ active: boolean }>(
      `select active from webhooks where id = $1 and account_id = $2 and deleted_at is null for update`,
      [id, accountId],
    );
    const [was] = before.rows;
    if (!was) return null;
    const { rows } = await client.query<WebhookRow>(
      `update webhooks set
         url = coalesce($2, url), events = coalesce($3, events),
         description = case when $4 then $5 else description end,
         active = coalesce($6, active), updated_at = now()
       where id = $1 returning ${columns}`,
      [id, patch.url, patch.events, patch.description !== undefined, patch.description, patch.active],
    );
    if (was.active && patch.active === false) await holdDeliveries(client, id);
    if (!was.active && patch.active === true) await releaseDeliveries(client, id);
    return rows[0] ?? null;
  });
}

/** Deletes a webhook, wipes its secret, cancels what waits. False where there is none. */
export async function deleteWebhook(pool: Pool, accountId: string, id: string): Promise<boolean> {
  return withTransaction(pool, async (client) => {
    const { rowCount } = await client.query(
      `update webhooks set deleted_at = now(), updated_at = now(), active = false, sealed_secret = null
       where id = $1 and account_id = $2 and deleted_at is null`,
      [id, accountId],
    );
    if (rowCount === 0) return false;
    await client.query(
      `update deliveries set status = 'canceled', reason = 'webhook_deleted', next_attempt_at = null, ended_at = ended.at,
         check_at = case when run_id is not null then now() end,
         timeline = case when run_id is null or status = 'held'
           then timeline || jsonb_build_array(jsonb_build_object(
             'at', to_char(ended.at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
             'type', 'ended', 'status', 'canceled', 'reason', 'webhook_deleted'))
           else timeline end
       from (select date_trunc('milliseconds', clock_timestamp()) as at) as ended
       where webhook_id = $1 and status in ('pending', 'retrying', 'held')`,
      [id],
    );
    return true;
  });
}

/** Where a run carries the delivery, the run itself adds the entry to the timeline when it stops. */
async function holdDeliveries(client: Client, webhookId: string): Promise<void> {
  await client.query(
    `update deliveries set status = 'held', next_attempt_at = null,
       check_at = case when run_id is not null then now() end,
       timeline = case when run_id is null
         then timeline || jsonb_build_array(jsonb_build_object(
           'at', to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'type', 'held'))
         else timeline end
     where webhook_id = $1 and status in ('pending', 'retrying')`,
    [webhookId],
  );
}

async function releaseDeliveries(client: Client, webhookId: string): Promise<void> {
  await client.query(
    `update deliveries set status = 'pending', run_id = null, check_at = now()
     where webhook_id = $1 and status = 'held'`,
    [webhookId],
  );
}
