import type { DeliveryStatus } from '../contracts/delivery.ts';
import type { StoredEntry } from '../domain/timeline.ts';
import { stepCount, stepOf } from '../domain/response-times.ts';
import type { AttemptRow } from '../domain/attempt-result.ts';
import type { SentRequest, StoredResponse } from './attempts.ts';
import { columns } from './columns.ts';
import { reconcileRunAfter } from './deliveries-table.ts';
import { parking } from './parked-deliveries.ts';
import { responseToStore } from './payloads.ts';
import type { Queryable } from './pool.ts';

export type AttemptRecord = AttemptRow & {
  deliveryId: string;
  webhookId: string;
  /** The webhook's activation that the attempt counts for. */
  activation: number;
  /** Whether it counts under the hourly cap. */
  countsForCap: boolean;
  request: SentRequest;
  response: StoredResponse | null;
  /** More than the error code, for the webhook's owner. Not for Temporal: it may name hosts. */
  errorDetail: string | null;
  status: Extract<DeliveryStatus, 'retrying' | 'delivered' | 'failed'>;
  reason: string | null;
  nextAttemptAt: Date | null;
  endedAt: Date | null;
  /** The run that made the attempt: the delivery's own, or a group's. */
  run: { workflowId: string; runId: string };
  /** The run's entries since its last step, and the attempt's. */
  entries: readonly StoredEntry[];
  /** The wait or the end that follows, unless the delivery was held or canceled meanwhile. */
  nextEntries: readonly StoredEntry[];
};

const steps = Array.from({ length: stepCount }, (_, step) => step);
const stepCounts = steps.map((step) => `count(*) filter (where g.step = ${step})::int`).join(', ');
const addedSteps = steps
  .map((step) => `s.durations[${step + 1}] + excluded.durations[${step + 1}]`)
  .join(', ');

/** Rows of an account, type and hour: statements of as many connections need not wait for each other to write the same one. */
const statsParts = 8;

/** How long a delivery that its group's attempt did not deliver waits before its own workflow starts: the burst comes first. */
const leaveToBurst = `least(interval '15 seconds', (g.next_attempt_at - now()) / 2)`;

// A delivery that was held or canceled meanwhile stays so unless the attempt delivered it; a held one may also fail. A run whose
// result is not applied has nothing more to do.
const isApplied = `(g.status = 'delivered' or d.status in ('pending', 'retrying') or g.status = 'failed' and d.status = 'held')`;

/** A probe that failed uses no wait of the schedule. Its delivery is the oldest parked one again. */
const isParked = `(g.is_probe and g.status = 'retrying' and d.status in ('pending', 'retrying'))`;

/** `stored`: the stored form of the response. */
type Row = AttemptRecord & { stored: ReturnType<typeof responseToStore> };
const attempts = columns<Row>('t', {
  id: ['text', (r) => r.id],
  delivery_id: ['text', (r) => r.deliveryId],
  number: ['int', (r) => r.number],
  started_at: ['timestamptz', (r) => r.startedAt],
  duration_ms: ['int', (r) => r.durationMs],
  status_code: ['int', (r) => r.statusCode],
  outcome: ['text', (r) => r.outcome],
  error_code: ['text', (r) => r.errorCode],
  wait_seconds: ['int', (r) => r.waitSeconds],
  response_headers: ['jsonb', (r) => r.stored.headers],
  response_body: ['bytea', (r) => r.stored.body],
  response_truncated: ['bool', (r) => r.response?.truncated ?? false],
  status: ['text', (r) => r.status],
  reason: ['text', (r) => r.reason],
  next_attempt_at: ['timestamptz', (r) => r.nextAttemptAt],
  ended_at: ['timestamptz', (r) => r.endedAt],
  entries: ['jsonb', (r) => JSON.stringify(r.entries)],
  next_entries: ['jsonb', (r) => JSON.stringify(r.nextEntries)],
  webhook_id: ['text', (r) => r.webhookId],
  activation: ['int', (r) => r.activation],
  // Without a response there is no response time.
  step: ['int', (r) => (r.statusCode === null ? null : stepOf(r.durationMs))],
  workflow_id: ['text', (r) => r.run.workflowId],
  run_id: ['text', (r) => r.run.runId],
  counts_for_cap: ['bool', (r) => r.countsForCap],
  url: ['text', (r) => r.request.url],
  format: ['text', (r) => r.request.format],
  body_bytes: ['int', (r) => r.request.bodyBytes],
  headers_as: ['text', (r) => r.request.headersAs],
  error_detail: ['text', (r) => r.errorDetail],
  is_probe: ['bool', (r) => r.isProbe ?? false],
});

