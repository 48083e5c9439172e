import type { StoredEntry } from '../domain/timeline.ts';
import { archiveEntries, reconcileRunAfter } from './deliveries-table.ts';
import type { Queryable } from './pool.ts';

/** Writes a new time for the next attempt of a delivery that waits; a second run of the activity changes nothing. */
export async function rescheduleDelivery(
  db: Queryable,
  { deliveryId, until, entries }: { deliveryId: string; until: Date; entries: readonly StoredEntry[] },
): Promise<void> {
  const { rowCount } = await db.query(
    `update deliveries d set next_attempt_at = $2, wait_reason = 'rescheduled',
       reconcile_at = greatest(now(), $2::timestamptz) + ${reconcileRunAfter},
       timeline = case when d.timeline @> $3::jsonb then d.timeline else d.timeline || $3::jsonb end
     where id = $1 and status in ('pending', 'retrying') and owner_id = id`,
    [deliveryId, until, JSON.stringify(entries)],
  );
  // It was held or canceled at this moment: the run finds out when it next reads the row.
  if (rowCount === 0) await archiveEntries(db, deliveryId, entries);
}

/** Shows the new time at once and gives up the rate-limit slot. The workflow applies it. */
export async function showRescheduled(db: Queryable, id: string, until: Date): Promise<void> {
  await db.query(
    `update deliveries set next_attempt_at = $2, wait_reason = 'rescheduled'
     where id = $1 and status in ('pending', 'retrying') and owner_id is not null`,
    [id, until],
  );
}
