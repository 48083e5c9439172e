import { isDatabaseUnavailable } from '../src/db/pool.ts';
import type { StoredEntry } from '../src/domain/timeline.ts';
import type { AttemptGroupInput, GroupAttempt } from '../workflows/contract.ts';
import type { AttemptDeps } from './attempt-delivery.ts';
import { currentRun } from './current-run.ts';
import type { Attempted } from './make-attempt.ts';

type Run = { workflowId: string; runId: string };
type Asked = {
  id: string;
  webhookId: string;
  scheduledSeconds: number | null;
  notes: StoredEntry[];
  run: Run;
};

/**
 * The first attempts of a group, side by side, each recorded as it ends. Run again after a worker died half-way, it sends
 * only what was not recorded.
 *
 * @throws where PostgreSQL cannot be reached, once all requests under way have ended
 */
export function createAttemptGroup({ load, makeAttempt, turns, onFirstAttempts }: AttemptDeps) {
  /** Null: left to the delivery's own workflow. */
  const attempt = async ({ id, webhookId, run, ...asked }: Asked): Promise<GroupAttempt['result']> => {
    if (!turns.mayShare(webhookId)) return null;
    const turn = await turns.take(webhookId, true);
    if ('seconds' in turn) return null;
    let attempted: Attempted | null = null;
    try {
      const material = await load({ deliveryId: id, number: 1, groupId: run.workflowId });
      if (!material) return { next: 'stop', status: 'ended' };
      const { carriedBy, recorded, status } = material;
      if (carriedBy !== null && !recorded) {
        // Its own workflow has it, and may still have to be started by this group; or somebody else has it.
        const hasEnded = status === 'delivered' || status === 'failed' || status === 'canceled';
        return carriedBy === id && !hasEnded ? null : { next: 'stop', status: 'ended' };
      }
      attempted = await makeAttempt(material, { ...asked, run });
      return attempted.result;
    } catch (error) {
      if (isDatabaseUnavailable(error)) throw error;
      // What is wrong with one is told by its own workflow, and keeps no other one waiting. The same where the sender had
      // no room for it.
      return null;
    } finally {
      turn.giveBack(attempted?.durationMs ?? null, attempted?.isFailed ?? null);
    }
  };

  return async (input: AttemptGroupInput): Promise<GroupAttempt[]> => {
    const { deliveries, releasedIds, scheduledSeconds, startedAt: at } = input;
    const run = currentRun();
    const started: StoredEntry = { at, type: 'started', run_id: run.runId, workflow_id: run.workflowId };
    const attempts = await Promise.allSettled(
      deliveries.map(({ id, webhookId }) => {
        const notes: StoredEntry[] = releasedIds.includes(id)
          ? [{ at, type: 'released' }, started]
          : [started];
        return attempt({ id, webhookId, scheduledSeconds, notes, run });
      }),
    );
    onFirstAttempts(run.workflowId);
    return attempts.map((settled, index) => {
      // Only now: run again before all have ended, it would repeat what is on the wire.
      if (settled.status === 'rejected') throw settled.reason;
      return { deliveryId: deliveries[index]?.id ?? '', result: settled.value };
    });
  };
}