const recordStatement = `with given as (
    select * from ${attempts.table}
  ), updated as (
    update deliveries d set
      status = case when ${isParked} then ${parking.set.status} when ${isApplied} then g.status else d.status end,
      reason = case when ${isApplied} then g.reason else d.reason end,
      next_attempt_at = case when ${isParked} then ${parking.set.nextAttemptAt} when ${isApplied} then g.next_attempt_at end,
      wait_reason = case when ${isParked} then ${parking.set.waitReason} when ${isApplied} and g.next_attempt_at is not null then 'retry' end,
      held_until = case when ${isApplied} then null else d.held_until end,
      ended_at = case when ${isApplied} then g.ended_at else d.ended_at end,
      attempt_count = g.number,
      retries_used = d.retries_used + case when g.status = 'retrying' and not g.is_probe then 1 else 0 end,
      deferred_at = case when ${isParked} then ${parking.set.deferredAt} end,
      -- A response that is not valid HTTP has no status code.
      last_status_code = case when g.error_code is distinct from 'malformed_response' then g.status_code end,
      last_error_code = g.error_code,
      owner_id = case when not ${isApplied} then case when d.status = 'canceled' then d.owner_id end
        when ${isParked} then null
        when g.status = 'delivered' then g.workflow_id else d.id end,
      run_id = case when not ${isApplied} then d.run_id
        when g.status = 'delivered' or g.workflow_id = d.id then g.run_id end,
      reconcile_at = case when not ${isApplied} then d.held_until
        when g.status <> 'retrying' or ${isParked} then null
        when g.workflow_id = d.id then g.next_attempt_at + ${reconcileRunAfter}
        else now() + ${leaveToBurst} end,
      timeline = d.timeline || g.entries
        || case when ${isParked} then ${parking.entry} when ${isApplied} then g.next_entries else '[]' end
    from given g
    -- An attempt that is recorded already adds nothing.
    where d.id = g.delivery_id and d.attempt_count < g.number
    returning d.status as status_after, d.wait_reason is not distinct from 'down' as is_parked, d.reason is not distinct from 'expired' as has_expired, d.account_id, d.event_type,
      d.expunged_at is not null as is_expunged, g.*
  ), inserted as (
    insert into attempts (id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_code,
      wait_seconds, response_headers, response_body, response_truncated, webhook_id, counts_for_cap, url, format, body_bytes,
      headers_as, error_detail, is_probe, notified)
    select id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_code,
      case when status_after = 'retrying' then wait_seconds end, case when not is_expunged then response_headers end,
      case when not is_expunged then response_body end, response_truncated and not is_expunged,
      webhook_id, counts_for_cap, url, format, body_bytes, headers_as, case when not is_expunged then error_detail end, is_probe,
      -- Its delivery has ended during the attempt, and that was notified.
      has_expired
    from updated
  ), counted as (
    insert into webhook_stats as s (webhook_id, minute, activation, attempts, delivered, failed, durations)
    select g.webhook_id, date_trunc('minute', g.started_at + make_interval(secs => g.duration_ms / 1000.0)), g.activation,
      count(*), count(*) filter (where g.outcome = 'delivered'), count(*) filter (where g.outcome = 'failed'),
      array[${stepCounts}]
    from updated g
    group by 1, 2, 3 order by 1, 2, 3
    on conflict (webhook_id, minute, activation) do update set
      attempts = s.attempts + excluded.attempts, delivered = s.delivered + excluded.delivered,
      failed = s.failed + excluded.failed, durations = array[${addedSteps}]
  ), counted_by_type as (
    insert into event_type_stats as s (account_id, event_type, hour, part, attempts, delivered, failed)
    select account_id, event_type, date_trunc('hour', started_at + make_interval(secs => duration_ms / 1000.0)),
      pg_backend_pid() % ${statsParts}, count(*), count(*) filter (where outcome = 'delivered'),
      count(*) filter (where outcome = 'failed')
    from updated group by 1, 2, 3 order by 1, 2, 3
    on conflict (account_id, hour, event_type, part) do update set attempts = s.attempts + excluded.attempts,
      delivered = s.delivered + excluded.delivered, failed = s.failed + excluded.failed
  ), checked as (
    insert into rate_limit_queues (webhook_id, check_at) select distinct webhook_id, clock_timestamp() from updated where is_parked
    on conflict (webhook_id) do update set check_at = excluded.check_at
  ), freed as (
    delete from rate_limit_grants l using given g where l.delivery_id = g.delivery_id and l.number = g.number
  )
  select id, status_after as status from updated`;

/**
 * Writes attempts, and the new state of each delivery, in one statement. An attempt adds nothing if another one of its delivery
 * and number is recorded already, or is in the same statement, which happens where a process was stopped for a while.
 *
 * @returns the state of its delivery after each attempt that was recorded, by the attempt's id
 */
export async function recordAttempts(db: Queryable, unordered: readonly AttemptRecord[]) {
  // One order for all, so that two statements that write the same rows wait for each other and do not deadlock.
  const records = unordered
    .map((record): Row => ({ ...record, stored: responseToStore(db, record, record.response) }))
    .sort((a, b) => (a.deliveryId < b.deliveryId ? -1 : 1));
  const { rows } = await db.query<{ id: string; status: DeliveryStatus }>({
    name: 'record-attempts',
    text: recordStatement,
    values: attempts.values(records),
  });
  return new Map(rows.map(({ id, status }) => [id, status]));
}
