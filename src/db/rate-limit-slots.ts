import type { StoredEntry } from '../domain/timeline.ts';
import { operationalFamilies } from '../domain/subscription.ts';
import { assignSlots, correctTimes, maxQueueHead, windowMs, type Queued } from '../domain/hourly-cap.ts';
import { reconcileRunAfter } from './deliveries-table.ts';
import { opaque } from './opaque.ts';
import { arrayOfUnknownLength } from './columns.ts';
import { onlyRow, withTransaction, type Pool, type Queryable } from './pool.ts';

/** An attempt of a webhook that is near its cap, to be granted or deferred. */
export type SlotRequest = {
  deliveryId: string;
  number: number;
  webhookId: string;
  ownerId: string;
  runId: string;
  /** The run's entries since its last step. */
  notes: readonly StoredEntry[];
  /** The entry of a deferral: when it was decided, and until when. */
  entryOf: (at: Date, until: Date) => StoredEntry;
};

/**
 * `deferred`: written to the delivery's row at `at`. `changed`: neither, because the delivery was held or canceled meanwhile or
 * has another owner.
 */
export type Slot = { is: 'granted' } | { is: 'deferred'; at: Date; until: Date } | { is: 'changed' };

/** `cap`: attempts an hour, where the account has no limit of its own; 0: no cap. `grantMs`: how long a grant without a recorded attempt counts. */
export type Limits = { cap: number; grantMs: number };

type State = { now: number; used: number[]; head: Queued[]; tail: number[] };

