import type { HealthState } from '../contracts/webhook-policy.ts';
import {
  downAfterFailures,
  judgeHealth,
  stepPacing,
  type HealthFacts,
  type Pacing,
  type PacingInput,
} from '../domain/health.ts';
import { newId } from '../domain/ids.ts';
import { acceptOperationalEvents, type OperationalEvent } from './operational-events.ts';
import { withTransaction, type Client, type Pool, type Queryable } from './pool.ts';

/** Webhooks that are judged at once. */
export const healthBatch = 500;

/** Within this a change is found after the attempts that cause it have ended: `down` comes 5 minutes after the first one. */
const recent = `interval '10 minutes'`;

type Judged = HealthFacts & { id: string; accountId: string; since: Date | null };

const ms = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`;

/** The attempts of a webhook since its last success, of its latest ones in the last hour. */
const failuresOf = (webhookId: string, limit: string) => `(
  select count(*)::int as in_row, min(started_at) as since from (
    select started_at, count(*) filter (where outcome = 'delivered') over (order by started_at desc) as successes
    from (select started_at, outcome from attempts
      where webhook_id = ${webhookId} and counts_for_cap and started_at > now() - interval '1 hour'
      order by started_at desc limit ${limit}) as latest) as counted
  where successes = 0)`;

/** The ids of the next active webhooks that may have another state now, in the order of their ids. */
async function findCandidates(db: Queryable, after: string): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>({
    name: 'find-health-candidates',
    text: `select w.id from webhooks w join (
        select id from webhooks
        where deleted_at is null and (health_state <> 'healthy' or next_probe_at is not null)
        union
        select webhook_id from webhook_stats where minute > now() - ${recent} and attempts > delivered
      ) as c on c.id = w.id
      where w.id > $1 and w.active and w.deleted_at is null
      order by w.id limit $2`,
    values: [after, healthBatch],
  });
  return rows.map(({ id }) => id);
}

/** By whole minutes; the failures in a row by the latest attempts. */
async function readFacts(db: Queryable, ids: readonly string[]): Promise<Judged[]> {
  const { rows } = await db.query<Judged>({
    name: 'read-health',
    text: `select w.id, w.account_id as "accountId", w.health_state as state, w.health_since as since,
        w.next_probe_at is not null as "isPaced", ${ms('now()')} as now,
        coalesce(s.attempts, 0)::int as attempts, coalesce(s.failed, 0)::int as failed,
        f.in_row as "failuresInRow",
        case when f.in_row < $2 or w.health_state = 'down' then ${ms('f.since')} else (
          select ${ms('min(started_at)')} from attempts
          where webhook_id = w.id and counts_for_cap and started_at > coalesce(
            (select started_at from attempts where webhook_id = w.id and counts_for_cap and outcome = 'delivered'
               and started_at > now() - interval '1 hour' order by started_at desc limit 1),
            now() - interval '1 hour')) end as "failingSince"
      from webhooks w
      left join lateral (
        select sum(attempts) as attempts, sum(attempts - delivered) as failed from webhook_stats
        where webhook_id = w.id and minute > now() - interval '1 hour') as s on true
      cross join lateral ${failuresOf('w.id', '$2')} as f
      where w.id = any($1) and w.active and w.deleted_at is null`,
    values: [ids, downAfterFailures],
  });
  return rows;
}

/**
 * Gives the next webhooks the state that their attempts show, with an event where one became down or recovered. Several
 * processes may do so: each change is made once.
 *
 * @param after the last id of the batch before; empty: the first batch
 * @returns `next`: the last id of this batch; null: there are no more
 */
export async function judgeWebhooks(pool: Pool, after: string) {
  const ids = await findCandidates(pool, after);
  const changed = (await readFacts(pool, ids)).filter((facts) => judgeHealth(facts) !== facts.state);
  const changedIds = changed.map(({ id }) => id);
  const emitted = await changeHealth(pool, changedIds);
  return { next: ids.length === healthBatch ? (ids.at(-1) ?? null) : null, emitted, changedIds };
}

/** Judges these webhooks again, with their rows locked. Returns how many events it wrote. */
export async function changeHealth(pool: Pool, ids: readonly string[]): Promise<number> {
  if (ids.length === 0) return 0;
  return withTransaction(pool, async (client) => {
    await client.query(`select 1 from webhooks where id = any($1) order by id for update`, [ids]);
    const changed = (await readFacts(client, ids)).flatMap((facts) => {
      const state = judgeHealth(facts);
      return state === facts.state ? [] : [{ ...facts, state, was: facts.state }];
    });
    await client.query(
      `update webhooks w set health_state = g.state, health_since = g.since
       from unnest($1::text[], $2::text[], $3::timestamptz[]) as g(id, state, since) where w.id = g.id`,
      [changed.map(({ id }) => id), changed.map(({ state }) => state), changed.map(sinceOf)],
    );
    const events = changed.flatMap(eventOf);
    await acceptOperationalEvents(client, events);
    return events.length;
  });
}

type Change = Judged & { was: HealthState };

/** A webhook is down since its first failure, not since that was noticed. */
const sinceOf = ({ state, now, failingSince }: Change) =>
  new Date(state === 'down' ? (failingSince ?? now) : now);

/** None where a webhook is no longer down because it had no attempt. */
function eventOf(change: Change): OperationalEvent[] {
  const { id: webhookId, accountId, state, was, since, attempts } = change;
  const event = (type: OperationalEvent['type'], data: Record<string, unknown>): OperationalEvent[] => [
    { accountId, id: newId('evt'), type, data: { webhook_id: webhookId, ...data }, webhookId },
  ];
  if (state === 'down') return event('webhook.down', { since: sinceOf(change).toISOString() });
  if (was !== 'down' || attempts === 0) return [];
  return event('webhook.recovered', { down_since: since?.toISOString() ?? null });
}

type PacingRow = Pacing & { now: number; isProbing: boolean };

const pacingColumns = `${ms('next_probe_at')} as "nextProbeAt", failed_probes as probes,
  ${ms('ramp_started_at')} as "rampStartedAt", ${ms('clock_timestamp()')} as now,
  probe_when_down and active and deleted_at is null as "isProbing"`;

/** Failures of a webhook since its last success, up to `downAfterFailures`, and its pacing. Null: it does not probe. */
async function readPacing(db: Queryable, webhookId: string) {
  const { rows } = await db.query<PacingRow & { failuresInRow: number }>({
    name: 'read-pacing',
    text: `select ${pacingColumns}, f.in_row as "failuresInRow"
      from webhooks w cross join lateral ${failuresOf('w.id', '$2')} as f where w.id = $1`,
    values: [webhookId, downAfterFailures],
  });
  const [row] = rows;
  return row?.isProbing ? row : null;
}

/** `failed`: the attempt can be retried. `refused`: it ended its delivery failed. */
export type PacingResult = 'succeeded' | 'failed' | 'refused';

/**
 * Steps the pacing of a webhook that probes, after one of its attempts was recorded.
 *
 * @returns whether the pacing has begun or ended
 */
export async function paceAfter(pool: Pool, webhookId: string, result: PacingResult): Promise<boolean> {
  const step = (row: PacingRow & { failuresInRow: number }): Pacing => {
    const input: PacingInput =
      result === 'succeeded'
        ? { type: 'succeeded' }
        : { type: 'failed', failuresInRow: row.failuresInRow, isFinal: result === 'refused' };
    return stepPacing(row, input, row.now);
  };
  const before = await readPacing(pool, webhookId);
  if (!before || step(before) === before) return false;
  return withTransaction(pool, async (client) => {
    await client.query(`select 1 from webhooks where id = $1 for update`, [webhookId]);
    const row = await readPacing(client, webhookId);
    if (!row) return false;
    const next = step(row);
    if (next === row) return false;
    await writePacing(client, webhookId, next);
    return true;
  });
}

/** The caller has locked the webhook's row. Its queue is checked at once: the times of all that wait have changed. */
export async function writePacing(client: Client, webhookId: string, pacing: Pacing): Promise<void> {
  const { nextProbeAt, probes, rampStartedAt } = pacing;
  const dateOf = (at: number | null) => (at === null ? null : new Date(at));
  await client.query(
    `update webhooks set next_probe_at = $2, failed_probes = $3, ramp_started_at = $4 where id = $1`,
    [webhookId, dateOf(nextProbeAt), probes, dateOf(rampStartedAt)],
  );
  await client.query(
    `insert into rate_limit_queues (webhook_id, check_at) values ($1, now())
     on conflict (webhook_id) do update set check_at = excluded.check_at`,
    [webhookId],
  );
}

/** After a change by hand: the webhook was activated, or no longer probes. The caller has locked the webhook's row. */
export async function stepPacingByHand(
  client: Client,
  webhookId: string,
  type: 'activated' | 'switched_off',
): Promise<void> {
  const { rows } = await client.query<PacingRow>(`select ${pacingColumns} from webhooks where id = $1`, [
    webhookId,
  ]);
  const [row] = rows;
  if (!row || (row.nextProbeAt === null && row.rampStartedAt === null)) return;
  await writePacing(client, webhookId, stepPacing(row, { type }, row.now));
}
