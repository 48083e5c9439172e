import type { AttemptErrorCode, AttemptOutcome } from '../contracts/attempt.ts';
import type { DeliveryStatus, TimelineEntry } from '../contracts/delivery.ts';
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

export type AttemptMaterial = {
  deliveryId: string;
  number: number;
  status: DeliveryStatus;
  eventId: string;
  eventType: string;
  webhookId: string;
  body: Buffer;
  url: string;
  sealedSecret: string | null;
  isActive: boolean;
  isDeleted: boolean;
  reason: string | null;
  /** The attempt of this number, where an earlier run of the activity has recorded it. */
  recorded: (AttemptRow & { endedAt: Date }) | null;
};

type RecordedColumns = { attemptId: string | null } & {
  [K in Exclude<keyof AttemptRow, 'id' | 'number'>]: AttemptRow[K] | null;
};

/** All that attempts need, in one statement. A delivery that is not there is left out. */
export async function loadAttempts(
  db: Queryable,
  asked: readonly { deliveryId: string; number: number }[],
): Promise<AttemptMaterial[]> {
  const { rows } = await db.query<Omit<AttemptMaterial, 'recorded'> & RecordedColumns>({
    name: 'load-attempts',
    text: `select d.id as "deliveryId", asked.number, d.status, d.reason, d.event_id as "eventId", d.event_type as "eventType",
        d.webhook_id as "webhookId", e.body, w.url, w.sealed_secret as "sealedSecret", w.active as "isActive",
        w.deleted_at is not null as "isDeleted",
        a.id as "attemptId", a.started_at as "startedAt", a.duration_ms as "durationMs", a.status_code as "statusCode",
        a.outcome, a.error_code as "errorCode", a.wait_seconds as "waitSeconds"
      from unnest($1::text[], $2::int[]) as asked(id, number)
      join deliveries d on d.id = asked.id
      join events e on e.account_id = d.account_id and e.id = d.event_id
      join webhooks w on w.id = d.webhook_id
      left join attempts a on a.delivery_id = d.id and a.number = asked.number`,
    values: [asked.map(({ deliveryId }) => deliveryId), asked.map(({ number }) => number)],
  });
  return rows.map(
    ({ attemptId, startedAt, durationMs, statusCode, outcome, errorCode, waitSeconds, ...material }) => ({
      ...material,
      recorded:
        attemptId !== null && startedAt !== null && durationMs !== null && outcome !== null
          ? {
              id: attemptId,
              number: material.number,
              startedAt,
              durationMs,
              statusCode,
              outcome,
              errorCode,
              waitSeconds,
              endedAt: new Date(startedAt.getTime() + durationMs),
            }
          : null,
    }),
  );
}

export type AttemptRecord = AttemptRow & {
  deliveryId: string;
  response: StoredResponse | null;
  status: DeliveryStatus;
  reason: string | null;
  nextAttemptAt: Date | null;
  endedAt: Date | null;
  /** What the delivery's timeline gains: what the workflow noted before, the attempt, and the wait or the end after it. */
  entries: readonly TimelineEntry[];
};

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
          $16::timestamptz[], $17::text[])
        as t(id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_code, wait_seconds,
          response_headers, response_body, response_truncated, status, reason, next_attempt_at, ended_at, entries)
      ), inserted as (
        insert into attempts (id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_code,
          wait_seconds, response_headers, response_body, response_truncated)
        select id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_code,
          wait_seconds, response_headers::jsonb, response_body, response_truncated from given
        on conflict (delivery_id, number) do nothing
        returning delivery_id, number
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