const ms = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`;

/** One transaction at a time for each webhook. The number only separates it from other locks. */
const lockQueue = (db: Queryable, webhookId: string) =>
  db.query({
    name: 'lock-queue',
    text: `select pg_advisory_xact_lock(7, hashtext($1))`,
    values: [webhookId],
  });

/** The cap of a webhook now: its account's, or the given one. Call it with the queue locked. */
async function readCapOf(db: Queryable, webhookId: string, cap: number): Promise<number> {
  const { rows } = await db.query<{ cap: number | null }>({
    name: 'read-cap-of',
    text: `select a.deliveries_per_hour as cap from webhooks w join accounts a on a.id = w.account_id where w.id = $1`,
    values: [webhookId],
  });
  return rows[0]?.cap ?? cap;
}

/**
 * A webhook's log, and its queue without the given deliveries. Call it with the queue locked. A delivery whose attempt is
 * granted and not recorded yet is in the log, and no longer in the queue.
 *
 * @param before of the deliveries that have not requested a slot yet, only those with a smaller id are read; null: all
 */
async function readQueue(
  db: Queryable,
  webhookId: string,
  { cap, grantMs }: Limits,
  without: readonly string[],
  before: string | null,
): Promise<State> {
  const { rows } = await db.query<Omit<State, 'head'> & { ids: string[]; times: number[] }>({
    name: 'read-queue',
    text: `with clock as materialized (select clock_timestamp() as now),
      granted as materialized (
        select delivery_id as id, granted_at from clock, rate_limit_grants g
        where webhook_id = $1 and granted_at > now - make_interval(secs => $5) and not delivery_id = any($2)
          and not exists (select 1 from attempts a where a.delivery_id = g.delivery_id and a.number = g.number)),
      head as materialized (
        (select id, next_attempt_at from deliveries
          where webhook_id = $1 and wait_reason = 'hourly_cap' and not id = any($2)
            and id not in (select id from granted)
          order by id limit $3)
        union all
        (select id, now() from deliveries
          where webhook_id = $1 and status = 'pending' and wait_reason is null and not id = any($2)
            and id not in (select id from granted) and ($7::text is null or id < $7)
            and split_part(event_type, '.', 1) <> all($8)
          order by id limit $3)
        order by id limit $3)
      select ${ms('now')} as now,
        array(select t from (
          select ${ms('started_at')} as t from attempts
          where webhook_id = $1 and counts_for_cap and started_at > now - make_interval(secs => $4)
          union all
          select ${ms('granted_at')} from granted
        ) as log order by t) as used,
        array(select id from head order by id) as ids,
        array(select ${ms('next_attempt_at')} from head order by id) as times,
        case when (select count(*) from head) < $3 then '{}' else array(select t from (
          select ${ms('next_attempt_at')} as t from deliveries
          where webhook_id = $1 and wait_reason = 'hourly_cap' order by next_attempt_at desc limit $6) as latest order by t)
        end as tail
      from clock`,
    values: [
      webhookId,
      without,
      maxQueueHead,
      windowMs / 1000,
      grantMs / 1000,
      cap,
      before,
      operationalFamilies,
    ],
  });
  const { ids, times, ...state } = onlyRow(rows, 'read-queue');
  return { ...state, head: ids.map((id, index) => ({ id, until: times[index] ?? state.now })) };
}

/**
 * Grants or defers attempts of one webhook, with its queue locked.
 *
 * @returns in the order of the requests
 */
export async function takeSlots(
  pool: Pool,
  webhookId: string,
  { cap: defaultCap, grantMs }: Limits,
  requests: readonly SlotRequest[],
): Promise<Slot[]> {
  return withTransaction(pool, async (client) => {
    await lockQueue(client, webhookId);
    const cap = await readCapOf(client, webhookId, defaultCap);
    if (cap === 0) return requests.map((): Slot => ({ is: 'granted' }));
    const requesters = requests.map(({ deliveryId }) => deliveryId);
    const last = requesters.toSorted().at(-1) ?? '';
    const state = await readQueue(client, webhookId, { cap, grantMs }, requesters, last);
    const slots = assignSlots({ cap, requesters, ...state });
    const at = new Date(state.now);
    const granted = requests.filter(({ deliveryId }) => slots.get(deliveryId) === null);
    const deferred = requests.flatMap((request) => {
      const until = slots.get(request.deliveryId) ?? null;
      return until === null ? [] : [{ ...request, until: new Date(Math.ceil(until)) }];
    });
    if (granted.length > 0)
      await client.query({
        name: 'grant',
        text: `insert into rate_limit_grants (delivery_id, number, webhook_id, granted_at)
          select *, $3, $4::timestamptz from unnest(${arrayOfUnknownLength(1, 'text')}, $2::int[])
          on conflict (delivery_id, number) do update set granted_at = excluded.granted_at`,
        values: [
          granted.map(({ deliveryId }) => deliveryId),
          granted.map(({ number }) => number),
          webhookId,
          at,
        ],
      });
    const isDeferred = new Set<string>();
    if (deferred.length > 0) {
      const written = await client.query<{ id: string }>({
        name: 'defer',
        text: `update deliveries d set next_attempt_at = g.until, wait_reason = 'hourly_cap',
            owner_id = d.id, run_id = case when g.owner_id = d.id then g.run_id end,
            reconcile_at = case when g.owner_id = d.id then g.until + ${reconcileRunAfter} else now() end,
            timeline = d.timeline || case when d.timeline @> g.notes::jsonb then '[]' else g.notes::jsonb end || g.entry::jsonb
          from unnest(${arrayOfUnknownLength(1, 'text')}, $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[])
            as g(delivery_id, until, owner_id, run_id, notes, entry)
          where d.id = g.delivery_id and d.status in ('pending', 'retrying') and d.owner_id = g.owner_id
          returning d.id`,
        values: [
          deferred.map(({ deliveryId }) => deliveryId),
          deferred.map(({ until }) => until),
          deferred.map(({ ownerId }) => ownerId),
          deferred.map(({ runId }) => runId),
          deferred.map(({ notes }) => JSON.stringify(notes)),
          deferred.map(({ entryOf, until }) => JSON.stringify([entryOf(at, until)])),
        ],
      });
      for (const { id } of written.rows) isDeferred.add(id);
      await client.query(
        `insert into rate_limit_queues (webhook_id, check_at) values ($1, now() + ${checkEvery})
         on conflict (webhook_id) do nothing`,
        [webhookId],
      );
    }
    const until = new Map(deferred.map((each) => [each.deliveryId, each.until]));
    return requests.map(({ deliveryId }): Slot => {
      const time = until.get(deliveryId);
      if (!time) return { is: 'granted' };
      return isDeferred.has(deliveryId) ? { is: 'deferred', at, until: time } : { is: 'changed' };
    });
  });
}

/**
 * How often a queue's times are computed again, unless a change requests it before: for what no change shows, such as a grant
 * without an attempt. A check reads the webhook's log of an hour, so one with a long log is checked less often.
 */
const checkEvery = `interval '2 seconds'`;
const secondsBetweenChecks = (logLength: number) => 2 + logLength / 100;

/** The next webhooks whose queue is to be checked; claimed, so that several processes share the work. */
export async function claimQueues(db: Queryable, limit: number): Promise<string[]> {
  const { rows } = await db.query<{ webhookId: string }>(
    `update rate_limit_queues q set check_at = now() + ${checkEvery}
     from (select webhook_id from rate_limit_queues where check_at <= now()
       order by check_at limit $1 for update skip locked) as due
     where q.webhook_id = due.webhook_id returning q.webhook_id as "webhookId"`,
    [limit],
  );
  return rows.map(({ webhookId }) => webhookId);
}

/** Checks every queue now, because the cap has changed. */
export async function checkAllQueues(db: Queryable): Promise<void> {
  await db.query(`update rate_limit_queues set check_at = now()`);
}

/** Checks the queues of an account's webhooks now, because its cap has changed. */
export async function checkQueuesOf(db: Queryable, accountId: string): Promise<void> {
  await db.query(
    `update rate_limit_queues q set check_at = now() from webhooks w
     where w.account_id = $1 and w.deleted_at is null and q.webhook_id = w.id`,
    [accountId],
  );
}

/** For a webhook whose queue deliveries have left: the others' times may be earlier now. */
export async function checkQueue(db: Queryable, webhookId: string): Promise<void> {
  await db.query(`update rate_limit_queues set check_at = now() where webhook_id = $1`, [webhookId]);
}

/**
 * Corrects the times of the first deliveries in a webhook's queue. The reconciler wakes those whose time has changed when it
 * has come. Without a cap, all of the queue is due.
 */
export async function correctQueue(
  pool: Pool,
  webhookId: string,
  { cap: defaultCap, grantMs }: Limits,
): Promise<void> {
  await withTransaction(pool, async (client) => {
    await lockQueue(client, webhookId);
    const cap = await readCapOf(client, webhookId, defaultCap);
    const limits = { cap: Math.max(cap, 1), grantMs };
    const { head, now, used } = await readQueue(client, webhookId, limits, [], null);
    const corrected =
      cap === 0 ? head.map(({ id }) => ({ id, until: now })) : correctTimes({ cap, now, used }, head);
    if (corrected.length > 0)
      await client.query(
        `update deliveries d set next_attempt_at = g.until, reconcile_at = g.until
         from unnest($1::text[], $2::timestamptz[]) as g(id, until)
         where d.id = g.id and d.next_attempt_at <> g.until and ${opaque(`d.wait_reason = 'hourly_cap'`)}`,
        [corrected.map(({ id }) => id), corrected.map(({ until }) => new Date(Math.ceil(until)))],
      );
    if (head.length === 0)
      await client.query(`delete from rate_limit_queues where webhook_id = $1`, [webhookId]);
    else {
      // A time that has come was requested by a change since this check was claimed.
      await client.query(
        `update rate_limit_queues set check_at = clock_timestamp() + make_interval(secs => $2)
         where webhook_id = $1 and check_at > clock_timestamp()`,
        [webhookId, secondsBetweenChecks(used.length)],
      );
    }
    // Grants without an attempt.
    await client.query(
      `delete from rate_limit_grants where webhook_id = $1 and granted_at < now() - make_interval(secs => $2)`,
      [webhookId, (2 * grantMs) / 1000],
    );
  });
}
