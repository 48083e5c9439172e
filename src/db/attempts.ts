import type { AttemptErrorCode, AttemptOutcome } from '../contracts/attempt.ts';
import type { DeliveryStatus, TimelineEntry } from '../contracts/delivery.ts';
import type { StoredEntry } from '../domain/timeline.ts';
import { stepCount, stepOf } from '../domain/response-times.ts';
import type { Queryable } from './pool.ts';

export type AttemptRow = {
  id: string;
  number: number;
  startedAt: Date;
  durationMs: number;
  statusCode: number | null;
  outcome: AttemptOutcome;
  errorCode: AttemptErrorCode | null;
  waitSeconds: number | null;
};
export type StoredResponse = { headers: Record<string, string>; body: Buffer; truncated: boolean };

export type AttemptRecord = AttemptRow & {
  deliveryId: string;
  webhookId: string;
  /** The webhook's activation that the attempt counts for. */
  activation: number;
  /** The number that it took of its webhook's hourly cap. */
  slot: string | null;
  response: StoredResponse | null;
  status: DeliveryStatus;
  reason: string | null;
  nextAttemptAt: Date | null;
  endedAt: Date | null;
  /** What the delivery's timeline gains: what the workflow noted before, the attempt, and the wait or the end after it. */
  entries: readonly StoredEntry[];
  carrier: Carrier;
};

const steps = Array.from({ length: stepCount }, (_, step) => step);
const stepCounts = steps.map((step) => `count(*) filter (where g.step = ${step})::int`).join(', ');
const addedSteps = steps
  .map((step) => `s.durations[${step + 1}] + excluded.durations[${step + 1}]`)
  .join(', ');

/** The workflow that has the delivery from now on; `runId` null: it is not started yet. */
export type Carrier = { workflowId: string; runId: string | null };

/**
 * Writes attempts and what follows from each for its delivery, in one statement. An attempt that is there already adds
 * nothing. Where the delivery was held or canceled meanwhile, it stays so unless the attempt ended it.
 */
export async function recordAttempts(db: Queryable, records: readonly AttemptRecord[]): Promise<void> {
  await db.query({
    name: 'record-attempts',
    text: `with given as (
        select * from unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[], $5::int[], $6::int[], $7::text[],
          $8::text[], $9::int[], $10::text[], $11::bytea[], $12::bool[], $13::text[], $14::text[], $15::timestamptz[],
          $16::timestamptz[], $17::text[], $18::text[], $19::int[], $20::bigint[], $21::int[],
          $22::text[], $23::text[])
        as t(id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_code, wait_seconds,
          response_headers, response_body, response_truncated, status, reason, next_attempt_at, ended_at, entries, webhook_id, activation, slot, step,
          workflow_id, run_id)
      ), inserted as (
        insert into attempts (id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_code,
          wait_seconds, response_headers, response_body, response_truncated, webhook_id, slot)
        select id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_code,
          wait_seconds, response_headers::jsonb, response_body, response_truncated, webhook_id, slot from given
        on conflict (delivery_id, number) do nothing
        returning delivery_id, number
      ), counted as (
        insert into webhook_stats as s (webhook_id, minute, activation, attempts, delivered, failed, durations)
        select g.webhook_id, date_trunc('minute', g.started_at + make_interval(secs => g.duration_ms / 1000.0)), g.activation,
          count(*), count(*) filter (where g.outcome = 'delivered'), count(*) filter (where g.outcome = 'failed'),
          array[${stepCounts}]
        from given g join inserted i on i.delivery_id = g.delivery_id and i.number = g.number
        group by 1, 2, 3 order by 1, 2, 3
        on conflict (webhook_id, minute, activation) do update set
          attempts = s.attempts + excluded.attempts, delivered = s.delivered + excluded.delivered,
          failed = s.failed + excluded.failed, durations = array[${addedSteps}]
      )
      update deliveries d set
        status = case when g.ended_at is null and d.status in ('held', 'canceled') then d.status else g.status end,
        reason = case when g.ended_at is null and d.status in ('held', 'canceled') then d.reason else g.reason end,
        next_attempt_at = case when d.status in ('held', 'canceled') then null else g.next_attempt_at end,
        ended_at = coalesce(g.ended_at, case when d.status = 'canceled' then d.ended_at end),
        attempt_count = greatest(d.attempt_count, g.number),
        last_status_code = g.status_code,
        last_error_code = g.error_code,
        check_at = case when g.ended_at is not null then null
          when d.status in ('held', 'canceled') then now() else g.next_attempt_at + interval '5 minutes' end,
        slot = null,
        workflow_id = g.workflow_id,
        run_id = g.run_id,
        timeline = d.timeline || g.entries::jsonb
      from given g
      join inserted i on i.delivery_id = g.delivery_id and i.number = g.number
      where d.id = g.delivery_id`,
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
      records.map((r) => r.webhookId),
      records.map((r) => r.activation),
      records.map((r) => r.slot),
      records.map((r) => stepOf(r.durationMs)),
      records.map((r) => r.carrier.workflowId),
      records.map((r) => r.carrier.runId),
    ],
  });
}

