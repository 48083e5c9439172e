import type { DeliveryStatus, DeliverySummary, TimelineEntry } from '../contracts/delivery.ts';
import type { StoredEntry } from '../domain/timeline.ts';
import type { Queryable } from './pool.ts';

export type DeliveryRow = {
  id: string;
  accountId: string;
  webhookId: string;
  eventId: string;
  eventType: string;
  status: DeliveryStatus;
  reason: string | null;
  createdAt: Date;
  nextAttemptAt: Date | null;
  endedAt: Date | null;
  attemptCount: number;
  lastStatusCode: number | null;
  lastErrorCode: string | null;
  /** What carries it: its own workflow, which has its id, or a group's; null: not settled yet. */
  workflowId: string | null;
  runId: string | null;
  timeline: StoredEntry[];
};

/** Without the timeline, which lists do not show. */
export const summaryColumns = `id, account_id as "accountId", webhook_id as "webhookId", event_id as "eventId", event_type as "eventType",
  status, reason, created_at as "createdAt", next_attempt_at as "nextAttemptAt", ended_at as "endedAt",
  attempt_count as "attemptCount", last_status_code as "lastStatusCode", last_error_code as "lastErrorCode",
  workflow_id as "workflowId", run_id as "runId"`;

/** `traceparent`: its event's. */
export type FoundDelivery = DeliveryRow & { traceparent: string | null };

export async function findDelivery(
  db: Queryable,
  accountId: string,
  id: string,
): Promise<FoundDelivery | null> {
  const { rows } = await db.query<FoundDelivery>(
    `select ${summaryColumns}, timeline,
       (select traceparent from events e where e.account_id = d.account_id and e.id = d.event_id) as traceparent
     from deliveries d where id = $1 and account_id = $2`,
    [id, accountId],
  );
  return rows[0] ?? null;
}

export function toSummary(row: Omit<DeliveryRow, 'timeline'>): DeliverySummary {
  return {
    id: row.id,
    event_id: row.eventId,
    event: row.eventType,
    webhook_id: row.webhookId,
    status: row.status,
    reason: row.reason,
    created_at: row.createdAt.toISOString(),
    next_attempt_at: row.nextAttemptAt?.toISOString() ?? null,
    ended_at: row.endedAt?.toISOString() ?? null,
    attempt_count: row.attemptCount,
    last_status_code: row.lastStatusCode,
    last_error_code: row.lastErrorCode,
  };
}

/** What a workflow is started with. */
export type Startable = Pick<
  DeliveryRow,
  'id' | 'accountId' | 'webhookId' | 'eventId' | 'eventType' | 'attemptCount'
> & {
  /** Of its event, where it is known: what is sent together is in memory together. */
  bodyBytes?: number;
};

/** After Temporal acknowledged the runs, never before. The sweep looks again in 5 minutes if nothing came of it. */
export async function markStarted(
  db: Queryable,
  started: readonly { id: string; runId: string }[],
): Promise<void> {
  await db.query({
    name: 'mark-started',
    text: `update deliveries d set run_id = s.run_id,
        check_at = case when d.status = 'pending' then now() + interval '5 minutes' else d.check_at end
      from unnest($1::text[], $2::text[]) as s(id, run_id) where d.id = s.id`,
    values: [started.map(({ id }) => id), started.map(({ runId }) => runId)],
  });
}

export type DueForCheck = Startable &
  Pick<DeliveryRow, 'status' | 'workflowId' | 'runId' | 'timeline'> & { isDeferred: boolean };

const claim = (due: string) => `update deliveries d set check_at = now() + interval '30 seconds'
      from (${due} limit $1 for update skip locked) as due
      where d.id = due.id
      returning d.id, d.account_id as "accountId", d.webhook_id as "webhookId", d.event_id as "eventId",
        d.event_type as "eventType", d.attempt_count as "attemptCount", d.status, d.workflow_id as "workflowId",
        d.run_id as "runId", d.timeline,
        (select octet_length(e.body) from events e where e.account_id = d.account_id and e.id = d.event_id) as "bodyBytes", d.slot is not null as "isDeferred"`;

