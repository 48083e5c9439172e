import { moveToOwn } from '../src/db/owners.ts';
import { isDatabaseUnavailable, type Pool } from '../src/db/pool.ts';
import type { StoredEntry } from '../src/domain/timeline.ts';
import type { AttemptGroupInput, GroupAttempt } from '../workflows/contract.ts';
import type { AttemptDeps } from './attempt-delivery.ts';
import { currentRun } from './current-run.ts';
import type { AttemptRun, Attempted } from './make-attempt.ts';

type GroupDeps = AttemptDeps & {
  pool: Pool;
  /** Called when deliveries wait for workflows of their own. */
  wakeStarts: () => void;
};
type Member = { id: string; webhookId: string };

/**
 * The first attempts of a group, side by side, each recorded as it ends. Run again after a worker died half-way, it sends
 * only what was not recorded.
 *
 * @throws where PostgreSQL cannot be reached, once all requests under way have ended
 */
export function createAttemptGroup(deps: GroupDeps) {
  const { pool, load, makeAttempt, turns, onFirstAttempts, wakeStarts } = deps;
  /** Null: left to the delivery's own workflow. */
  const attempt = async (
    { id, webhookId }: Member,
    attemptRun: AttemptRun,
  ): Promise<GroupAttempt['result']> => {
    if (!turns.mayShare(webhookId)) return null;
    const turn = await turns.take(webhookId, true);
    if ('seconds' in turn) return null;
    let attempted: Attempted | null = null;
    try {
      const context = await load({ deliveryId: id, number: 1 });
      if (!context) return { next: 'stop', status: 'ended', attempt: null, seconds: null };
      attempted = await makeAttempt(context, attemptRun);
      return attempted.result;
    } catch (error) {
      if (isDatabaseUnavailable(error)) throw error;
      // What is wrong with one shows in its own workflow, and keeps no other one waiting. The same where the sender had no
      // room for it.
      return null;
    } finally {
      turn.giveBack(attempted?.durationMs ?? null, attempted?.isFailed ?? null);
    }
  };

  return async (input: AttemptGroupInput): Promise<GroupAttempt[]> => {
    const { deliveries, scheduledSeconds, startedAt: at } = input;
    const run = currentRun();
    const started: StoredEntry = { at, type: 'started', run_id: run.runId, workflow_id: run.workflowId };
    const attemptRun: AttemptRun = { scheduledSeconds, trigger: 'due', notes: [started], run };
    const outcomes = await Promise.allSettled(deliveries.map((member) => attempt(member, attemptRun)));
    onFirstAttempts(run.workflowId);
    const attempts = outcomes.map((each, index) => {
      // Only now: run again before all have ended, it would repeat what is on the wire.
      if (each.status === 'rejected') throw each.reason;
      return { deliveryId: deliveries[index]?.id ?? '', result: each.value };
    });
    const left = attempts.filter(({ result }) => result === null).map(({ deliveryId }) => deliveryId);
    if (left.length > 0) {
      await moveToOwn(pool, left, run.workflowId);
      wakeStarts();
    }
    return attempts;
  };
}
