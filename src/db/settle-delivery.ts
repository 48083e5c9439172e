import type { DeliveryStatus, TimelineEntry } from '../contracts/delivery.ts';
import type { StoredEntry } from '../domain/timeline.ts';
import { withTransaction, type Pool } from './pool.ts';

export type Settled =
  | { status: 'held' | 'canceled'; at: string; reason: string | null }
  | { status: 'ended' }
  | { status: 'goes_on' };

type Settle = {
  deliveryId: string;
  /** `canceled`: cancel what waits. `held`: hold what waits. `as_row_says`: only finish what the row was set to. */
  as: 'canceled' | 'held' | 'as_row_says';
  reason: string | null;
  /** What the workflow noted since its last step. */
  notes: readonly StoredEntry[];
};

/**
 * Ends the run of a delivery that is held or canceled: row and timeline say so, once, however often it is called.
 * Answers `goes_on` where the row waits for an attempt after all.
 */
export async function settleDelivery(
  pool: Pool,
  { deliveryId, as, reason, notes }: Settle,
): Promise<Settled> {
  return withTransaction(pool, async (client) => {
    const { rows } = await client.query<{
      status: DeliveryStatus;
      reason: string | null;
      endedAt: Date | null;
      timeline: StoredEntry[];
    }>(`select status, reason, ended_at as "endedAt", timeline from deliveries where id = $1 for update`, [
      deliveryId,
    ]);
    const [row] = rows;
    if (!row || row.status === 'delivered' || row.status === 'failed') return { status: 'ended' };
    const target = targetOf(row.status, as);
    if (target === null) return { status: 'goes_on' };
    const told = toldBefore(row.timeline, target, notes);
    if (row.status === target && told) return { status: target, at: told.at, reason: row.reason };
    const endedAt = row.status === target && row.endedAt ? row.endedAt : new Date();
    const at = endedAt.toISOString();
    const why = row.status === 'canceled' ? row.reason : target === 'canceled' ? reason : null;
    const entry: TimelineEntry =
      target === 'held' ? { at, type: 'held' } : { at, type: 'ended', status: 'canceled', reason: why };
    await client.query(
      `update deliveries set status = $2, reason = $3, ended_at = $4, next_attempt_at = null, slot = null,
         held_until = case when $2 = 'held' then coalesce(held_until, hold_until()) end,
         check_at = case when $2 = 'held' then coalesce(held_until, hold_until()) end,
         timeline = timeline || $5::jsonb
       where id = $1`,
      [deliveryId, target, why, target === 'canceled' ? endedAt : null, JSON.stringify([...notes, entry])],
    );
    return { status: target, at, reason: why };
  });
}

function targetOf(status: DeliveryStatus, as: Settle['as']): 'held' | 'canceled' | null {
  if (status === 'canceled' || as === 'canceled') return 'canceled';
  if (status === 'held' || as === 'held') return 'held';
  return null;
}

/** The entry that an earlier call for the same run has written, if any. */
function toldBefore(
  timeline: StoredEntry[],
  target: 'held' | 'canceled',
  notes: readonly StoredEntry[],
): TimelineEntry | null {
  const last = timeline.at(-1);
  if (last?.type !== (target === 'held' ? 'held' : 'ended')) return null;
  const runsOf = (entries: readonly StoredEntry[]) =>
    entries.flatMap((entry) =>
      entry.type === 'started' || entry.type === 'handed_over' ? [entry.run_id] : [],
    );
  const runs = new Set(runsOf(timeline));
  return runsOf(notes).every((runId) => runs.has(runId)) ? last : null;
}
