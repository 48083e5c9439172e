import { joinLines } from './delivery-lines.ts';
import { acceptExpired, expiry, type Expired } from './failed-deliveries.ts';
import { withTransaction, type Pool, type Queryable } from './pool.ts';
import { checkQueue } from './queue-checks.ts';
import { isParked } from './read-queue.ts';
import type { StoredEntry } from '../domain/timeline.ts';

/**
 * The parts of a statement that let deliveries start, or join the lines of their webhooks, in the order of their times.
 *
 * @param found the condition of the rows, and their order
 */
const startStatement = (found: string) => `due as materialized (
    select id, webhook_id, order_key, deliver_at from deliveries
    where start_after = 'deliver_at' and status = 'pending' and ${found} for update skip locked),
  numbered as (
    select *, count(*) over (partition by webhook_id, order_key order by deliver_at desc, id desc) - 1 as behind_it from due),
  ${joinLines('select distinct webhook_id, order_key from due where order_key is not null')},
  started as (
    update deliveries d set start_after = case when l.order_key is not null then 'line' end,
      line_position = l.last_position - n.behind_it
    from numbered n left join lines l on l.webhook_id = n.webhook_id and l.order_key = n.order_key
    where d.id = n.id returning d.line_position)`;

/**
 * Lets the dispatcher start deliveries whose `deliver_at` has come, those that have waited longest first; those of a webhook with
 * ordering join their line. Rows that another process has locked are left to it.
 *
 * @returns how many were found, how many of them joined a line, and the milliseconds until the next one is due; null: there is none
 */
export async function startScheduled(db: Queryable, limit: number) {
  const { rows } = await db.query<{ started: number; joined: number; nextMs: number | null }>({
    name: 'start-scheduled',
    text: `with ${startStatement('deliver_at <= now() order by deliver_at, id limit $1')}
      select (select count(*)::int from started) as started, (select count(line_position)::int from started) as joined, (
        select 1000 * extract(epoch from deliver_at - clock_timestamp())::float8 from deliveries
        where start_after = 'deliver_at' and status = 'pending' and deliver_at > now()
        order by deliver_at, id limit 1) as "nextMs"`,
    values: [limit],
  });
  return rows[0] ?? { started: 0, joined: 0, nextMs: null };
}

/** A scheduled delivery is to be started now. `joined`: it waits in its line. Null: it is not scheduled, or no longer. */
export async function startScheduledNow(db: Queryable, id: string): Promise<'started' | 'joined' | null> {
  const { rows } = await db.query<{ isInLine: boolean }>(
    `with ${startStatement('id = $1')} select line_position is not null as "isInLine" from started`,
    [id],
  );
  if (!rows[0]) return null;
  return rows[0].isInLine ? 'joined' : 'started';
}

/** Gives a scheduled delivery another time. False: it is not scheduled, or no longer. */
export async function moveScheduled(
  db: Queryable,
  { id, until, entries }: { id: string; until: Date; entries: readonly StoredEntry[] },
): Promise<boolean> {
  const { rowCount } = await db.query(
    `update deliveries set deliver_at = $2, timeline = timeline || $3::jsonb
     where id = $1 and start_after = 'deliver_at' and status = 'pending'`,
    [id, until, JSON.stringify(entries)],
  );
  return rowCount === 1;
}

/**
 * An attempt may be under way until then: each looks at the time before its request begins, and a request takes 30 s at most
 * by the policy of a webhook. One that waits for a later time than its end has none under way.
 */
const underWay = `interval '60 seconds'`;

/**
 * Ends deliveries as failed whose `expires_at` has come, or that were parked for too long, and emits `delivery.failed` for them in the same transaction. The
 * reconciler stops their workflows. Where one of them has an attempt under way, its result decides instead.
 */
export async function endExpired(pool: Pool, limit: number): Promise<string[]> {
  const expired = await withTransaction(pool, async (client) => {
    const { rows } = await client.query<Expired & { isQueued: boolean }>({
      name: 'end-expired',
      text: `with expiring as (
          select id, wait_reason is not null as is_queued from deliveries
          where expires_at <= now() and expires_at is not null and status in ('pending', 'retrying', 'held')
            and (owner_id is null or next_attempt_at > expires_at or expires_at <= now() - ${underWay})
          order by expires_at, id limit $1 for update skip locked),
        parked as (
          select id, true as is_queued from deliveries where ${isParked} and next_attempt_at <= now()
          order by next_attempt_at limit $1 for update skip locked),
        due as (select * from expiring union select * from parked)
        update deliveries d set ${expiry.set}, reconcile_at = case when d.owner_id is not null then now() end,
          timeline = d.timeline || ${expiry.entry}
        from due, ${expiry.from}
        where d.id = due.id
        returning ${expiry.returning}, due.is_queued as "isQueued"`,
      values: [limit],
    });
    await acceptExpired(client, rows);
    return rows;
  });
  const queues = new Set(expired.flatMap(({ webhookId, isQueued }) => (isQueued ? [webhookId] : [])));
  for (const webhookId of queues) await checkQueue(pool, webhookId);
  return expired.map(({ deliveryId }) => deliveryId);
}
