import type { AttemptErrorCode, AttemptOutcome } from '../contracts/attempt.ts';
import type { DeliveryStatus } from '../contracts/delivery.ts';
import type { WebhookFormat } from '../contracts/webhook-format.ts';
import type { StoredEntry } from '../domain/timeline.ts';
import { stepCount, stepOf } from '../domain/response-times.ts';
import { archiveEntries, findDelivery, reconcileRunAfter, type FoundDelivery } from './deliveries.ts';
import { withTransaction, type Pool, type Queryable } from './pool.ts';

export type AttemptRow = {
  id: string;
  number: number;
  startedAt: Date;
  durationMs: number;
  statusCode: number | null;
  outcome: AttemptOutcome;
  errorCode: AttemptErrorCode | null;
  /** Of the wait that it began; null: it ended its delivery, or the delivery was held or canceled meanwhile. */
  waitSeconds: number | null;
};
/** What was sent, beside its headers. */
export type SentRequest = { url: string; format: WebhookFormat; bodyBytes: number };
export type StoredResponse = { headers: Record<string, string>; body: Buffer; truncated: boolean };

export type AttemptRecord = AttemptRow & {
  deliveryId: string;
  webhookId: string;
  /** The webhook's activation that the attempt counts for. */
  activation: number;
  /** Whether it counts under the hourly cap. */
  countsForCap: boolean;
  request: SentRequest;
  response: StoredResponse | null;
  /** What the error code does not say, for the webhook's owner. Not for Temporal: it may name hosts. */
  errorDetail: string | null;
  status: Extract<DeliveryStatus, 'retrying' | 'delivered' | 'failed'>;
  reason: string | null;
  nextAttemptAt: Date | null;
  endedAt: Date | null;
  /** The run that made the attempt: the delivery's own, or a group's. */
  run: { workflowId: string; runId: string };
  /** What the run noted before, and the attempt. */
  entries: readonly StoredEntry[];
  /** What follows, unless the delivery was held or canceled meanwhile: the wait, or the end. */
  nextEntries: readonly StoredEntry[];
};

const steps = Array.from({ length: stepCount }, (_, step) => step);
const stepCounts = steps.map((step) => `count(*) filter (where g.step = ${step})::int`).join(', ');
const addedSteps = steps
  .map((step) => `s.durations[${step + 1}] + excluded.durations[${step + 1}]`)
  .join(', ');

/** How a delivery that is not delivered by its group's attempt is left to the burst, before its own workflow is started. */
const leaveToBurst = `least(interval '15 seconds', (g.next_attempt_at - now()) / 2)`;

// A delivery that was held or canceled meanwhile stays so, unless it was delivered; a held one may also fail. Where it stays so,
// its run has nothing more to do.
const isApplied = `(g.status = 'delivered' or d.status in ('pending', 'retrying') or g.status = 'failed' and d.status = 'held')`;

const recordStatement = `with given as (
    select * from unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[], $5::int[], $6::int[], $7::text[],
      $8::text[], $9::int[], $10::text[], $11::bytea[], $12::bool[], $13::text[], $14::text[], $15::timestamptz[],
      $16::timestamptz[], $17::text[], $18::text[], $19::text[], $20::int[], $21::int[], $22::text[], $23::text[], $24::bool[],
      $25::text[], $26::text[], $27::int[], $28::text[])
    as t(id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_code, wait_seconds,
      response_headers, response_body, response_truncated, status, reason, next_attempt_at, ended_at, entries, next_entries,
      webhook_id, activation, step, workflow_id, run_id, counts_for_cap, url, format, body_bytes, error_detail)
  ), updated as (
    update deliveries d set
      status = case when ${isApplied} then g.status else d.status end,
      reason = case when ${isApplied} then g.reason else d.reason end,
      next_attempt_at = case when ${isApplied} then g.next_attempt_at end,
      wait_reason = case when ${isApplied} and g.next_attempt_at is not null then 'retry' end,
      held_until = case when ${isApplied} then null else d.held_until end,
      ended_at = case when ${isApplied} then g.ended_at else d.ended_at end,
      attempt_count = g.number,
      retries_used = d.retries_used + case when g.status = 'retrying' then 1 else 0 end,
      -- A response that is not valid HTTP counts for none.
      last_status_code = case when g.error_code is distinct from 'malformed_response' then g.status_code end,
      last_error_code = g.error_code,
      owner_id = case when not ${isApplied} then case when d.status = 'canceled' then d.owner_id end
        when g.status = 'delivered' then g.workflow_id else d.id end,
      run_id = case when not ${isApplied} then d.run_id
        when g.status = 'delivered' or g.workflow_id = d.id then g.run_id end,
      reconcile_at = case when not ${isApplied} then d.held_until
        when g.status <> 'retrying' then null
        when g.workflow_id = d.id then g.next_attempt_at + ${reconcileRunAfter}
        else now() + ${leaveToBurst} end,
      timeline = d.timeline || g.entries::jsonb || case when ${isApplied} then g.next_entries::jsonb else '[]' end
    from given g
    -- One that is recorded already adds nothing.
    where d.id = g.delivery_id and d.attempt_count < g.number
    returning d.id, d.status, g.number
  ), inserted as (
    insert into attempts (id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_code,
      wait_seconds, response_headers, response_body, response_truncated, webhook_id, counts_for_cap, url, format, body_bytes, error_detail)
    select g.id, delivery_id, g.number, started_at, duration_ms, status_code, outcome, error_code,
      case when u.status = 'retrying' then wait_seconds end, response_headers::jsonb, response_body, response_truncated,
      webhook_id, counts_for_cap, url, format, body_bytes, error_detail
    from given g join updated u on u.id = g.delivery_id and u.number = g.number
  ), counted as (
    insert into webhook_stats as s (webhook_id, minute, activation, attempts, delivered, failed, durations)
    select g.webhook_id, date_trunc('minute', g.started_at + make_interval(secs => g.duration_ms / 1000.0)), g.activation,
      count(*), count(*) filter (where g.outcome = 'delivered'), count(*) filter (where g.outcome = 'failed'),
      array[${stepCounts}]
    from given g join updated u on u.id = g.delivery_id and u.number = g.number
    group by 1, 2, 3 order by 1, 2, 3
    on conflict (webhook_id, minute, activation) do update set
      attempts = s.attempts + excluded.attempts, delivered = s.delivered + excluded.delivered,
      failed = s.failed + excluded.failed, durations = array[${addedSteps}]
  ), freed as (
    delete from rate_limit_grants l using given g where l.delivery_id = g.delivery_id and l.number = g.number
  )
  select id, status from updated`;

