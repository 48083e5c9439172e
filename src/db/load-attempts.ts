import type { DeliveryStatus, WaitReason } from '../contracts/delivery.ts';
import type { RetryPolicy } from '../contracts/webhook-policy.ts';
import type { WebhookFormat } from '../contracts/webhook-format.ts';
import type { SignatureVersion } from '../contracts/webhook-policy.ts';
import { rampMs } from '../domain/health.ts';
import { maxUnrecorded } from '../domain/hourly-cap.ts';
import type { AttemptRow } from '../domain/attempt-result.ts';
import { arrayOfUnknownLength } from './columns.ts';
import { storedBody } from './payloads.ts';
import type { Queryable } from './pool.ts';
import { isQueued } from './read-queue.ts';

/** The data of an attempt. */
export type AttemptContext = {
  deliveryId: string;
  number: number;
  status: DeliveryStatus;
  accountId: string;
  eventId: string;
  eventType: string;
  webhookId: string;
  /** Null once the payload is past its retention. */
  body: Buffer | null;
  /** The trace that the event belongs to; null: none. */
  traceparent: string | null;
  url: string;
  sealedSecret: string | null;
  previousSealedSecret: string | null;
  previousSecretUntil: Date | null;
  signatures: SignatureVersion[];
  sealedSigningKey: string | null;
  previousSealedSigningKey: string | null;
  /** The time limit of an attempt in ms; null: the setting. */
  timeoutMs: number | null;
  sealedHeaders: string | null;
  sealedAuth: string | null;
  /** Its first attempts may not be made in a group. */
  mayNotShare: boolean;
  format: WebhookFormat;
  /** The webhook's; null: it has none of its own. */
  policy: RetryPolicy | null;
  /** The waits before its retries, in seconds; null: the setting. */
  schedule: number[] | null;
  /** Whether `schedule` was applied to it since it was accepted. */
  isScheduleApplied: boolean;
  retriesUsed: number;
  /** The time for which it was scheduled; null: for none. */
  deliverAt: Date | null;
  /** Null: never. */
  expiresAt: Date | null;
  /** The number of the webhook's activations. */
  activation: number;
  isActive: boolean;
  isDeleted: boolean;
  /** Whether the webhook probes while it is down, and whether it is paced. */
  probesWhenDown: boolean;
  isPaced: boolean;
  /** Whether it is one of a line. */
  isInLine: boolean;
  /** The workflow that owns the delivery now. */
  ownerId: string | null;
  nextAttemptAt: Date | null;
  waitReason: WaitReason | null;
  /** The database's clock. */
  now: Date;
  /** The attempt of this number, if an earlier run of the activity has recorded it. */
  recorded: AttemptRow | null;
  /** Attempts of the webhook in any hour, by its account's limit or the setting; 0: no cap. */
  cap: number;
  /** Whether the webhook may be near one of its limits, so that its attempts request slots. */
  isNearLimit: boolean;
  /** Requests under way at once, by the webhook's own limit. */
  maxConcurrent: number | null;
};

/** `attemptId` null, as are the attempt's other columns: it is not recorded. */
type Row = Omit<AttemptContext, 'recorded'> & Omit<AttemptRow, 'id'> & { attemptId: string | null };

/** For a webhook without a policy of its own, this reads no other row. */
const isNearLimit = `(coalesce(near.is_near, false)
    or w.rate_limit is not null or w.max_concurrent is not null or w.release_per_second is not null
    or w.next_probe_at is not null or w.ramp_started_at > now() - make_interval(secs => ${rampMs / 1000})
    or w.deferred_until > now()
    -- Those that were deferred go first.
    or ((w.ramp_started_at is not null or w.deferred_until is not null)
      and exists (select 1 from deliveries q where q.webhook_id = w.id and q.${isQueued})))`;

