import { checkBlockedLines } from './delivery-lines.ts';
import { wipeResponsesOf } from './idempotency-keys.ts';
import { withTransaction, type Client, type Pool } from './pool.ts';
import { syncDeliveries, syncUntil } from './sync-deliveries.ts';

/** Deletes a webhook: wipes its secrets and cancels its waiting deliveries. False: there is none. */
export async function deleteWebhook(
  pool: Pool,
  accountId: string,
  id: string,
  { record }: { record?: (client: Client) => Promise<void> } = {},
): Promise<boolean> {
  const isDeleted = await withTransaction(pool, async (client) => {
    const { rowCount } = await client.query(
      `update webhooks set deleted_at = now(), updated_at = now(), active = false, sealed_secret = null,
         previous_sealed_secret = null, previous_secret_until = null, sealed_signing_key = null,
         previous_sealed_signing_key = null, sync_at = now(), sync_until = ${syncUntil},
         header_names = '{}', sealed_headers = null, auth = null, sealed_auth = null,
         paused_at = null, paused_until = null, pause_reason = null
       where id = $1 and account_id = $2 and deleted_at is null`,
      [id, accountId],
    );
    if (rowCount !== 1) return false;
    await wipeResponsesOf(client, id);
    await checkBlockedLines(client, id);
    await record?.(client);
    return true;
  });
  if (!isDeleted) return false;
  await syncDeliveries(pool, id);
  return true;
}
