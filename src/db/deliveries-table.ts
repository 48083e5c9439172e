import {
  maxBehindCounted,
  type DeliveryStatus,
  type DeliverySummary,
  type WaitReason,
} from '../contracts/delivery.ts';
import type { StoredEntry } from '../domain/timeline.ts';
import type { Queryable } from './pool.ts';

/** The columns with which a workflow is started. */
type StartColumns = {
  id: string;
  accountId: string;
  webhookId: string;
  eventId: string;
  eventType: string;
  attemptCount: number;
  retriesUsed: number;
  nextAttemptAt: Date | null;
  waitReason: WaitReason | null;
  runId: string | null;
  /** The waits before its retries, in seconds; null: the setting. */
  schedule?: number[] | null;
};

/**
 * `bodyBytes`: of its event, where known: a group has all its bodies in memory. `mayShare`: whether its webhook's policy allows
 * that its first attempt shares a workflow, where it has not been made.
 */
export type Startable = StartColumns & { bodyBytes?: number; mayShare?: boolean };

/** `migrations/0001_initial.sql` has the legal states and the meaning of each column. */
export type DeliveryRow = StartColumns & {
  status: DeliveryStatus;
  reason: string | null;
  createdAt: Date;
  endedAt: Date | null;
  lastStatusCode: number | null;
  lastErrorCode: string | null;
  ownerId: string | null;
  /** The webhook's next probe, where the delivery is parked; null: its receiver is back. */
  nextProbeAt: Date | null;
  /** Whether it is one of a line, and the head for which it waits there; null: it does not wait for another one. */
  isInLine: boolean;
  waitsForId: string | null;
  /** Null: it is in no line, or in that of all deliveries of its webhook. */
  orderKey: string | null;
  /** Since when it has failed and blocks so many deliveries behind it, until it is retried or canceled; null: it does not. */
  blocksLine: { since: string; waiting: number } | null;
  /** Why it waits without an owner; null: it does not. */
  startAfter: 'deliver_at' | 'line' | null;
  deliverAt: Date | null;
  expiresAt: Date | null;
  timeline: StoredEntry[];
};

/** Of `deliveries d`, without the timeline, which lists do not show. */
export const summaryColumns = `id, account_id as "accountId", webhook_id as "webhookId", event_id as "eventId", event_type as "eventType",
  status, reason, created_at as "createdAt", next_attempt_at as "nextAttemptAt", wait_reason as "waitReason",
  ended_at as "endedAt", attempt_count as "attemptCount", retries_used as "retriesUsed",
  last_status_code as "lastStatusCode", last_error_code as "lastErrorCode", owner_id as "ownerId", run_id as "runId", schedule,
  start_after as "startAfter", deliver_at as "deliverAt", expires_at as "expiresAt",
  case when wait_reason = 'down' then (select next_probe_at from webhooks where webhooks.id = webhook_id) end as "nextProbeAt",
  order_key is not null as "isInLine",
  case when start_after = 'line' and status = 'pending' then (
    select nullif(l.head_id, d.id) from delivery_lines l where l.webhook_id = d.webhook_id and l.order_key = d.order_key
  ) end as "waitsForId",
  nullif(order_key, '') as "orderKey",
  case when line_position is not null and status = 'failed' then (
    select jsonb_build_object('since', l.blocked_at, 'waiting', (select count(*) from (
        select from deliveries b where b.webhook_id = l.webhook_id and b.order_key = l.order_key
          and b.line_position is not null and b.status in ('pending', 'retrying', 'held') limit ${maxBehindCounted}) as behind))
    from delivery_lines l where l.webhook_id = d.webhook_id and l.order_key = d.order_key and l.head_id = d.id
      and l.blocked_at is not null
  ) end as "blocksLine"`;

/** `traceparent`: its event's. */
export type FoundDelivery = DeliveryRow & { traceparent: string | null };

/** The input of the workflows of deliveries, in no order. */
export async function findStartFacts(db: Queryable, ids: readonly string[]) {
  const { rows } = await db.query<
    Pick<StartColumns, 'id' | 'accountId' | 'webhookId' | 'eventId' | 'eventType' | 'schedule'>
  >(
    `select id, account_id as "accountId", webhook_id as "webhookId", event_id as "eventId", event_type as "eventType", schedule
     from deliveries where id = any($1)`,
    [ids],
  );
  return rows;
}

export async function findDelivery(db: Queryable, accountId: string, id: string) {
  const { rows } = await db.query<FoundDelivery>(
    `select ${summaryColumns}, timeline,
       (select traceparent from events e where e.account_id = d.account_id and e.id = d.event_id) as traceparent
     from deliveries d where id = $1 and account_id = $2`,
    [id, accountId],
  );
  return rows[0] ?? null;
}