/**
 * Claims deliveries whose row and workflow may disagree, for 30 seconds, so that several processes share the work.
 * Oldest first.
 */
export async function claimDueForCheck(db: Queryable, limit: number): Promise<DueForCheck[]> {
  const { rows } = await db.query<DueForCheck>({
    name: 'claim-due-for-check',
    text: claim('select id from deliveries where check_at <= now() order by check_at, id'),
    values: [limit],
  });
  return inOrder(rows);
}

/**
 * Claims deliveries that nothing carries and nobody looks after, in the same way. Those younger than `id` are left to the
 * process that accepted them.
 */
export async function claimWaiting(db: Queryable, limit: number, id: string): Promise<DueForCheck[]> {
  const { rows } = await db.query<DueForCheck>({
    name: 'claim-waiting',
    text: claim(`select id from deliveries where run_id is null and status = 'pending' and id < $2
        and case when workflow_id is null and check_at is null then true else false end order by id`),
    values: [limit, id],
  });
  return inOrder(rows);
}

const inOrder = (rows: DueForCheck[]) => rows.sort((a, b) => (a.id < b.id ? -1 : 1));

/** Gives claimed ones that nothing carries back to those that wait. */
export async function leaveWaiting(db: Queryable, ids: readonly string[]): Promise<void> {
  await db.query(
    `update deliveries set check_at = null
     where id = any($1) and workflow_id is null and status = 'pending'`,
    [ids],
  );
}

/** When the sweep looks again: after so many seconds, or never. Only where the row still waits as it did. */
export async function setNextCheck(
  db: Queryable,
  ids: readonly string[],
  status: DeliveryStatus,
  seconds: number | null,
): Promise<void> {
  await db.query(
    `update deliveries set check_at = now() + make_interval(secs => $3)
     where id = any($1) and status = $2 and check_at is not null`,
    [ids, status, seconds],
  );
}

/** Accepted deliveries whose workflow is not started, counted up to `most`. */
export async function countNotStarted(db: Queryable, most: number): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `select count(*)::int as count from (
       select 1 from deliveries where run_id is null and status = 'pending' limit $1) as waiting`,
    [most],
  );
  return rows[0]?.count ?? 0;
}

/** A failed or delivered one that is to run again: it waits from now on, unless an attempt came first. */
export async function reopenDelivery(
  db: Queryable,
  id: string,
  attemptCount: number,
  runId: string,
): Promise<void> {
  await db.query(
    `update deliveries set status = 'pending', reason = null, ended_at = null, workflow_id = id, run_id = $3,
       check_at = now() + interval '5 minutes'
     where id = $1 and attempt_count = $2 and status in ('failed', 'delivered')`,
    [id, attemptCount, runId],
  );
}

/** A delivery whose workflow was terminated from outside: it ends canceled, as the operator asked. */
export async function endTerminated(db: Queryable, id: string): Promise<void> {
  const at = new Date();
  const entry: TimelineEntry = {
    at: at.toISOString(),
    type: 'ended',
    status: 'canceled',
    reason: 'terminated',
  };
  await db.query(
    `update deliveries set status = 'canceled', reason = 'terminated', ended_at = $2, next_attempt_at = null, check_at = null,
       timeline = timeline || $3::jsonb
     where id = $1 and status in ('pending', 'retrying')`,
    [id, at, JSON.stringify([entry])],
  );
}

/** The new time is shown at once; the delivery's workflow makes it true. */
export async function showRescheduled(db: Queryable, id: string, until: Date): Promise<void> {
  await db.query(
    `update deliveries set next_attempt_at = $2 where id = $1 and status in ('pending', 'retrying')`,
    [id, until],
  );
}

/** Wakes all that the hourly cap defers, for the cap is another one now: each is given its time anew. */
export async function wakeDeferred(db: Queryable): Promise<void> {
  await db.query(
    `update deliveries set check_at = now() where slot is not null and status in ('pending', 'retrying')`,
  );
}
