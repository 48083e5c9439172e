import type { StoredEntry } from '../domain/timeline.ts';
import { archiveEntries } from './deliveries-table.ts';
import { isBlocking } from './delivery-filters.ts';
import { acceptExpired, expiry, type Expired } from './failed-deliveries.ts';
import { whyRemoved, type WhyRemoved } from './event-log.ts';
import { withTransaction, type Pool, type Queryable } from './pool.ts';

export type Stopped = 'held' | 'canceled' | 'ended' | 'goes_on';

type Run = {
  deliveryId: string;
  /** The workflow that calls, and stops by the result. */
  ownerId: string;
  /** The run's entries since its last step. */
  notes: readonly StoredEntry[];
};

/**
 * Whether a run that is about to make an attempt has to stop instead: the delivery or its webhook has changed, or the payload
 * was removed. Both rows are locked meanwhile.
 */
export async function stopOrGoOn(pool: Pool, { deliveryId, ownerId, notes }: Run): Promise<Stopped> {
  return withTransaction(pool, async (client) => {
    // The webhook first, in the order of every transaction that changes webhooks.
    const { rows } = await client.query<{ active: boolean; isDeleted: boolean }>(
      `select active, deleted_at is not null as "isDeleted" from webhooks
       where id = (select webhook_id from deliveries where id = $1) for share`,
      [deliveryId],
    );
    const found = await client.query<{ status: string; ownerId: string | null; removed: WhyRemoved | null }>(
      `select d.status, d.owner_id as "ownerId",
         (select ${whyRemoved} from events e where e.account_id = d.account_id and e.id = d.event_id) as removed
       from deliveries d where d.id = $1 for update`,
      [deliveryId],
    );
    const [webhook] = rows;
    const [delivery] = found.rows;
    if (!webhook || !delivery) return 'ended';
    const { status } = delivery;
    const isOwner = delivery.ownerId === ownerId;
    if (status === 'delivered' || status === 'failed' || !isOwner) {
      await archiveEntries(client, deliveryId, notes);
      if (isOwner && status === 'failed')
        await client.query(`update deliveries set reconcile_at = null where id = $1`, [deliveryId]);
      return 'ended';
    }
    if (status === 'canceled') {
      await archiveEntries(client, deliveryId, notes);
      await client.query(`update deliveries set reconcile_at = null where id = $1`, [deliveryId]);
      return 'canceled';
    }
    if (webhook.isDeleted || delivery.removed) {
      await archiveEntries(client, deliveryId, notes);
      const removed = delivery.removed === 'expunged' ? 'expunged' : 'payload_removed';
      await endCanceled(client, [deliveryId], webhook.isDeleted ? 'webhook_deleted' : removed);
      return 'canceled';
    }
    if (webhook.active) {
      // Held, and its webhook is active again: the run continues it.
      if (status === 'held')
        await client.query(
          `update deliveries set status = 'pending', held_until = null, reconcile_at = now() + interval '5 minutes',
             timeline = timeline || timeline_entry('released', clock_timestamp())
           where id = $1`,
          [deliveryId],
        );
      return 'goes_on';
    }
    await archiveEntries(client, deliveryId, notes);
    await client.query(
      `update deliveries set status = 'held', next_attempt_at = null, wait_reason = null, deferred_at = null, owner_id = null,
         held_until = coalesce(held_until, hold_until_after(deliver_at)), reconcile_at = coalesce(held_until, hold_until_after(deliver_at)),
         timeline = case when status = 'held' then timeline else timeline || timeline_entry('held', clock_timestamp()) end
       where id = $1`,
      [deliveryId],
    );
    return 'held';
  });
}

/** `reason`: such as `terminated`, by an operator in Temporal. */
export async function endCanceled(db: Queryable, ids: readonly string[], reason: string): Promise<void> {
  await db.query(
    `update deliveries set status = 'canceled', reason = $2, ended_at = ended.at, next_attempt_at = null, wait_reason = null,
       held_until = null, reconcile_at = null,
       timeline = timeline || timeline_entry('ended', ended.at, jsonb_build_object('status', 'canceled', 'reason', $2::text))
     from (select date_trunc('milliseconds', clock_timestamp()) as at) as ended
     where id = any($1) and status in ('pending', 'retrying', 'held')`,
    [ids, reason],
  );
}

