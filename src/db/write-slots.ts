import type { StoredEntry } from '../domain/timeline.ts';
import type { LimitReason } from '../domain/webhook-limits.ts';
import { arrayOfUnknownLength } from './columns.ts';
import { reconcileRunAfter } from './deliveries-table.ts';
import { expiry, type Expired } from './failed-deliveries.ts';
import { opaque } from './opaque.ts';
import { parking } from './parked-deliveries.ts';
import type { Queryable } from './pool.ts';
import { isQueued } from './read-queue.ts';

/** The attempts from their grant until they are recorded. */
export async function grant(
  db: Queryable,
  webhookId: string,
  at: Date,
  granted: readonly { deliveryId: string; number: number }[],
): Promise<void> {
  await db.query({
    name: 'grant',
    text: `insert into rate_limit_grants (delivery_id, number, webhook_id, granted_at)
      select *, $3, $4::timestamptz from unnest(${arrayOfUnknownLength(1, 'text')}, $2::int[])
      on conflict (delivery_id, number) do update set granted_at = excluded.granted_at`,
    values: [granted.map(({ deliveryId }) => deliveryId), granted.map(({ number }) => number), webhookId, at],
  });
}

export type Run = { deliveryId: string; ownerId: string; runId: string; notes: readonly StoredEntry[] };
export type Deferral = Run & { until: Date; reason: LimitReason; entry: StoredEntry };

const runColumns = (runs: readonly Run[]) => [
  runs.map(({ deliveryId }) => deliveryId),
  runs.map(({ ownerId }) => ownerId),
  runs.map(({ runId }) => runId),
  runs.map(({ notes }) => JSON.stringify(notes)),
];

const withNotes = `d.timeline || case when d.timeline @> g.notes::jsonb then '[]' else g.notes::jsonb end`;

/** Returns the deliveries that still waited, for this owner, and are deferred now. */
export async function defer(db: Queryable, deferrals: readonly Deferral[]): Promise<Set<string>> {
  const { rows } = await db.query<{ id: string }>({
    name: 'defer',
    text: `update deliveries d set next_attempt_at = g.until, wait_reason = g.reason, deferred_at = null,
        owner_id = d.id, run_id = case when g.owner_id = d.id then g.run_id end,
        reconcile_at = case when g.owner_id = d.id then g.until + ${reconcileRunAfter} else now() end,
        timeline = ${withNotes} || g.entry::jsonb
      from unnest(${arrayOfUnknownLength(1, 'text')}, $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[],
        $7::text[]) as g(delivery_id, owner_id, run_id, notes, until, reason, entry)
      where d.id = g.delivery_id and d.status in ('pending', 'retrying') and d.owner_id = g.owner_id
      returning d.id`,
    values: [
      ...runColumns(deferrals),
      deferrals.map(({ until }) => until),
      deferrals.map(({ reason }) => reason),
      deferrals.map(({ entry }) => JSON.stringify([entry])),
    ],
  });
  return new Set(rows.map(({ id }) => id));
}

/** Parks deliveries: their workflows end. Returns those that still waited, for this owner. */
export async function park(db: Queryable, runs: readonly Run[]): Promise<Set<string>> {
  const { set, entry } = parking;
  const { rows } = await db.query<{ id: string }>({
    name: 'park',
    text: `update deliveries d set status = ${set.status}, next_attempt_at = ${set.nextAttemptAt}, wait_reason = ${set.waitReason},
        deferred_at = ${set.deferredAt}, owner_id = null, reconcile_at = null,
        run_id = case when g.owner_id = d.id then g.run_id end, timeline = ${withNotes} || ${entry}
      from unnest(${arrayOfUnknownLength(1, 'text')}, $2::text[], $3::text[], $4::text[])
          as g(delivery_id, owner_id, run_id, notes)
      where d.id = g.delivery_id and d.status in ('pending', 'retrying') and d.owner_id = g.owner_id
      returning d.id`,
    values: runColumns(runs),
  });
  return new Set(rows.map(({ id }) => id));
}

/** Ends deliveries as failed that expire before an attempt. Returns those that still waited, for this owner. */
export async function expire(db: Queryable, runs: readonly Run[]): Promise<Expired[]> {
  const { rows } = await db.query<Expired>({
    name: 'expire',
    text: `update deliveries d set ${expiry.set}, reconcile_at = null,
        run_id = case when g.owner_id = d.id then g.run_id else d.run_id end, timeline = ${withNotes} || ${expiry.entry}
      from unnest(${arrayOfUnknownLength(1, 'text')}, $2::text[], $3::text[], $4::text[])
          as g(delivery_id, owner_id, run_id, notes), ${expiry.from}
      where d.id = g.delivery_id and d.status in ('pending', 'retrying') and d.owner_id = g.owner_id
      returning ${expiry.returning}`,
    values: runColumns(runs),
  });
  return rows;
}

/** Writes other times to rows of a queue. The reconciler wakes their workflows when these have come. */
export async function writeTimes(
  db: Queryable,
  times: readonly { id: string; until: number; reason: LimitReason }[],
): Promise<void> {
  await db.query(
    `update deliveries d set next_attempt_at = g.until, reconcile_at = g.until, wait_reason = g.reason
     from unnest($1::text[], $2::timestamptz[], $3::text[]) as g(id, until, reason)
     where d.id = g.id and (d.next_attempt_at, d.wait_reason) <> (g.until, g.reason) and ${opaque(`d.${isQueued} and d.owner_id is not null`)}`,
    [
      times.map(({ id }) => id),
      times.map(({ until }) => new Date(Math.ceil(until))),
      times.map(({ reason }) => reason),
    ],
  );
}
