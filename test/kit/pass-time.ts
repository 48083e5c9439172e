import { withTransaction, type Pool } from '../../src/db/pool.ts';

const moved: Record<string, readonly string[]> = {
  attempts: ['started_at'],
  webhook_stats: ['minute'],
  rate_limit_grants: ['granted_at'],
  rate_limit_queues: ['check_at'],
  webhooks: ['health_since', 'next_probe_at', 'ramp_started_at', 'deferred_until', 'paused_until'],
  deliveries: ['next_attempt_at', 'reconcile_at', 'deferred_at', 'held_until', 'deliver_at', 'expires_at'],
};

/** Farther than any time in use, so that moved rows conflict with no other row of a unique index. */
const farSeconds = 1e10;

/** Lets so many seconds pass for the database, by moving its times back. Ids and acceptance stay as they are. */
export async function passTime(pool: Pool, seconds: number): Promise<void> {
  await withTransaction(pool, async (client) => {
    for (const [table, columns] of Object.entries(moved))
      for (const by of [farSeconds, seconds - farSeconds]) {
        const set = columns.map((name) => `${name} = ${name} - make_interval(secs => ${by})`);
        await client.query(`update ${table} set ${set.join(', ')}`);
      }
    // Temporal's timers go by the true time: the reconciler wakes deliveries that are due.
    await client.query(
      `update deliveries set reconcile_at = now() where next_attempt_at <= now() and owner_id is not null`,
    );
  });
}