/**
 * Cancels a waiting or held delivery. The reconciler stops its workflow, unless that is the caller. Null: it had ended before.
 *
 * @param entries added to the timeline before the end
 */
export async function cancelDelivery(
  db: Queryable,
  { deliveryId, entries, isByRun }: { deliveryId: string; entries: readonly StoredEntry[]; isByRun: boolean },
): Promise<Date | null> {
  const { rows } = await db.query<{ endedAt: Date }>(
    `update deliveries d set status = 'canceled', reason = 'canceled', ended_at = ended.at, next_attempt_at = null,
       wait_reason = null, held_until = null,
       reconcile_at = case when not $3 and owner_id is not null then now() end,
       timeline = timeline || $2::jsonb || jsonb_build_array(
         (timeline_entry('ended', ended.at, '{"status": "canceled", "reason": "canceled"}') -> 0)
           - case when $3 then 'outside' else '' end)
     from (select date_trunc('milliseconds', clock_timestamp()) as at) as ended
     where id = $1 and status in ('pending', 'retrying', 'held')
     returning ended_at as "endedAt"`,
    [deliveryId, JSON.stringify(entries), isByRun],
  );
  if (rows[0] || !isByRun) return rows[0]?.endedAt ?? null;
  // An earlier run of the same activity wrote it and ended before it could report that.
  const written = await db.query<{ endedAt: Date }>(
    `select ended_at as "endedAt" from deliveries
     where id = $1 and status = 'canceled' and reason = 'canceled' and timeline @> $2::jsonb`,
    [deliveryId, JSON.stringify(entries)],
  );
  return written.rows[0]?.endedAt ?? null;
}

/** Cancels a delivery that has failed and blocks its line. Null: it does not block one. */
export async function cancelBlocking(
  db: Queryable,
  deliveryId: string,
  entries: readonly StoredEntry[],
): Promise<Date | null> {
  const { rows } = await db.query<{ endedAt: Date }>(
    `update deliveries d set status = 'canceled', reason = 'canceled', ended_at = ended.at,
       timeline = timeline || $2::jsonb || timeline_entry('ended', ended.at, '{"status": "canceled", "reason": "canceled"}')
     from (select date_trunc('milliseconds', clock_timestamp()) as at) as ended
     where d.id = $1 and ${isBlocking}
     returning ended_at as "endedAt"`,
    [deliveryId, JSON.stringify(entries)],
  );
  return rows[0]?.endedAt ?? null;
}

/**
 * Ends a held delivery as failed when its time is over, and emits `delivery.failed` for it. False: it is no longer held, or is
 * checked again later.
 */
export async function expireHeld(pool: Pool, id: string): Promise<boolean> {
  const hasExpired = await withTransaction(pool, async (client) => {
    const { rows } = await client.query<Expired>(
      `update deliveries d set ${expiry.set}, reconcile_at = null, timeline = d.timeline || ${expiry.entry}
       from ${expiry.from}
       where d.id = $1 and d.status = 'held' and d.held_until <= now()
         and not exists (select 1 from webhooks w where w.id = d.webhook_id and w.active and w.deleted_at is null)
       returning ${expiry.returning}`,
      [id],
    );
    await acceptExpired(client, rows);
    return rows.length === 1;
  });
  if (hasExpired) return true;
  await pool.query(
    `update deliveries set reconcile_at = greatest(held_until, now() + interval '10 seconds')
     where id = $1 and status = 'held' and owner_id is null`,
    [id],
  );
  // Its webhook is active: it is released, not expired.
  await pool.query(
    `update webhooks set sync_at = now()
     where id = (select webhook_id from deliveries where id = $1 and status = 'held' and held_until <= now())`,
    [id],
  );
  return false;
}
