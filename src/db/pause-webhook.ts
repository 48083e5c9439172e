import { insertAuditRecord } from './audit-records.ts';
import { withTransaction, type Client, type Pool } from './pool.ts';
import { syncDeliveries, syncUntil } from './sync-deliveries.ts';
import { changeWebhook, findWebhook, type WebhookRow } from './webhooks-table.ts';

/** `until` null: until it is resumed. */
type Pause = { until: Date | null; reason: string | null };

type Target = {
  accountId: string;
  id: string;
  /** Runs in the same transaction. */
  record(client: Client): Promise<void>;
};

/**
 * Pauses a webhook: it becomes inactive, so that its deliveries are held. The row is the durable timer: when its time has come,
 * the reconciler activates it (`endPauses`). A second pause replaces the first. Null: there is no such webhook.
 */
export async function pauseWebhook(
  pool: Pool,
  { accountId, id, record }: Target,
  { until, reason }: Pause,
): Promise<WebhookRow | null> {
  const row = await withTransaction(pool, async (client) => {
    const { rowCount } = await client.query(
      `update webhooks set active = false, paused_at = coalesce(paused_at, now()), paused_until = $3, pause_reason = $4,
         release_per_second = null, updated_at = now(), sync_at = case when active then now() else sync_at end,
         sync_until = case when active then ${syncUntil} else sync_until end
       where id = $1 and account_id = $2 and deleted_at is null`,
      [id, accountId, until, reason],
    );
    if (rowCount === 0) return null;
    await record(client);
    return findWebhook(client, accountId, id);
  });
  if (row) await syncDeliveries(pool, id);
  return row;
}

/**
 * Activates a webhook, whether it was paused or not. Its held deliveries are sent oldest first.
 *
 * @param perSecond attempts a second until its queue is empty; null: as many as its limits allow
 */
export async function resumeWebhook(
  pool: Pool,
  target: Target,
  perSecond: number | null,
): Promise<WebhookRow | null> {
  const { id } = target;
  const changed = await withTransaction(pool, (client) => resume(client, target, perSecond));
  if (changed?.isChanged) await syncDeliveries(pool, id);
  return changed?.row ?? null;
}

async function resume(client: Client, { accountId, id, record }: Target, perSecond: number | null) {
  const changed = await changeWebhook(client, accountId, id, { active: true });
  if (!changed) return null;
  await client.query(`update webhooks set release_per_second = $2 where id = $1`, [id, perSecond]);
  // Whoever checks the queue ends the rate when it is empty; the first deliveries of a large one may not be in it yet.
  if (perSecond !== null)
    await client.query(
      `insert into rate_limit_queues (webhook_id, check_at) values ($1, now() + interval '2 seconds')
       on conflict (webhook_id) do nothing`,
      [id],
    );
  await record(client);
  return changed;
}

/**
 * Activates the webhooks whose pause is over. Several processes may do so.
 *
 * @returns their ids
 */
export async function endPauses(pool: Pool): Promise<string[]> {
  const over = `paused_until <= now() and deleted_at is null`;
  const { rowCount } = await pool.query(`select 1 from webhooks where ${over} limit 1`);
  if (rowCount === 0) return [];
  const ended = await withTransaction(pool, async (client) => {
    const { rows } = await client.query<{ id: string; accountId: string }>(
      `select id, account_id as "accountId" from webhooks
       where ${over} order by id limit 10 for update skip locked`,
    );
    for (const { id, accountId } of rows) {
      const record = (db: Client) =>
        insertAuditRecord(db, { accountId, actor: 'pause', action: 'webhook.resumed', target: id });
      await resume(client, { accountId, id, record }, null);
    }
    return rows;
  });
  for (const { id } of ended) await syncDeliveries(pool, id);
  return ended.map(({ id }) => id);
}