export type StoredAttempt = AttemptRow & { response: StoredResponse | null };

export async function listAttempts(db: Queryable, deliveryId: string): Promise<StoredAttempt[]> {
  const { rows } = await db.query<
    AttemptRow & { headers: Record<string, string> | null; body: Buffer | null; truncated: boolean }
  >(
    `select id, number, started_at as "startedAt", duration_ms as "durationMs", status_code as "statusCode", outcome,
       error_code as "errorCode", wait_seconds as "waitSeconds", response_headers as headers, response_body as body,
       response_truncated as truncated
     from attempts where delivery_id = $1 order by number`,
    [deliveryId],
  );
  return rows.map(({ headers, body, truncated, ...attempt }) => ({
    ...attempt,
    response: headers ? { headers, body: body ?? Buffer.alloc(0), truncated } : null,
  }));
}

export type Deferral = {
  deliveryId: string;
  slot: string | null;
  until: Date;
  /** What the workflow noted before. */
  notes: readonly StoredEntry[];
  entry: TimelineEntry;
  carrier: Carrier;
};

/** Writes until when deliveries wait for room under the cap, and the number that each keeps meanwhile. */
export async function deferDeliveries(db: Queryable, deferrals: readonly Deferral[]): Promise<void> {
  await db.query({
    name: 'defer-deliveries',
    text: `update deliveries d set slot = g.slot, next_attempt_at = g.until, check_at = g.until + interval '5 minutes',
        status = case when d.status in ('delivered', 'failed') then 'pending' else d.status end,
        reason = null, ended_at = null, workflow_id = g.workflow_id, run_id = g.run_id,
        -- Written once, though the activity may run twice, or the delivery be woken and deferred again.
        timeline = d.timeline
          || case when d.timeline @> g.notes::jsonb then '[]' else g.notes::jsonb end
          || case when d.slot = g.slot and d.next_attempt_at = g.until then '[]' else g.entry::jsonb end
      from unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[])
        as g(delivery_id, slot, until, notes, entry, workflow_id, run_id)
      where d.id = g.delivery_id and d.status not in ('held', 'canceled')`,
    values: [
      deferrals.map((d) => d.deliveryId),
      deferrals.map((d) => d.slot),
      deferrals.map((d) => d.until),
      deferrals.map((d) => JSON.stringify(d.notes)),
      deferrals.map((d) => JSON.stringify(d.entry)),
      deferrals.map((d) => d.carrier.workflowId),
      deferrals.map((d) => d.carrier.runId),
    ],
  });
}

/** Writes a new time for the next attempt of a delivery that waits; a second run of the activity changes nothing. */
export async function rescheduleDelivery(
  db: Queryable,
  { deliveryId, until, entries }: { deliveryId: string; until: Date; entries: readonly StoredEntry[] },
): Promise<void> {
  await db.query(
    `update deliveries d set next_attempt_at = $2, check_at = $2::timestamptz + interval '5 minutes',
       timeline = case when d.timeline @> $3::jsonb then d.timeline else d.timeline || $3::jsonb end
     where id = $1 and status in ('pending', 'retrying')`,
    [deliveryId, until, JSON.stringify(entries)],
  );
}
