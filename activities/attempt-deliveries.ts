import { Context } from '@temporalio/activity';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { findStartFacts } from '../src/db/deliveries-table.ts';
import { moveToOwn } from '../src/db/owners.ts';
import type { MarkChanges } from '../src/db/changes.ts';
import { isDatabaseUnavailable, type Pool } from '../src/db/pool.ts';
import type { MakeAttempt } from '../src/delivery/attempt.ts';
import type { Permits } from '../src/delivery/permits.ts';
import type { AttemptInput, AttemptResult } from '../src/domain/attempt-result.ts';
import { describeAttemptError } from '../src/domain/outcome.ts';
import type { StoredEntry } from '../src/domain/timeline.ts';
import type { AttemptGroupInput, GroupAttempt } from '../workflows/contract.ts';

type Deps = {
  changes: MarkChanges;
  makeAttempt: MakeAttempt;
  /** Called for each workflow when the requests of its first attempts have been sent. */
  onFirstAttempts: (workflowId: string) => void;
};
type GroupDeps = Deps & {
  pool: Pool;
  permits: Permits;
  /** Called when deliveries wait for their own workflow. */
  wakeStarts: () => void;
};

/** One attempt of a delivery. */
export function createAttemptDelivery({ changes, makeAttempt, onFirstAttempts }: Deps) {
  return async (input: AttemptInput): Promise<AttemptResult> => {
    const onSent = () => void (input.number === 1 && onFirstAttempts(input.deliveryId));
    let result: AttemptResult | null = null;
    try {
      result = await makeAttempt({ ...input, run: currentRun(), isGrouped: false, onSent });
      // Deferred, held or canceled.
      if (result?.next === 'defer' || result?.next === 'stop') changes.touch(input.deliveryId);
    } finally {
      if (result?.next !== 'busy') onSent();
    }
    if (!result)
      throw ApplicationFailure.nonRetryable(`There is no delivery ${input.deliveryId}`, 'delivery_missing');
    // A failure that no retry can correct is thrown, so that Temporal shows it as one.
    if (result.next !== 'fail' || result.reason === 'retries_exhausted') return result;
    throw ApplicationFailure.create({
      message: describeAttemptError(result.reason, result.attempt.statusCode),
      type: result.reason,
      nonRetryable: true,
      details: [result],
      // The receiver's response, not a fault of ours: no warning in the worker's log.
      category: ApplicationFailureCategory.BENIGN,
    });
  };
}

/**
 * The first attempts of a group, side by side, each recorded as it ends. Run again after a worker died half-way, it makes
 * only the attempts that were not recorded.
 *
 * @throws where PostgreSQL cannot be reached, once all requests under way have ended
 */
export function createAttemptGroup({
  pool,
  changes,
  makeAttempt,
  permits,
  onFirstAttempts,
  wakeStarts,
}: GroupDeps) {
  /** Null: left to the delivery's own workflow. */
  const attempt = async (input: AttemptInput, onSent: () => void): Promise<GroupAttempt['result']> => {
    if (!permits.mayShare(input.webhookId)) return null;
    try {
      const result = await makeAttempt({ ...input, run: currentRun(), isGrouped: true, onSent });
      if (result === null) return { next: 'stop', status: 'ended', attempt: null, seconds: null };
      if (result.next === 'busy') return null;
      if (result.next === 'defer' || result.next === 'stop') changes.touch(input.deliveryId);
      return result;
    } catch (error) {
      if (isDatabaseUnavailable(error)) throw error;
      // The delivery's own workflow gets the error, and no other delivery is delayed.
      return null;
    }
  };

  return async (input: AttemptGroupInput): Promise<GroupAttempt[]> => {
    const { deliveries, scheduledSeconds, startedAt: at } = input;
    const { runId, workflowId } = currentRun();
    const started: StoredEntry = { at, type: 'started', run_id: runId, workflow_id: workflowId };
    const first = { number: 1, scheduledSeconds, trigger: 'due', notes: [started] } as const;
    // Responses are not waited for: other groups start before a receiver that hangs responds.
    const unsent = new Set(deliveries.map(({ id }) => id));
    const outcomes = await Promise.allSettled(
      deliveries.map(({ id: deliveryId, webhookId }) => {
        const onSent = () => {
          if (unsent.delete(deliveryId) && unsent.size === 0) onFirstAttempts(workflowId);
        };
        return attempt({ deliveryId, webhookId, ...first }, onSent).finally(onSent);
      }),
    );
    const attempts = outcomes.map((each, index): GroupAttempt => {
      // Only now: run again before all have ended, it would repeat requests that are under way.
      if (each.status === 'rejected') throw each.reason;
      return { deliveryId: deliveries[index]?.id ?? '', result: each.value };
    });
    const left = attempts.filter(({ result }) => result === null).map(({ deliveryId }) => deliveryId);
    if (left.length > 0) {
      await moveToOwn(pool, left, workflowId);
      wakeStarts();
    }
    const failed = attempts.filter(({ result }) => result?.next === 'fail');
    if (failed.length === 0) return attempts;
    const facts = await findStartFacts(
      pool,
      failed.map(({ deliveryId }) => deliveryId),
    );
    const byId = new Map(facts.map((each) => [each.id, each]));
    return attempts.map((each) => {
      const ofFailed = byId.get(each.deliveryId);
      return ofFailed ? { ...each, failed: ofFailed } : each;
    });
  };
}

/** The workflow's run that called this activity. */
export function currentRun(): { workflowId: string; runId: string } {
  const { workflowExecution } = Context.current().info;
  if (!workflowExecution) throw new Error('This activity is called by workflows only');
  const { workflowId, runId } = workflowExecution;
  return { workflowId, runId };
}
