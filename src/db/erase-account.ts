import { setTimeout as delay } from 'node:timers/promises';
import { insertAuditRecord } from './audit-records.ts';
import { withTransaction, type Pool, type Queryable } from './pool.ts';
import { deleteWebhook } from './delete-webhook.ts';

/**
 * Erases an account that is being deleted. Its webhooks are deleted, which cancels their deliveries. Deliveries that have ended
 * and whose workflow was stopped are removed, and events without a delivery. At last everything else is, and the account itself.
 * The rows show the next step, so a run continues where another one stopped.
 *
 * A statement that publishes may have begun before the deletion and commit after it. So the last part waits until no such
 * statement is left, as `syncUntil` does for a deleted webhook.
 */
const grace = `interval '70 seconds'`;

/** Rows that one statement removes: done in well under a second. */
const batchSize = 500;
const webhooksAtOnce = 20;
const pauseMs = 100;
/** The longest run: short, so that a worker that stops need not wait for it. */
const maxMs = 5000;

/** One batch. $1: the account; $2: the maximum of rows. */
type Step = { table: string; sql: string };

/** Removes rows and adds their number to the account's count. `found`: their keys. */
const removeCounted = (table: 'deliveries' | 'events' | 'webhooks', found: string, also = ''): Step => ({
  table,
  sql: `with old as materialized (${found} limit $2 for update skip locked)${also},
      removed as (delete from ${table} t using old where t.account_id = $1 and t.id = old.id returning 1)
    update accounts set erased_${table} = erased_${table} + (select count(*) from removed)
    where id = $1 and exists (select 1 from removed) returning (select count(*)::int from removed) as removed`,
});

/** Removes the rows that name a deleted webhook of the account. */
const removeOfWebhooks = (table: string, key: readonly string[]): Step => ({
  table,
  sql: `with old as materialized (
      select ${key.map((column) => `t.${column}`).join(', ')} from webhooks w join ${table} t on t.webhook_id = w.id
      where w.account_id = $1 and w.deleted_at is not null limit $2)
    delete from ${table} t using old where ${key.map((column) => `t.${column} = old.${column}`).join(' and ')}`,
});

/** Removes the rows that name the account. */
const removeOfAccount = (table: string, key: readonly string[], condition = 'true'): Step => ({
  table,
  sql: `with old as materialized (select ${key.join(', ')} from ${table} where account_id = $1 and ${condition} limit $2)
    delete from ${table} t using old where ${key.map((column) => `t.${column} = old.${column}`).join(' and ')}`,
});

/** While deliveries are being stopped. */
const firstSteps: readonly Step[] = [
  removeCounted(
    'deliveries',
    `select id from deliveries where account_id = $1 and status in ('delivered', 'failed', 'canceled')
       and reconcile_at is null order by account_id, id`,
    `, their_attempts as (delete from attempts a using old where a.delivery_id = old.id),
      their_grants as (delete from rate_limit_grants g using old where g.delivery_id = old.id)`,
  ),
  removeCounted(
    'events',
    `select id from events e where account_id = $1
       and (select 1 from deliveries d where d.account_id = e.account_id and d.event_id = e.id limit 1) is null
     order by account_id, id`,
  ),
];

/** When nothing of the account can be under way any longer. */
const lastSteps: readonly Step[] = [
  removeOfAccount('operations', ['id'], `status in ('completed', 'canceled')`),
  removeOfWebhooks('webhook_stats', ['webhook_id', 'minute', 'activation']),
  removeOfWebhooks('webhook_stats_hours', ['webhook_id', 'hour']),
  removeOfWebhooks('failure_counts', ['webhook_id', 'minute']),
  removeOfWebhooks('rate_limit_grants', ['delivery_id', 'number']),
  removeOfWebhooks('rate_limit_queues', ['webhook_id']),
  removeOfWebhooks('delivery_lines', ['webhook_id', 'order_key']),
  removeOfWebhooks('line_checks', ['id']),
  removeCounted(
    'webhooks',
    `select id from webhooks w where account_id = $1 and deleted_at is not null
       and (select 1 from operations o where o.webhook_id = w.id limit 1) is null`,
  ),
  removeOfAccount('event_type_stats', ['account_id', 'hour', 'event_type', 'part']),
  removeOfAccount('idempotency_keys', ['account_id', 'api_key_id', 'route', 'key']),
  removeOfAccount('portal_links', ['id']),
  removeOfAccount('sign_in_links', ['token_digest']),
  removeOfAccount('api_keys', ['id']),
];