const loadStatement = `
  with found as materialized (
    select given.number, d.id, d.status, d.account_id, d.event_id, d.event_type, d.webhook_id, d.owner_id, d.next_attempt_at,
      d.wait_reason, d.line_position, d.created_at, d.schedule, d.schedule_since, d.retries_used, d.deliver_at, d.expires_at, coalesce(account.deliveries_per_hour, $3) as cap
    from unnest(${arrayOfUnknownLength(1, 'text')}, $2::int[]) as given(id, number) join deliveries d on d.id = given.id
    join accounts account on account.id = d.account_id
  ), near as materialized (
    -- The counts per minute show whether a webhook may be near its cap; only then are its attempts counted.
    select w.id,
      coalesce((select sum(s.attempts) from webhook_stats s
        where s.webhook_id = w.id and s.minute > now() - interval '62 minutes'), 0) + ${maxUnrecorded} > w.cap
      or exists (select 1 from deliveries q where q.webhook_id = w.id and q.${isQueued}) as is_near
    from (select distinct webhook_id as id, cap from found where cap > 0) as w
  )
  select d.id as "deliveryId", d.number, d.status, d.account_id as "accountId", d.event_id as "eventId",
    d.event_type as "eventType", d.webhook_id as "webhookId", d.owner_id as "ownerId",
    d.next_attempt_at as "nextAttemptAt", d.wait_reason as "waitReason", e.body, e.traceparent, w.url,
    case when applied.is_applied then w.applied_schedule else d.schedule end as schedule,
    applied.is_applied as "isScheduleApplied", d.retries_used as "retriesUsed", w.retry as policy,
    d.deliver_at as "deliverAt", d.expires_at as "expiresAt",
    w.sealed_secret as "sealedSecret", w.previous_sealed_secret as "previousSealedSecret",
    w.previous_secret_until as "previousSecretUntil", w.signatures, w.sealed_signing_key as "sealedSigningKey",
    w.previous_sealed_signing_key as "previousSealedSigningKey", w.timeout_ms as "timeoutMs",
    w.sealed_headers as "sealedHeaders", w.sealed_auth as "sealedAuth", not w.may_share as "mayNotShare",
    w.format, w.activation, w.active as "isActive",
    w.deleted_at is not null as "isDeleted", w.probe_when_down as "probesWhenDown",
    w.next_probe_at is not null as "isPaced", d.line_position is not null as "isInLine", d.cap, ${isNearLimit} as "isNearLimit",
    w.max_concurrent as "maxConcurrent", clock_timestamp() as now,
    a.id as "attemptId", a.started_at as "startedAt", a.duration_ms as "durationMs",
    a.status_code as "statusCode", a.outcome, a.error_code as "errorCode", a.wait_seconds as "waitSeconds",
    a.is_probe as "isProbe"
  from found d
  join events e on e.account_id = d.account_id and e.id = d.event_id
  join webhooks w on w.id = d.webhook_id
  cross join lateral (
    select coalesce(coalesce(d.schedule_since, d.created_at) < w.schedule_applied_at, false) as is_applied) as applied
  left join near on near.id = w.id
  left join attempts a on a.delivery_id = d.id and a.number = d.number`;

export type AttemptToLoad = { deliveryId: string; number: number };

/**
 * Loads the data of attempts, in one statement. A delivery that does not exist is left out.
 *
 * @param cap attempts an hour, where the account has no limit of its own; 0: no cap
 */
export async function loadAttempts(db: Queryable, attempts: readonly AttemptToLoad[], cap: number) {
  const { rows } = await db.query<Row>({
    name: 'load-attempts',
    text: loadStatement,
    values: [attempts.map(({ deliveryId }) => deliveryId), attempts.map(({ number }) => number), cap],
  });
  return rows.map((row) => {
    const { accountId, eventId: id, body } = row;
    return toContext(body ? { ...row, body: storedBody(db, { accountId, id }, body) } : row);
  });
}

function toContext(row: Row): AttemptContext {
  const {
    attemptId: id,
    startedAt,
    durationMs,
    statusCode,
    outcome,
    errorCode,
    waitSeconds,
    isProbe,
    ...context
  } = row;
  const result = { startedAt, durationMs, statusCode, outcome, errorCode, waitSeconds, isProbe };
  return { ...context, recorded: id === null ? null : { id, number: row.number, ...result } };
}
