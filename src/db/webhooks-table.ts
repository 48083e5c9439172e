import type { DisabledReason, WebhookChange } from '../contracts/webhook.ts';
import type { WebhookFormat } from '../contracts/webhook-format.ts';
import { syncDeliveries, syncUntil } from './sync-deliveries.ts';
import { onlyRow, withTransaction, type Client, type Pool, type Queryable } from './pool.ts';
import { stepPacingByHand } from './webhook-health.ts';
import { policyColumns, writePolicy, type PolicyRow, type PolicyToWrite } from './webhook-policy.ts';

export type WebhookRow = PolicyRow & {
  id: string;
  accountId: string;
  url: string;
  events: string[];
  description: string | null;
  active: boolean;
  format: WebhookFormat;
  externalId: string | null;
  metadata: Record<string, string>;
  warnedAt: Date | null;
  disabledAt: Date | null;
  disabledReason: DisabledReason | null;
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
  external_id as "externalId", metadata, warned_at as "warnedAt", disabled_at as "disabledAt",
  disabled_reason as "disabledReason", disabled_ended as "disabledEnded", disabled_failed as "disabledFailed", sealed_secret as "sealedSecret",
  secret_created_at as "secretCreatedAt", previous_sealed_secret as "previousSealedSecret",
  previous_secret_until as "previousSecretUntil", created_at as "createdAt", updated_at as "updatedAt", ${policyColumns}`;

export type NewWebhook = Pick<
  WebhookRow,
  | 'id'
  | 'accountId'
  | 'url'
  | 'events'
  | 'description'
  | 'active'
  | 'format'
  | 'externalId'
  | 'metadata'
  | 'sealedSecret'
> & { policy?: PolicyToWrite };

/** Another webhook of the account has the external id. */
type Taken = 'external_id_taken';
/** Why no webhook was inserted. `limit`: the account has as many, in all or with e-mail addresses. */
export type Refusal = Taken | 'no_account' | { limit: number; of?: 'email' };

/** Of an account: each can send to addresses that did not ask for it. */
const maxEmailWebhooks = 10;

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
): Promise<WebhookRow | Refusal> {
  const limit = await lockAccount(client, webhook.accountId, defaultMax);
  if (limit === null) return 'no_account';
  const counted = await client.query<{ count: number; emails: number }>(
    `select count(*)::int as count, count(*) filter (where format = 'email')::int as emails
     from webhooks where account_id = $1 and deleted_at is null`,
    [webhook.accountId],
  );
  const { count, emails } = onlyRow(counted.rows, 'count');
  if (count >= limit) return { limit };
  if (webhook.format === 'email' && emails >= maxEmailWebhooks)
    return { limit: maxEmailWebhooks, of: 'email' };
  const { rows } = await client.query<WebhookRow>(
    `insert into webhooks
       (id, account_id, url, events, description, active, sealed_secret, format, external_id, metadata,
        rate_limit)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     on conflict (account_id, external_id) where external_id is not null and deleted_at is null do nothing
     returning ${webhookColumns}`,
    [
      webhook.id,
      webhook.accountId,
      webhook.url,
      webhook.events,
      webhook.description,
      webhook.active,
      webhook.sealedSecret,
      webhook.format,
      webhook.externalId,
      webhook.metadata,
      // Written with the row: an e-mail webhook is never without.
      webhook.policy?.rate_limit ?? null,
    ],
  );
  if (!rows[0]) return 'external_id_taken';
  const isMore = webhook.policy !== undefined && (await writePolicy(client, webhook.id, webhook.policy));
  return isMore ? ((await findWebhook(client, webhook.accountId, webhook.id)) ?? 'no_account') : rows[0];
}

/**
 * Locks the account, so that its webhooks are created one after the other. Returns how many it may have; null: there is no such
 * account, or it is being deleted.
 */
export async function lockAccount(client: Client, accountId: string, defaultMax: number) {
  const { rows } = await client.query<{ limit: number }>(
    `select coalesce(max_webhooks, $2) as limit from accounts
     where id = $1 and deletion_requested_at is null for update`,
    [accountId, defaultMax],
  );
  return rows[0]?.limit ?? null;
}

export async function findWebhook(db: Queryable, accountId: string, id: string) {
  const { rows } = await db.query<WebhookRow>(
    `select ${webhookColumns} from webhooks where id = $1 and account_id = $2 and deleted_at is null`,
    [id, accountId],
  );
  return rows[0] ?? null;
}

/** The id of the webhook that has the external id. */
export async function findWebhookId(db: Queryable, accountId: string, externalId: string) {
  const { rows } = await db.query<{ id: string }>(
    `select id from webhooks where account_id = $1 and external_id = $2 and deleted_at is null`,
    [accountId, externalId],
  );
  return rows[0]?.id ?? null;
}

/** The webhook that has the external id, locked. */
export async function findWebhookForUpdate(client: Client, accountId: string, externalId: string) {
  const { rows } = await client.query<WebhookRow>(
    `select ${webhookColumns} from webhooks
     where account_id = $1 and external_id = $2 and deleted_at is null for update`,
    [accountId, externalId],
  );
  return rows[0] ?? null;
}

type WebhookFilter = {
  externalId?: string | undefined;
  /** Whose metadata has this name, and where `value` is given, this value. */
  metadata?: { name: string; value: string | undefined } | undefined;
};

/** Newest first; `before`: the last id of the previous page. An account has few webhooks: its own are read, no others. */
export async function listWebhooks(
  db: Queryable,
  accountId: string,
  { before, limit, externalId, metadata }: WebhookFilter & { before: string | null; limit: number },
) {
  const values: unknown[] = [accountId, limit];
  const where = (condition: (parameter: string) => string, value: unknown): string =>
    ` and ${condition(`$${values.push(value)}`)}`;
  const conditions = [
    before === null ? '' : where((id) => `id < ${id}`, before),
    externalId === undefined ? '' : where((id) => `external_id = ${id}`, externalId),
    metadata === undefined ? '' : where((name) => `metadata ? ${name}`, metadata.name),
    metadata?.value === undefined
      ? ''
      : where((entry) => `metadata @> ${entry}`, { [metadata.name]: metadata.value }),
  ];
  const { rows } = await db.query<WebhookRow>(
    `select ${webhookColumns} from webhooks
     where account_id = $1 and deleted_at is null${conditions.join('')}
     order by id desc limit $2`,
    values,
  );
  return rows;
}

/** Run in the transaction of a change: `first` before it, `record` after it, where there was something to change. */
type DuringChange = {
  first?: ((client: Client) => Promise<void>) | undefined;
  requireChangeable?: (was: ChangedRow) => void;
  record?: (client: Client) => Promise<void>;
};

/** Changes a webhook, and then its deliveries as far as a call does that. Null: there is no such webhook. */
export async function updateWebhook(
  pool: Pool,
  accountId: string,
  id: string,
  patch: WebhookChange & PolicyToWrite,
  { first, requireChangeable, record }: DuringChange = {},
): Promise<WebhookRow | Taken | null> {
  try {
    const changed = await withTransaction(pool, async (client) => {
      await first?.(client);
      const done = await changeWebhook(client, accountId, id, patch, requireChangeable);
      if (done) await record?.(client);
      return done;
    });
    if (changed?.isChanged) await syncDeliveries(pool, id);
    return changed?.row ?? null;
  } catch (error) {
    if (isTaken(error)) return 'external_id_taken';
    throw error;
  }
}

/** A webhook that is about to be changed. */
type ChangedRow = Pick<WebhookRow, 'active' | 'url' | 'events' | 'format'>;

const isTaken = (error: unknown): boolean =>
  error instanceof Error && (error as { constraint?: unknown }).constraint === 'webhooks_external_id';

/**
 * When the webhook becomes inactive, waiting deliveries become held; when it becomes active, held ones are delivered, oldest
 * first. Either ends a pause. The caller syncs the deliveries where `isChanged`, and the reconciler those that are too many for a call.
 */
export async function changeWebhook(
  client: Client,
  accountId: string,
  id: string,
  patch: WebhookChange & PolicyToWrite,
  requireChangeable?: (was: ChangedRow) => void,
) {
  const before = await client.query<ChangedRow>(
    `select active, url, events, format from webhooks where id = $1 and account_id = $2 and deleted_at is null for update`,
    [id, accountId],
  );
  const [was] = before.rows;
  if (!was) return null;
  requireChangeable?.(was);
  const isChanged = patch.active !== undefined && patch.active !== was.active;
  await writePolicy(client, id, patch);
  if (patch.probe_when_down === false || patch.probe_when_down === null)
    await stepPacingByHand(client, id, 'switched_off');
  else if ((patch.active === true && isChanged) || (patch.url ?? was.url) !== was.url)
    await stepPacingByHand(client, id, 'activated');
  const { rows } = await client.query<WebhookRow>(
    `update webhooks set
       -- Another receiver has not requested to wait.
       deferred_until = case when coalesce($2::text, url) = url then deferred_until end,
       url = coalesce($2, url), events = coalesce($3, events),
       description = case when $4 then $5 else description end,
       active = coalesce($6, active), format = coalesce($7, format), updated_at = now(),
       external_id = case when $10 then $11 else external_id end, metadata = coalesce($12, metadata),
       activation = activation + case when $6 and not active then 1 else 0 end,
       warned_at = case when $6 and not active then null else warned_at end,
       disabled_at = case when $6 then null else disabled_at end,
       held_action = case when $8 then $9 else held_action end,
       sync_at = case when $8 then now() else sync_at end,
       sync_until = case when $8 then ${syncUntil} else sync_until end,
       paused_at = case when $6 is null then paused_at end, paused_until = case when $6 is null then paused_until end,
       pause_reason = case when $6 is null then pause_reason end,
       release_per_second = case when $6 is null then release_per_second end
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
      patch.external_id !== undefined,
      patch.external_id,
      patch.metadata,
    ],
  );
  return { row: onlyRow(rows, 'update'), isChanged };
}
