import { arrayOfUnknownLength } from './columns.ts';
import {
  reconcileRunAfter,
  reconcileStartAfter,
  unowned,
  type DeliveryRow,
  type Startable,
} from './deliveries-table.ts';
import { opaque } from './opaque.ts';
import type { Queryable } from './pool.ts';

/** The columns that the dispatcher and the reconciler read of a row that they have claimed. */
export type Claimed = Startable & Pick<DeliveryRow, 'status' | 'ownerId'>;

const claimedColumns = `d.id, d.account_id as "accountId", d.webhook_id as "webhookId", d.event_id as "eventId",
  d.event_type as "eventType", d.attempt_count as "attemptCount", d.retries_used as "retriesUsed",
  d.next_attempt_at as "nextAttemptAt", d.wait_reason as "waitReason", d.status, d.owner_id as "ownerId", d.run_id as "runId",
  d.schedule, (select w.may_share from webhooks w where w.id = d.webhook_id) as "mayShare"`;

/** The oldest deliveries without an owner. Inside a transaction they are locked until its end. */
export async function lockUnowned(db: Queryable, limit: number): Promise<Claimed[]> {
  const { rows } = await db.query<Claimed>({
    name: 'lock-unowned',
    text: `select ${claimedColumns},
        (select octet_length(e.body) from events e where e.account_id = d.account_id and e.id = d.event_id) as "bodyBytes"
      from deliveries d where ${unowned('d')}
      order by id limit $1 for update of d skip locked`,
    values: [limit],
  });
  return rows;
}

/** `isQueued`: this process does not start it; the next process that claims it does. */
export type Assignment = { id: string; ownerId: string; isQueued: boolean };

/** Assigns workflows that will be started as owners; returns the ids of the deliveries that had none before. */
export async function assignOwners(db: Queryable, assignments: readonly Assignment[]): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>({
    name: 'assign-owners',
    text: `update deliveries d set owner_id = a.owner_id, run_id = null,
        reconcile_at = case when a.is_queued then now() else now() + ${reconcileStartAfter} end
      from unnest(${arrayOfUnknownLength(1, 'text')}, $2::text[], $3::bool[]) as a(id, owner_id, is_queued)
      where d.id = a.id and ${opaque(unowned('d'))}
      returning d.id`,
    values: [
      assignments.map(({ id }) => id),
      assignments.map(({ ownerId }) => ownerId),
      assignments.map(({ isQueued }) => isQueued),
    ],
  });
  return rows.map(({ id }) => id);
}

/** The deliveries that the reconciler checks, as the conditions of two indexes. */
export const dueConditions = {
  start: `run_id is null and status in ('pending', 'retrying')`,
  check: `not (run_id is null and status in ('pending', 'retrying'))`,
};

/** `isDue`: the time of its next attempt has come. `lease`: until when it is claimed; another value is a later request to check. */
export type Due = Claimed & { isDue: boolean; lease: string };

/**
 * Claims deliveries that are due for the reconciler, for 30 seconds, so that several processes share the work. `start`: those
 * whose workflow Temporal has not acknowledged; `check`: all others. Those that have been due longest come first.
 */
export async function claimDue(db: Queryable, kind: 'start' | 'check', limit: number): Promise<Due[]> {
  const { rows } = await db.query<Due>({
    name: `claim-due-${kind}`,
    text: `update deliveries d set reconcile_at = now() + interval '30 seconds'
      from (select id from deliveries where reconcile_at <= now() and ${dueConditions[kind]}
        order by reconcile_at, id limit $1 for update skip locked) as due
      where d.id = due.id
      returning ${claimedColumns}, coalesce(d.next_attempt_at <= now(), true) as "isDue",
        d.reconcile_at::text as lease`,
    values: [limit],
  });
  return rows.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** The present row; null: it no longer exists. */
export async function readClaimed(db: Queryable, id: string): Promise<Claimed | null> {
  const { rows } = await db.query<Claimed>(`select ${claimedColumns} from deliveries d where id = $1`, [id]);
  return rows[0] ?? null;
}

type Claim = Pick<Due, 'id' | 'lease'>;

/** Sets when the reconciler checks claimed rows again, unless a check was requested since the claim. */
export async function checkAgain(db: Queryable, claims: readonly Claim[], seconds: number): Promise<void> {
  await db.query(
    `update deliveries d set reconcile_at = now() + make_interval(secs => $3)
     from unnest($1::text[], $2::timestamptz[]) as c(id, lease)
     where d.id = c.id and d.reconcile_at = c.lease`,
    [claims.map(({ id }) => id), claims.map(({ lease }) => lease), seconds],
  );
}

/** After Temporal acknowledged a run of a claimed delivery's own workflow, never before. False: the delivery waits no longer. */
export async function markRunning(db: Queryable, { id, lease }: Claim, runId: string): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'mark-running',
    text: `update deliveries set run_id = $2,
        reconcile_at = case when reconcile_at = $3::timestamptz
          then greatest(now(), coalesce(next_attempt_at, now())) + ${reconcileRunAfter} else reconcile_at end
      where id = $1 and owner_id = $1 and status in ('pending', 'retrying')`,
    values: [id, runId, lease],
  });
  return rowCount === 1;
}

/** The running run is another one than the row's. Its next step determines when it is checked again. */
export async function writeRun(db: Queryable, id: string, runId: string): Promise<void> {
  await db.query(
    `update deliveries set run_id = $2 where id = $1 and owner_id = $1 and status in ('pending', 'retrying')`,
    [id, runId],
  );
}

/** Stores the run that shows how a delivery ended that its group's attempt ended. */
export async function markEndedRun(db: Queryable, deliveryId: string, runId: string): Promise<void> {
  await db.query(
    `update deliveries set run_id = $2 where id = $1 and owner_id = $1 and run_id is null and status = 'failed'`,
    [deliveryId, runId],
  );
}

/**
 * Assigns own workflows to a group's deliveries, due to be started. Only those that the group still owns. Called by the group
 * itself, or when it has ended.
 */
export async function moveToOwn(db: Queryable, ids: readonly string[], groupId: string): Promise<void> {
  await db.query(
    `update deliveries set owner_id = case when status = 'held' then null else id end, run_id = null,
       reconcile_at = case when status = 'held' then held_until else now() end
     where id = any($1) and owner_id = $2 and status in ('pending', 'held')`,
    [ids, groupId],
  );
}

/** For a held, canceled or expired delivery whose workflow has stopped or never existed. */
export async function dropOwner(db: Queryable, id: string, ownerId: string): Promise<void> {
  await db.query(
    `update deliveries set owner_id = case when status = 'held' then null else owner_id end,
       reconcile_at = case when status = 'held' then held_until end
     where id = $1 and owner_id = $2 and status in ('held', 'canceled', 'failed')`,
    [id, ownerId],
  );
}
