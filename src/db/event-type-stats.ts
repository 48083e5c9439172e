import type { EventTypeStats } from '../contracts/stats.ts';
import { bucketsOf } from '../domain/stats-range.ts';
import type { Queryable } from './pool.ts';
import { showAll } from './read-stats.ts';

type Row = { event: string; attempts: number; delivered: number; failed: number };

/** The last 24 hours of an account by event type, the present hour included: types without an attempt are left out. */
export async function readEventTypeStats(
  db: Queryable,
  accountId: string,
  now: Date,
): Promise<EventTypeStats> {
  const { since, until } = bucketsOf('24h', now);
  const { rows } = await db.query<Row>(
    `select event_type as event, sum(attempts)::int as attempts, sum(delivered)::int as delivered, sum(failed)::int as failed
     from event_type_stats where account_id = $1 and hour >= $2 and hour < $3 group by 1 order by 1`,
    [accountId, since, until],
  );
  return {
    since: since.toISOString(),
    until: until.toISOString(),
    data: rows.map((row) => ({ event: row.event, ...showAll([row]) })),
  };
}
