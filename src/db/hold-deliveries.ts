import type { DeliveryStatus } from '../contracts/delivery.ts';
import type { Queryable } from './pool.ts';

/** A webhook may have hundreds of thousands of deliveries that wait; about 8,000 are changed in a second. */
async function changeMany(db: Queryable, text: string, values: unknown[]): Promise<void> {
  await db.query(`set local statement_timeout = '10min'`);
  const query = { text, values, query_timeout: 600_000 };
  await db.query(query);
}

const utc = (moment: string) => `to_char(${moment} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** Spelled out: what is pending is in an index of its own, and a list would be looked for in neither. */
const isOneOf = (statuses: readonly DeliveryStatus[]) =>
  `(${statuses.map((status) => `status = '${status}'`).join(' or ')})`;

/**
 * Holds all that waits for these webhooks, as long as the setting says. Where a workflow carries the delivery, the sweep tells it, and
 * the run itself adds the entry to the timeline when it stops.
 */
export async function holdDeliveries(db: Queryable, webhookIds: readonly string[]): Promise<void> {
  if (webhookIds.length === 0) return;
  await changeMany(
    db,
    `update deliveries set status = 'held', next_attempt_at = null, slot = null,
       held_until = hold_until(),
       check_at = case when workflow_id is not null then now() else hold_until() end,
       timeline = case when workflow_id is null
         then timeline || jsonb_build_array(jsonb_build_object('at', ${utc('clock_timestamp()')}, 'type', 'held'))
         else timeline end
     where webhook_id = any($1) and ${isOneOf(['pending', 'retrying'])}`,
    [webhookIds],
  );
}

/** What is held is due at once; the sweep starts the oldest first. The cap's numbers that nothing came of are free again. */
export async function releaseDeliveries(db: Queryable, webhookId: string): Promise<void> {
  await db.query(
    `update webhook_slots s set last_slot = coalesce((select max(slot) from attempts a where a.webhook_id = $1), 0)
     where s.webhook_id = $1`,
    [webhookId],
  );
  await changeMany(
    db,
    `update deliveries set status = 'pending', run_id = null, held_until = null, check_at = now()
     where webhook_id = $1 and status = 'held'`,
    [webhookId],
  );
}

/** Ends what is held for a webhook: it is never sent. */
export async function discardHeldDeliveries(db: Queryable, webhookId: string): Promise<void> {
  await endWaiting(db, webhookId, ['held'], 'discarded');
}

/** Ends all that waits for a webhook that is deleted. */
export async function cancelDeliveries(db: Queryable, webhookId: string): Promise<void> {
  await endWaiting(db, webhookId, ['pending', 'retrying', 'held'], 'webhook_deleted');
}

async function endWaiting(
  db: Queryable,
  webhookId: string,
  statuses: readonly DeliveryStatus[],
  reason: string,
): Promise<void> {
  await changeMany(
    db,
    `update deliveries set status = 'canceled', reason = $2, next_attempt_at = null, slot = null, held_until = null,
       ended_at = ended.at,
       check_at = case when workflow_id is not null then now() end,
       timeline = case when workflow_id is null or status = 'held'
         then timeline || jsonb_build_array(jsonb_build_object(
           'at', ${utc('ended.at')}, 'type', 'ended', 'status', 'canceled', 'reason', $2::text))
         else timeline end
     from (select date_trunc('milliseconds', clock_timestamp()) as at) as ended
     where webhook_id = $1 and ${isOneOf(statuses)}`,
    [webhookId, reason],
  );
}

/** A held delivery whose time is over fails. False where it is not held any longer. */
export async function expireDelivery(db: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `update deliveries set status = 'failed', reason = 'expired', ended_at = ended.at, check_at = null,
       timeline = timeline || jsonb_build_array(jsonb_build_object(
         'at', ${utc('ended.at')}, 'type', 'ended', 'status', 'failed', 'reason', 'expired'))
     from (select date_trunc('milliseconds', clock_timestamp()) as at) as ended
     where id = $1 and status = 'held' and held_until <= now()`,
    [id],
  );
  return rowCount === 1;
}

/** The sweep has nothing to do for a held delivery before it expires. */
export async function keepUntilExpiry(db: Queryable, id: string): Promise<void> {
  await db.query(`update deliveries set check_at = held_until where id = $1 and status = 'held'`, [id]);
}
