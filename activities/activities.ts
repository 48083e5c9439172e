import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { evaluateWebhooks } from '../src/db/evaluate-webhooks.ts';
import { eraseAccount } from '../src/db/erase-account.ts';
import { archiveEntries, rescheduleDelivery } from '../src/db/deliveries-table.ts';
import { moveToOwn } from '../src/db/owners.ts';
import { endOperation, setOperationStatus } from '../src/db/operations-table.ts';
import type { Retention } from '../src/db/retention.ts';
import { cancelDelivery } from '../src/db/stop-delivery.ts';
import { createMakeAttempt, type AttemptDeps } from '../src/delivery/attempt.ts';
import { runOperationPage } from '../src/dispatch/act-on-page.ts';
import type { SignalDeps } from '../src/dispatch/signal.ts';
import { waitEntry } from '../src/domain/attempt-result.ts';
import type { CancelResult } from '../src/domain/delivery-run.ts';
import type {
  ArchiveInput,
  CancelInput,
  DeleteAccountInput,
  EraseAccountResult,
  EvaluateInput,
  EvaluateResult,
  GroupSignal,
  PassOnInput,
  OperationPageInput,
  OperationPageResult,
  RescheduleInput,
  SetOperationStatusInput,
} from '../workflows/contract.ts';
import { createAttemptDelivery, createAttemptGroup, currentRun } from './attempt-deliveries.ts';
import { createRemoveOldBatch } from './remove-old-batch.ts';

export type ActivityDeps = AttemptDeps & {
  retention: Retention;
  /** Ended deliveries below which a webhook is not judged. */
  minEndedToDisable: number;
  /** Called for each workflow when the requests of its first attempts have been sent. */
  onFirstAttempts: (workflowId: string) => void;
  /** Called when deliveries wait for their own workflow. */
  wakeStarts: () => void;
  /** For operations, which signal the owners of deliveries. */
  signals: SignalDeps;
  /** Signals a delivery's present owner. */
  passOnSignal: (signal: GroupSignal) => Promise<unknown>;
};

/** The side effects that workflows call. */
export function createActivities(deps: ActivityDeps) {
  const { pool, wakeDispatcher, changes } = deps;
  const attempts = { ...deps, makeAttempt: createMakeAttempt(deps) };
  return {
    attemptDelivery: withHeartbeat(createAttemptDelivery(attempts)),
    attemptGroup: createAttemptGroup(attempts),
    archiveEntries: ({ deliveryId, entries }: ArchiveInput): Promise<void> =>
      archiveEntries(pool, deliveryId, entries),
    cancelDelivery: withHeartbeat(async ({ deliveryId, notes }: CancelInput): Promise<CancelResult> => {
      const endedAt = await cancelDelivery(pool, { deliveryId, entries: notes, isByRun: true });
      changes.touch(deliveryId);
      if (endedAt) return { status: 'canceled', at: endedAt.toISOString() };
      await archiveEntries(pool, deliveryId, notes);
      return { status: 'ended' };
    }),
    rescheduleDelivery: withHeartbeat(
      async ({ deliveryId, at, until, notes }: RescheduleInput): Promise<void> => {
        const entries = [...notes, waitEntry({ at, until, reason: 'rescheduled' })];
        await rescheduleDelivery(pool, { deliveryId, until: new Date(until), entries });
        changes.touch(deliveryId);
      },
    ),
    passOnSignals: withHeartbeat(async ({ signals }: PassOnInput): Promise<void> => {
      // If the group still owned a delivery, its signal would come back to this group, again and again. The group's attempts
      // are over, so these deliveries move to their own workflows first.
      const ids = signals.map(({ deliveryId }) => deliveryId);
      await moveToOwn(pool, ids, currentRun().workflowId);
      for (const signal of signals) await deps.passOnSignal(signal);
    }),
    evaluateAutoDisable: withHeartbeat(async ({ after }: EvaluateInput): Promise<EvaluateResult> => {
      const { next, disabledIds, changedIds } = await evaluateWebhooks(pool, after, deps.minEndedToDisable);
      deps.onDisabled(disabledIds.length);
      wakeDispatcher();
      changes.touch(...changedIds);
      return { next, disabled: disabledIds.length };
    }),
    runOperationPage: withHeartbeat(
      async ({ operationId }: OperationPageInput): Promise<OperationPageResult> => {
        const result = await runOperationPage(deps, operationId);
        changes.touch(operationId);
        if (!result)
          throw ApplicationFailure.nonRetryable(`There is no operation ${operationId}`, 'operation_missing');
        return result;
      },
    ),
    setOperationStatus: withHeartbeat(
      async ({ operationId, status }: SetOperationStatusInput): Promise<void> => {
        if (status === 'canceled') await endOperation(pool, operationId, status);
        else await setOperationStatus(pool, operationId, status);
        changes.touch(operationId);
      },
    ),
    removeOldBatch: withHeartbeat(createRemoveOldBatch(deps)),
    eraseAccount: withHeartbeat(async ({ accountId }: DeleteAccountInput): Promise<EraseAccountResult> => ({
      next: await eraseAccount(pool, accountId),
    })),
  };
}

/** Workflows allow three times that before they regard its worker as dead. */
const heartbeatMs = 3000;

function withHeartbeat<In, Out>(run: (input: In) => Promise<Out>): (input: In) => Promise<Out> {
  return async (input) => {
    const context = Context.current();
    // A local activity has no heartbeats: its workflow task shows that its worker lives.
    if (context.info.isLocal) return run(input);
    const beat = setInterval(() => context.heartbeat(), heartbeatMs);
    try {
      return await run(input);
    } finally {
      clearInterval(beat);
    }
  };
}

export type Activities = ReturnType<typeof createActivities>;
