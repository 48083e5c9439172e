import { operationalFamilies } from '../domain/subscription.ts';
import type { StoredEntry } from '../domain/timeline.ts';
import { isParked } from './read-queue.ts';
import type { Queryable } from './pool.ts';

/**
 * Deliveries that wait until the receiver of their webhook is back: rows without a workflow. See
 * `src/domain/webhook-limits.ts`.
 *
 * Parts of the statements that park `deliveries d`: the columns, and the last entry of the timeline. One that was parked before
 * and has not been attempted since fails at the same time as before.
 */
const until = `coalesce(d.deferred_at, now()) + (hold_until() - now())`;
export const parking = {
  set: {
    status: `'pending'`,
    waitReason: `'down'`,
    deferredAt: `coalesce(d.deferred_at, now())`,
    nextAttemptAt: until,
  },
  entry: `timeline_entry('wait', clock_timestamp(), jsonb_build_object('reason', 'down', 'until', time_text(${until}),
    'seconds', round(extract(epoch from ${until} - clock_timestamp()), 3)))`,
};

/** How many deliveries before the given one were released and have not got a slot yet, up to `most`. */
export async function countReleased(
  db: Queryable,
  webhookId: string,
  before: string,
  most: number,
): Promise<number> {
  const { rows } = await db.query<{ count: number }>({
    name: 'count-released',
    text: `select count(*)::int as count from (
        select 1 from deliveries d
        where webhook_id = $1 and status = 'pending' and start_after is null and wait_reason is null and id < $2
          and split_part(event_type, '.', 1) <> all($3)
          and not exists (select 1 from rate_limit_grants g where g.delivery_id = d.id and g.number = d.attempt_count + 1)
        order by id limit $4) as released`,
    values: [webhookId, before, operationalFamilies, most],
  });
  return rows[0]?.count ?? 0;
}

/** Lets the dispatcher start the oldest parked deliveries of a webhook. Returns how many. */
export async function releaseParked(db: Queryable, webhookId: string, most: number): Promise<number> {
  const { rowCount } = await db.query({
    name: 'release-parked',
    text: `update deliveries d set next_attempt_at = null, wait_reason = null
      from (select id from deliveries where webhook_id = $1 and ${isParked} order by id limit $2 for update skip locked) as first
      where d.id = first.id`,
    values: [webhookId, most],
  });
  return rowCount ?? 0;
}

/** Lets one be started, whatever its position: it is parked again unless its attempt is granted. False: it is not parked. */
export async function releaseOne(db: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `update deliveries set next_attempt_at = null, wait_reason = null where id = $1 and ${isParked}`,
    [id],
  );
  return rowCount === 1;
}

/** Gives a parked delivery a time, with a workflow that the reconciler starts. False: it is not parked. */
export async function rescheduleParked(
  db: Queryable,
  { id, until, entries }: { id: string; until: Date; entries: readonly StoredEntry[] },
): Promise<boolean> {
  const { rowCount } = await db.query(
    `update deliveries set next_attempt_at = $2, wait_reason = 'rescheduled', deferred_at = null, owner_id = id, run_id = null,
       reconcile_at = now(), timeline = timeline || $3::jsonb
     where id = $1 and ${isParked}`,
    [id, until, JSON.stringify(entries)],
  );
  return rowCount === 1;
}
