import type { DeliveryStatus } from '../contracts/delivery.ts';
import type { LaneBefore } from '../domain/hourly-cap.ts';
import type { AttemptRow } from './attempts.ts';
import type { Queryable } from './pool.ts';

export type AttemptMaterial = {
  deliveryId: string;
  number: number;
  status: DeliveryStatus;
  reason: string | null;
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
  format: 'fltr' | 'slack';
  /** Counts the webhook's activations. */
  activation: number;
  isActive: boolean;
  isDeleted: boolean;
  /** The attempt of this number, where an earlier run of the activity has recorded it. */
  recorded: AttemptRow | null;
  /** The attempt's number in its webhook's hourly cap; null where none is taken. */
  slot: string | null;
  /** What is known of the attempt that the cap puts an hour before this one. */
  laneBefore: LaneBefore;
  /** The database's clock, which the cap goes by. */
  now: Date;
  /** Who carries the delivery, when the attempt was asked for by a group that does not: not to be attempted by it. */
  carriedBy: string | null;
};

type Lane = {
  hasLaneBefore: boolean;
  usedAt: Date | null;
  waitingUntil: Date | null;
  laterUsedAt: Date | null;
  now: Date;
};
type Recorded = { attemptId: string | null } & {
  [K in Exclude<keyof AttemptRow, 'id' | 'number'>]: AttemptRow[K] | null;
};
type Row = Omit<AttemptMaterial, 'recorded' | 'laneBefore'> & Lane & Recorded;

const loadStatement = `
  with found as (
    select d.id, d.account_id, asked.number, d.status, d.reason, d.event_id, d.event_type, d.webhook_id, d.slot, e.body,
      e.traceparent,
      w.url, w.sealed_secret, w.previous_sealed_secret, w.previous_secret_until, w.format, w.activation, w.active,
      w.deleted_at is not null as is_deleted,
      a.id as attempt_id, a.started_at, a.duration_ms, a.status_code, a.outcome, a.error_code, a.wait_seconds,
      asked.position,
      case when asked.group_id is not null and d.workflow_id is distinct from asked.group_id
        then coalesce(d.workflow_id, '') end as carried_by,
      -- Only an attempt that is going to be made takes a number of the cap, and a deferred one has its number already.
      $3 > 0 and d.slot is null and a.id is null and w.active and d.status not in ('held', 'canceled')
        and (asked.group_id is null or d.workflow_id = asked.group_id) as takes_slot
    from unnest($1::text[], $2::int[], $4::text[]) with ordinality as asked(id, number, group_id, position)
    join deliveries d on d.id = asked.id
    join events e on e.account_id = d.account_id and e.id = d.event_id
    join webhooks w on w.id = d.webhook_id
    left join attempts a on a.delivery_id = d.id and a.number = asked.number
  ), taken as (
    insert into webhook_slots as s (webhook_id, last_slot)
    select webhook_id, count(*) from found where takes_slot group by webhook_id order by webhook_id
    on conflict (webhook_id) do update set last_slot = s.last_slot + excluded.last_slot
    returning webhook_id, last_slot
  ), placed as (
    select found.*, case
        when takes_slot then last_slot + 1 - row_number() over (partition by found.webhook_id, takes_slot order by position desc)
        else found.slot end as own_slot
    from found left join taken on taken.webhook_id = found.webhook_id
  )
  select p.id as "deliveryId", p.account_id as "accountId", p.number, p.status, p.reason, p.event_id as "eventId",
    p.event_type as "eventType", p.webhook_id as "webhookId", p.body, p.traceparent, p.url, p.sealed_secret as "sealedSecret",
    p.previous_sealed_secret as "previousSealedSecret", p.previous_secret_until as "previousSecretUntil",
    p.format, p.activation, p.active as "isActive", p.is_deleted as "isDeleted",
    p.attempt_id as "attemptId", p.started_at as "startedAt", p.duration_ms as "durationMs",
    p.status_code as "statusCode", p.outcome, p.error_code as "errorCode", p.wait_seconds as "waitSeconds",
    p.own_slot as slot, coalesce($3 > 0 and p.own_slot > $3, false) as "hasLaneBefore",
    used.started_at as "usedAt", waiting.next_attempt_at as "waitingUntil", later.started_at as "laterUsedAt",
    clock_timestamp() as now, p.carried_by as "carriedBy"
  from placed p
  left join lateral (
    select started_at from attempts a where a.webhook_id = p.webhook_id and a.slot = p.own_slot - $3 limit 1
  ) as used on $3 > 0 and p.own_slot > $3
  left join lateral (
    select next_attempt_at from deliveries d where d.webhook_id = p.webhook_id and d.slot = p.own_slot - $3 limit 1
  ) as waiting on used.started_at is null and $3 > 0 and p.own_slot > $3
  left join lateral (
    select started_at from attempts a
    where a.webhook_id = p.webhook_id and a.slot > p.own_slot - $3 and a.slot < p.own_slot order by a.slot limit 1
  ) as later on used.started_at is null and waiting.next_attempt_at is null and $3 > 0 and p.own_slot > $3`;

/** `groupId`: the group's workflow that asks; null: the delivery's own does. */
export type AskedAttempt = { deliveryId: string; number: number; groupId: string | null };

/**
 * All that attempts need, in one statement, which also gives each its number in its webhook's hourly cap. A delivery that
 * is not there is left out.
 *
 * @param cap attempts an hour; 0: no cap
 */
export async function loadAttempts(
  db: Queryable,
  asked: readonly AskedAttempt[],
  cap: number,
): Promise<AttemptMaterial[]> {
  const { rows } = await db.query<Row>({
    name: 'load-attempts',
    text: loadStatement,
    values: [
      asked.map(({ deliveryId }) => deliveryId),
      asked.map(({ number }) => number),
      cap,
      asked.map(({ groupId }) => groupId),
    ],
  });
  return rows.map(toMaterial);
}

function toMaterial(row: Row): AttemptMaterial {
  const { attemptId, startedAt, durationMs, statusCode, outcome, errorCode, waitSeconds, ...rest } = row;
  const {
    hasLaneBefore: _has,
    usedAt: _used,
    waitingUntil: _waiting,
    laterUsedAt: _later,
    ...material
  } = rest;
  const isRecorded = attemptId !== null && startedAt !== null && durationMs !== null && outcome !== null;
  return {
    ...material,
    laneBefore: laneBeforeOf(row),
    recorded: isRecorded
      ? {
          id: attemptId,
          number: row.number,
          startedAt,
          durationMs,
          statusCode,
          outcome,
          errorCode,
          waitSeconds,
        }
      : null,
  };
}

/** A number that nothing came of counts as lost once a later one was used this long ago; until then it is under way. */
const takenForLostMs = 300_000;

function laneBeforeOf({ hasLaneBefore, usedAt, waitingUntil, laterUsedAt, now }: Lane): LaneBefore {
  if (!hasLaneBefore) return { kind: 'none' };
  if (usedAt) return { kind: 'used', at: usedAt };
  if (waitingUntil) return { kind: 'waiting', at: waitingUntil };
  if (laterUsedAt && now.getTime() - laterUsedAt.getTime() > takenForLostMs)
    return { kind: 'lost', at: laterUsedAt };
  return { kind: 'unknown' };
}
