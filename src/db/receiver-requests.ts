import { newId } from '../domain/ids.ts';
import { acceptOperationalEvents } from './operational-events.ts';
import { withTransaction, type Pool } from './pool.ts';
import { keepQueue } from './queue-checks.ts';
import { syncDeliveries, syncUntil } from './sync-deliveries.ts';

type Gone = { webhookId: string; attemptId: string };
type Disabled = { accountId: string; delivered: number; failed: number };

/**
 * Disables a webhook whose receiver responded 410 and whose policy wants that. Its waiting deliveries become held. An attempt
 * disables it once: a second call does nothing, also where the webhook is active again.
 *
 * @returns whether it was disabled now
 */
export async function disableGone(pool: Pool, { webhookId, attemptId }: Gone): Promise<boolean> {
  const isDisabled = await withTransaction(pool, async (client) => {
    const { rows } = await client.query<Disabled>(
      `select w.account_id as "accountId", coalesce(s.delivered, 0)::int as delivered, coalesce(s.failed, 0)::int as failed
       from webhooks w
       left join lateral (
         select sum(delivered) as delivered, sum(failed) as failed from webhook_stats
         where webhook_id = w.id and activation = w.activation and minute > now() - interval '24 hours'
       ) as s on true
       where w.id = $1 and w.active and w.deleted_at is null for update of w`,
      [webhookId],
    );
    const [webhook] = rows;
    if (!webhook) return false;
    const { accountId, delivered, failed } = webhook;
    // Its record has an id of the attempt: of several calls for one attempt, the first one writes it.
    const written = await client.query(
      `insert into audit_records (id, account_id, actor, action, target)
       values ($1, $2, 'gone', 'webhook.disabled', $3) on conflict (id) do nothing`,
      [attemptId.replace(/^att_/, 'aud_'), accountId, webhookId],
    );
    if (written.rowCount === 0) return false;
    const ended = delivered + failed;
    await client.query(
      `update webhooks set active = false, updated_at = now(), sync_at = now(), sync_until = ${syncUntil},
         disabled_at = now(), disabled_reason = 'gone', disabled_ended = $2, disabled_failed = $3 where id = $1`,
      [webhookId, ended, failed],
    );
    const failure_rate = ended === 0 ? null : failed / ended;
    await acceptOperationalEvents(client, [
      {
        accountId,
        id: newId('evt'),
        type: 'webhook.disabled',
        data: { webhook_id: webhookId, reason: 'gone', ended, failed, failure_rate },
        webhookId,
      },
    ]);
    return true;
  });
  if (isDisabled) await syncDeliveries(pool, webhookId);
  return isDisabled;
}

/** No attempt of the webhook is made until then, at least: its receiver has requested that. */
export async function deferWebhook(pool: Pool, webhookId: string, until: Date): Promise<void> {
  await pool.query({
    name: 'defer-webhook',
    text: `update webhooks set deferred_until = $2
      where id = $1 and (deferred_until is null or deferred_until < $2)`,
    values: [webhookId, until],
  });
  await keepQueue(pool, webhookId);
}