export function toSummary(row: Omit<DeliveryRow, 'timeline'>): DeliverySummary {
  const isScheduled = row.status === 'pending' && row.startAfter === 'deliver_at';
  // The time in the row of a parked delivery is when it fails.
  const isParked = row.waitReason === 'down';
  const nextAttemptAt = isScheduled ? row.deliverAt : isParked ? null : row.nextAttemptAt;
  return {
    id: row.id,
    event_id: row.eventId,
    event: row.eventType,
    webhook_id: row.webhookId,
    status: row.status,
    reason: row.reason,
    created_at: row.createdAt.toISOString(),
    next_attempt_at: nextAttemptAt?.toISOString() ?? null,
    ended_at: row.endedAt?.toISOString() ?? null,
    expires_at: row.expiresAt?.toISOString() ?? null,
    order_key: row.orderKey,
    blocks_line: row.blocksLine && { ...row.blocksLine, since: new Date(row.blocksLine.since).toISOString() },
    waits_for: waitsForOf(row),
    attempt_count: row.attemptCount,
    last_status_code: row.lastStatusCode,
    last_error_code: row.lastErrorCode,
  };
}

function waitsForOf(row: Omit<DeliveryRow, 'timeline'>): DeliverySummary['waits_for'] {
  const { status, waitReason, startAfter, waitsForId, nextProbeAt } = row;
  if (waitReason === 'down') return { reason: 'down', next_probe_at: nextProbeAt?.toISOString() ?? null };
  if (status === 'pending' && startAfter === 'deliver_at') return { reason: 'scheduled' };
  return waitsForId === null ? null : { reason: 'order', delivery_id: waitsForId };
}

/**
 * The deliveries to which the dispatcher assigns an owner: the condition of the index `deliveries_unowned`.
 *
 * @param row the alias of their table
 */
export const unowned = (row: string) =>
  `${row}.owner_id is null and ${row}.status = 'pending' and ${row}.start_after is null and ${row}.next_attempt_at is null`;

/** Accepted deliveries whose workflow is not started, counted up to `most`. */
export async function countNotStarted(db: Queryable, most: number): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `select count(*)::int as count from (
       (select 1 from deliveries d where ${unowned('d')} limit $1)
       union all
       (select 1 from deliveries where reconcile_at is not null and run_id is null and status in ('pending', 'retrying')
        limit $1)
       limit $1) as waiting`,
    [most],
  );
  return rows[0]?.count ?? 0;
}

/** Adds entries to a delivery's timeline, unless it has them already. */
export async function archiveEntries(db: Queryable, deliveryId: string, entries: readonly StoredEntry[]) {
  if (entries.length === 0) return;
  await db.query(
    `update deliveries set timeline = timeline || (
       select jsonb_agg(entry order by position) from jsonb_array_elements($2::jsonb) with ordinality as given(entry, position)
       where not timeline @> jsonb_build_array(entry))
     where id = $1 and not timeline @> $2::jsonb`,
    [deliveryId, JSON.stringify(entries)],
  );
}

/** Writes a new time for the next attempt of a delivery that waits; a second run of the activity changes nothing. */
export async function rescheduleDelivery(
  db: Queryable,
  { deliveryId, until, entries }: { deliveryId: string; until: Date; entries: readonly StoredEntry[] },
): Promise<void> {
  const { rowCount } = await db.query(
    `update deliveries d set next_attempt_at = $2, wait_reason = 'rescheduled', deferred_at = null,
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
    `update deliveries set next_attempt_at = $2, wait_reason = 'rescheduled', deferred_at = null
     where id = $1 and status in ('pending', 'retrying') and owner_id is not null`,
    [id, until],
  );
}

/**
 * Makes a failed or delivered delivery pending again, with the schedule that its webhook has now, unused. `own`: the caller
 * starts its own workflow; `none`: the dispatcher does, as it does with those of lines, which keep their old positions. Null: it
 * has changed since the row was read.
 */
export async function reopenDelivery(
  db: Queryable,
  { id, attemptCount }: Pick<DeliveryRow, 'id' | 'attemptCount'>,
  owner: 'own' | 'none',
  entries: readonly StoredEntry[] = [],
  operationId: string | null = null,
): Promise<DeliveryRow | null> {
  const { rows } = await db.query<DeliveryRow>(
    `update deliveries d set status = 'pending', reason = null, ended_at = null, retries_used = 0, deferred_at = null,
       schedule = (select w.schedule from webhooks w where w.id = webhook_id), schedule_since = clock_timestamp(),
       owner_id = case when $3 then id end, run_id = case when not $3 then run_id end,
       reconcile_at = case when $3 then now() + ${reconcileStartAfter} end,
       -- One that has never joined its line joins it now.
       start_after = case when line_position is not null then 'line' when order_key is not null then 'deliver_at' end,
       deliver_at = case when line_position is null and order_key is not null then now() else deliver_at end,
       timeline = timeline || $4::jsonb, operation_id = coalesce($5, operation_id)
     where id = $1 and attempt_count = $2 and status in ('failed', 'delivered') and expunged_at is null
       and coalesce(expires_at > now(), true)
     returning ${summaryColumns}, timeline`,
    [id, attemptCount, owner === 'own', JSON.stringify(entries), operationId],
  );
  return rows[0] ?? null;
}

/** How long the process that assigned an owner has to start it, before the reconciler does. See `src/dispatch/limits.ts`. */
export const reconcileStartAfter = `interval '10 seconds'`;
/** How long after its next action a running workflow is checked. */
export const reconcileRunAfter = `interval '5 minutes'`;
