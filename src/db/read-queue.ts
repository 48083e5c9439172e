import type { RateLimit } from '../contracts/webhook-policy.ts';
import { isInRamp, type Pacing } from '../domain/health.ts';
import { grantMs, maxQueueHead } from '../domain/hourly-cap.ts';
import { operationalFamilies } from '../domain/subscription.ts';
import {
  logMs,
  startLimitMs,
  windowsOf,
  type LimitReason,
  type Queued,
  type QueueState,
  type WebhookLimits,
} from '../domain/webhook-limits.ts';
import { onlyRow, type Queryable } from './pool.ts';

/**
 * `cap`: attempts an hour, where the account has no limit of its own; 0: no cap. `grantMs`: how long a grant without a recorded
 * attempt counts, where the webhook has no time limit of its own.
 */
export type Limits = { cap: number; grantMs: number };

/** Whether a delivery is in its webhook's queue; the condition of the indexes `deliveries_deferred…`. */
export const isQueued = `wait_reason in ('hourly_cap', 'rate_limit', 'receiver_requested', 'down')`;

/** Whether it is parked in that queue: the condition of the index `deliveries_parked`. */
export const isParked = `wait_reason = 'down'`;

/** Whether it is deferred until a time. */
const isDeferred = `${isQueued} and not ${isParked}`;