/** `more`: there is more to do at once. `wait`: something of the account still runs. `end`: the account is gone. */
export type ErasedBatch = 'more' | 'wait' | 'end';

/** Erases for a few seconds. An account that does not exist, or is not being deleted, is left alone. */
export async function eraseAccount(pool: Pool, accountId: string): Promise<ErasedBatch> {
  const endAt = Date.now() + maxMs;
  const { rowCount } = await pool.query(
    `select 1 from accounts where id = $1 and deletion_requested_at is not null`,
    [accountId],
  );
  if (rowCount === 0) return 'end';
  if (!(await deleteWebhooks(pool, accountId, endAt))) return 'more';
  // A paused operation would not notice for minutes.
  await pool.query(
    `update operations set check_at = now()
     where account_id = $1 and status in ('running', 'paused') and check_at > now() + interval '30 seconds'`,
    [accountId],
  );
  if (!(await runSteps(pool, firstSteps, accountId, endAt))) return 'more';
  if (await isUnderWay(pool, accountId)) return 'wait';
  if (!(await runSteps(pool, lastSteps, accountId, endAt))) return 'more';
  return (await removeAccount(pool, accountId)) ? 'end' : 'wait';
}

/** Whether all are deleted. */
async function deleteWebhooks(pool: Pool, accountId: string, endAt: number): Promise<boolean> {
  while (Date.now() < endAt) {
    const { rows } = await pool.query<{ id: string }>(
      `select id from webhooks where account_id = $1 and deleted_at is null order by id desc limit $2`,
      [accountId, webhooksAtOnce],
    );
    for (const { id } of rows) {
      if (Date.now() > endAt) return false;
      await deleteWebhook(pool, accountId, id);
    }
    if (rows.length === 0) return true;
  }
  return false;
}

/** Whether nothing is left that the steps may remove. */
async function runSteps(
  pool: Pool,
  steps: readonly Step[],
  accountId: string,
  endAt: number,
): Promise<boolean> {
  for (const { sql } of steps) {
    for (let removed = batchSize; removed > 0;) {
      if (Date.now() > endAt) return false;
      const { rows, rowCount } = await pool.query<{ removed?: number }>(sql, [accountId, batchSize]);
      removed = rows[0]?.removed ?? rowCount ?? 0;
      if (removed === batchSize) await delay(pauseMs);
    }
  }
  return true;
}

/** Whether a delivery has not been stopped yet, or a statement of before the deletion may still commit. */
async function isUnderWay(db: Queryable, accountId: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `select 1 from accounts a where a.id = $1 and (a.deletion_requested_at > now() - ${grace}
       or (select 1 from deliveries d where d.account_id = a.id limit 1) is not null
       or (select 1 from events e where e.account_id = a.id limit 1) is not null
       or (select 1 from webhooks w where w.account_id = a.id and w.deleted_at is not null and w.sync_at is not null limit 1)
         is not null)`,
    [accountId],
  );
  return rowCount === 1;
}

/** Removes the account's row, unless something of it is left: an operation whose workflow has not ended. */
function removeAccount(pool: Pool, accountId: string): Promise<boolean> {
  return withTransaction(pool, async (client) => {
    const { rowCount } = await client.query(
      `delete from accounts a where id = $1 and deletion_requested_at is not null
         and (select 1 from webhooks w where w.account_id = a.id limit 1) is null
         and (select 1 from operations o where o.account_id = a.id limit 1) is null`,
      [accountId],
    );
    if (rowCount !== 1) return false;
    const record = { accountId, actor: 'service', action: 'account.erased' as const, target: accountId };
    await insertAuditRecord(client, record);
    return true;
  });
}

/** Tables that lose the rows of a deleted account. A test compares them with all tables. */
export const erasedTables: ReadonlySet<string> = new Set([
  'accounts',
  'attempts',
  ...[...firstSteps, ...lastSteps].map(({ table }) => table),
]);