/**
 * Writes attempts and what follows from each for its delivery, in one statement. An attempt that is recorded already adds
 * nothing.
 *
 * @returns the state of each delivery after it, by id; without those whose attempt was recorded already
 */
export async function recordAttempts(
  db: Queryable,
  unordered: readonly AttemptRecord[],
): Promise<Map<string, DeliveryStatus>> {
  // One order for all: two statements that write the same rows wait for each other instead of locking up.
  const records = unordered.toSorted((a, b) => (a.deliveryId < b.deliveryId ? -1 : 1));
  const { rows } = await db.query<{ id: string; status: DeliveryStatus }>({
    name: 'record-attempts',
    text: recordStatement,
    values: [
      records.map((r) => r.id),
      records.map((r) => r.deliveryId),
      records.map((r) => r.number),
      records.map((r) => r.startedAt),
      records.map((r) => r.durationMs),
      records.map((r) => r.statusCode),
      records.map((r) => r.outcome),
      records.map((r) => r.errorCode),
      records.map((r) => r.waitSeconds),
      records.map((r) => (r.response ? JSON.stringify(r.response.headers) : null)),
      records.map((r) => r.response?.body ?? null),
      records.map((r) => r.response?.truncated ?? false),
      records.map((r) => r.status),
      records.map((r) => r.reason),
      records.map((r) => r.nextAttemptAt),
      records.map((r) => r.endedAt),
      records.map((r) => JSON.stringify(r.entries)),
      records.map((r) => JSON.stringify(r.nextEntries)),
      records.map((r) => r.webhookId),
      records.map((r) => r.activation),
      // Without a response there is no response time.
      records.map((r) => (r.statusCode === null ? null : stepOf(r.durationMs))),
      records.map((r) => r.run.workflowId),
      records.map((r) => r.run.runId),
      records.map((r) => r.countsForCap),
      records.map((r) => r.request.url),
      records.map((r) => r.request.format),
      records.map((r) => r.request.bodyBytes),
      records.map((r) => r.errorDetail),
    ],
  });
  return new Map(rows.map(({ id, status }) => [id, status]));
}

export type StoredAttempt = AttemptRow & {
  request: SentRequest;
  response: StoredResponse | null;
  errorDetail: string | null;
};

export async function listAttempts(db: Queryable, deliveryId: string): Promise<StoredAttempt[]> {
  const { rows } = await db.query<
    Omit<StoredAttempt, 'request' | 'response'> &
      SentRequest & { headers: Record<string, string> | null; body: Buffer | null; truncated: boolean }
  >(
    `select id, number, started_at as "startedAt", duration_ms as "durationMs", status_code as "statusCode", outcome,
       error_code as "errorCode", error_detail as "errorDetail", wait_seconds as "waitSeconds", url, format,
       body_bytes as "bodyBytes", response_headers as headers, response_body as body, response_truncated as truncated
     from attempts where delivery_id = $1 order by number`,
    [deliveryId],
  );
  return rows.map(({ url, format, bodyBytes, headers, body, truncated, ...attempt }) => ({
    ...attempt,
    request: { url, format, bodyBytes },
    response: headers ? { headers, body: body ?? Buffer.alloc(0), truncated } : null,
  }));
}

/** A delivery and its attempts, as of one moment. */
export function findDeliveryWithAttempts(
  pool: Pool,
  accountId: string,
  id: string,
): Promise<{ delivery: FoundDelivery; attempts: StoredAttempt[] } | null> {
  return withTransaction(pool, async (client) => {
    await client.query('set transaction isolation level repeatable read, read only');
    const delivery = await findDelivery(client, accountId, id);
    return delivery && { delivery, attempts: await listAttempts(client, id) };
  });
}

/** The run that shows how a delivery ended, where its group's attempt ended it. */
export async function markEndedRun(db: Queryable, deliveryId: string, runId: string): Promise<void> {
  await db.query(
    `update deliveries set run_id = $2 where id = $1 and owner_id = $1 and run_id is null and status = 'failed'`,
    [deliveryId, runId],
  );
}

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

/** The new time is shown at once, and no slot under the hourly cap is kept; the delivery's workflow makes it true. */
export async function showRescheduled(db: Queryable, id: string, until: Date): Promise<void> {
  await db.query(
    `update deliveries set next_attempt_at = $2, wait_reason = 'rescheduled'
     where id = $1 and status in ('pending', 'retrying') and owner_id is not null`,
    [id, until],
  );
}