export const ms = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`;

/** One transaction at a time for each webhook. The number only separates it from other locks. */
export const lockQueue = (db: Queryable, webhookId: string) =>
  db.query({
    name: 'lock-queue',
    text: `select pg_advisory_xact_lock(7, hashtext($1))`,
    values: [webhookId],
  });

/**
 * The limits of a webhook's attempts now. `releases`: at a rate, until its queue is empty. `families`: of events, whose attempts
 * are counted apart, each with a queue of its own; null: all together. `firstParked`: the id of the oldest parked delivery.
 */
export type QueueLimits = {
  limits: WebhookLimits;
  grantMs: number;
  pacing: Pacing;
  releases: boolean;
  families: readonly (string | null)[];
  firstParked: string | null;
};

type LimitsRow = {
  hourlyCap: number | null;
  rateLimit: RateLimit | null;
  maxConcurrent: number | null;
  timeoutMs: number | null;
  notBefore: number | null;
  nextProbeAt: number | null;
  probes: number;
  rampStartedAt: number | null;
  now: number;
  releasePerSecond: number | null;
  isEmail: boolean;
  firstParked: string | null;
};

/** Call it with the queue locked. */
export async function readLimits(db: Queryable, webhookId: string, defaults: Limits): Promise<QueueLimits> {
  const { rows } = await db.query<LimitsRow>({
    name: 'read-limits',
    text: `select a.deliveries_per_hour as "hourlyCap", w.rate_limit as "rateLimit", w.max_concurrent as "maxConcurrent",
        w.timeout_ms as "timeoutMs", ${ms('w.deferred_until')} as "notBefore", ${ms('w.next_probe_at')} as "nextProbeAt",
        w.failed_probes as probes, ${ms('w.ramp_started_at')} as "rampStartedAt",
        ${ms('clock_timestamp()')} as now,
        w.release_per_second as "releasePerSecond", w.format = 'email' as "isEmail",
        (select id from deliveries where webhook_id = $1 and ${isParked} order by id limit 1) as "firstParked"
      from webhooks w join accounts a on a.id = w.account_id where w.id = $1`,
    values: [webhookId],
  });
  const [row] = rows;
  const { rateLimit = null, releasePerSecond = null, timeoutMs = null } = row ?? {};
  const { nextProbeAt = null, rampStartedAt = null, probes = 0, now = 0 } = row ?? {};
  const pacing: Pacing = { nextProbeAt, probes, rampStartedAt };
  return {
    limits: {
      windows: windowsOf({ hourlyCap: row?.hourlyCap ?? defaults.cap, rateLimit, releasePerSecond }),
      notBefore: row?.notBefore ?? null,
      nextProbeAt,
      rampStartedAt: isInRamp(pacing, now) ? rampStartedAt : null,
      maxConcurrent: row?.maxConcurrent ?? null,
    },
    grantMs: timeoutMs === null ? defaults.grantMs : grantMs(timeoutMs),
    pacing,
    releases: releasePerSecond !== null,
    // So that many e-mails about failed deliveries do not delay one about a webhook that is down.
    families: row?.isEmail === true ? operationalFamilies : [null],
    firstParked: row?.firstParked ?? null,
  };
}

/** The family of each delivery's event. */
export async function readFamilies(db: Queryable, ids: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await db.query<{ id: string; family: string }>({
    name: 'read-families',
    text: `select id, split_part(event_type, '.', 1) as family from deliveries where id = any($1)`,
    values: [ids],
  });
  return new Map(rows.map(({ id, family }) => [id, family]));
}

type QueueRow = {
  now: number;
  used: number[];
  underWay: number;
  ids: string[];
  times: number[];
  reasons: (LimitReason | null)[];
  tail: number[];
};

const isOfFamily = `($10::text is null or split_part(event_type, '.', 1) = $10)`;

/** Of an attempt or a grant. Not `exists`: that could be planned as a read of all deliveries. */
const countsWithFamily = (deliveryId: string) =>
  `($10::text is null or (select split_part(event_type, '.', 1) from deliveries where id = ${deliveryId}) = $10)`;

const latestOf = (reason: LimitReason) => `(select ${ms('next_attempt_at')} as t from deliveries
  where webhook_id = $1 and wait_reason = '${reason}' and ${isOfFamily} order by next_attempt_at desc limit $6)`;

/**
 * A webhook's log, and its queue without the parked and the given deliveries. Call it with the queue locked. A delivery whose attempt is
 * granted and not recorded yet is in the log, and no longer in the queue.
 *
 * @param family only events of this family are in log and queue; null: all
 * @param before of the deliveries that have not requested a slot yet, only those with a smaller id are read; null: all
 */
export async function readQueue(
  db: Queryable,
  webhookId: string,
  { limits, grantMs, family }: Pick<QueueLimits, 'limits' | 'grantMs'> & { family: string | null },
  without: readonly string[],
  before: string | null,
): Promise<Omit<QueueState, 'firstParked'>> {
  const { rows } = await db.query<QueueRow>({
    name: 'read-queue',
    text: `with clock as materialized (select clock_timestamp() as now),
      granted as materialized (
        select delivery_id as id, granted_at from clock, rate_limit_grants g
        where webhook_id = $1 and granted_at > now - make_interval(secs => $5) and not delivery_id = any($2)
          and not exists (select 1 from attempts a where a.delivery_id = g.delivery_id and a.number = g.number)),
      head as materialized (
        (select id, next_attempt_at, wait_reason from deliveries
          where webhook_id = $1 and ${isDeferred} and not id = any($2) and ${isOfFamily}
            and id not in (select id from granted)
          order by id limit $3)
        union all
        (select id, now(), null::text from deliveries
          where webhook_id = $1 and status = 'pending' and start_after is null and wait_reason is null and not id = any($2)
            and id not in (select id from granted) and ($7::text is null or id < $7)
            and split_part(event_type, '.', 1) <> all($8)
          order by id limit $3)
        order by id limit $3)
      select ${ms('now')} as now,
        array(select t from (
          select ${ms('started_at')} as t from attempts
          where webhook_id = $1 and counts_for_cap and started_at > now - make_interval(secs => $4)
            and ${countsWithFamily('attempts.delivery_id')}
          union all
          select ${ms('granted_at')} + $9 from granted where ${countsWithFamily('granted.id')}
        ) as log order by t) as used,
        (select count(*) from granted)::int as "underWay",
        array(select id from head order by id) as ids,
        array(select ${ms('next_attempt_at')} from head order by id) as times,
        array(select wait_reason from head order by id) as reasons,
        case when (select count(*) from head) < $3 then '{}' else array(select t from (
          select t from (${latestOf('hourly_cap')} union all ${latestOf('rate_limit')}
            union all ${latestOf('receiver_requested')}) as ofReasons order by t desc limit $6) as latest order by t)
        end as tail
      from clock`,
    values: [
      webhookId,
      without,
      maxQueueHead,
      logMs(limits) / 1000,
      grantMs / 1000,
      Math.max(1, ...limits.windows.map(({ cap }) => cap)),
      before,
      operationalFamilies,
      startLimitMs(limits) ?? 0,
      family,
    ],
  });
  const { ids, times, reasons, ...state } = onlyRow(rows, 'read-queue');
  const head = ids.map((id, index): Queued => ({
    id,
    until: times[index] ?? state.now,
    reason: reasons[index] ?? null,
  }));
  return { ...state, limits, head, isLonger: head.length === maxQueueHead };
}
