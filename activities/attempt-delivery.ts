import { ApplicationFailure } from '@temporalio/common';
import { SenderBusy } from '../src/outbound/sender-busy.ts';
import type { AttemptInput, AttemptResult } from '../workflows/contract.ts';
import { throwFailure } from './attempt-results.ts';
import { currentRun } from './current-run.ts';
import type { LoadContext } from './load-context.ts';
import type { Attempted, createMakeAttempt } from './make-attempt.ts';
import type { Turns } from './turns.ts';

export type AttemptDeps = {
  load: LoadContext;
  makeAttempt: ReturnType<typeof createMakeAttempt>;
  turns: Turns;
  /** Called for each workflow whose first attempts have been made. */
  onFirstAttempts: (workflowId: string) => void;
};

/** Load → sign → send → record: one attempt, as one activity. */
export function createAttemptDelivery({ load, makeAttempt, turns, onFirstAttempts }: AttemptDeps) {
  return async (input: AttemptInput): Promise<AttemptResult> => {
    const { deliveryId, number, webhookId, scheduledSeconds, trigger, notes } = input;
    const turn = await turns.take(webhookId, false);
    if ('seconds' in turn) return { next: 'busy', seconds: turn.seconds };
    let attempted: Attempted | null = null;
    try {
      const context = await load({ deliveryId, number });
      if (!context)
        throw ApplicationFailure.nonRetryable(`There is no delivery ${deliveryId}`, 'delivery_missing');
      attempted = await makeAttempt(context, { scheduledSeconds, trigger, notes, run: currentRun() });
    } catch (error) {
      if (error instanceof SenderBusy) return { next: 'busy', seconds: error.seconds };
      throw error;
    } finally {
      turn.giveBack(attempted?.durationMs ?? null, attempted?.isFailed ?? null);
      if (number === 1) onFirstAttempts(deliveryId);
    }
    return throwFailure(attempted.result);
  };
}
