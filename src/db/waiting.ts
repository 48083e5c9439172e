import { timeOfId } from '../domain/ids.ts';
import { unowned } from './deliveries-table.ts';
import { dueConditions } from './owners.ts';
import { onlyRow, type Queryable } from './pool.ts';

type Row = {
  pending: number;
  scheduled: number;
  inOrder: number;
  retrying: number;
  held: number;
  failing: number;
  down: number;
  blockedLines: number;
  lagSeconds: number | null;
  oldestId: string | null;
};

/**
 * Waiting deliveries, blocked lines, and webhooks that are not healthy, for the metrics. At most `most` rows of each index are
 * counted, however large the table is. Retrying and held deliveries are in the reconciler's two indexes, which are ordered by time.
 */
export async function readWaiting(db: Queryable, most: number) {
  const { rows } = await db.query<Row>({
    name: 'read-waiting',
    text: `select
        (select count(*)::int from (
          (select 1 from deliveries where status = 'pending' and start_after is null limit $1)
          union all
          (select 1 from deliveries where status = 'pending' and start_after = 'deliver_at' limit $1)
          union all
          (select 1 from deliveries where status = 'pending' and start_after = 'line' limit $1)
          limit $1) as p) as pending,
        (select count(*)::int from (
          select 1 from deliveries where status = 'pending' and start_after = 'deliver_at' limit $1) as s) as scheduled,
        (select count(*)::int from (
          select 1 from deliveries where status = 'pending' and start_after = 'line' limit $1) as o) as "inOrder",
        (select count(*)::int from (
          select 1 from delivery_lines where blocked_at is not null limit $1) as b) as "blockedLines",
        retrying, held, failing, down,
        extract(epoch from now() - least(
          (select reconcile_at from deliveries where reconcile_at <= now() and ${dueConditions.start}
            order by reconcile_at limit 1),
          (select reconcile_at from deliveries where reconcile_at <= now() and ${dueConditions.check}
            order by reconcile_at limit 1)))::float8 as "lagSeconds",
        least(
          (select id from deliveries d where ${unowned('d')} order by id limit 1),
          (select id from deliveries where reconcile_at is not null and ${dueConditions.start} order by reconcile_at limit 1)
        ) as "oldestId"
      from (
        select count(*) filter (where status = 'retrying')::int as retrying,
          count(*) filter (where status = 'held')::int as held
        from (
          (select status from deliveries where reconcile_at is not null and ${dueConditions.start}
            order by reconcile_at limit $1)
          union all
          (select status from deliveries where reconcile_at is not null and ${dueConditions.check}
            order by reconcile_at limit $1)) as looked_at
      ) as counted, (
        select count(*) filter (where health_state = 'failing')::int as failing,
          count(*) filter (where health_state = 'down')::int as down
        from (select health_state from webhooks
          where deleted_at is null and (health_state <> 'healthy' or next_probe_at is not null) and active
          limit $1) as unhealthy
      ) as of_webhooks`,
    values: [most],
  });
  const { lagSeconds, oldestId, ...counts } = onlyRow(rows, 'read-waiting');
  const oldestMs = oldestId === null ? 0 : Date.now() - timeOfId(oldestId).getTime();
  return {
    ...counts,
    reconcilerLagSeconds: lagSeconds ?? 0,
    oldestNotStartedSeconds: Math.max(0, oldestMs) / 1000,
  };
}
