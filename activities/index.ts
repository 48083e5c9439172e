import { Context } from '@temporalio/activity';
import { rescheduleDelivery } from '../src/db/reschedule-delivery.ts';
import { archiveEntries } from '../src/db/deliveries-table.ts';
import { cancelDelivery } from '../src/db/stop-delivery.ts';
import { endRecovery, setRecoveryStatus } from '../src/db/recoveries-table.ts';
import { rescheduledEntry } from '../src/domain/delivery-run.ts';
import type {
  ArchiveInput,
  CancelInput,
  CancelResult,
  GroupSignal,
  PassOnInput,
  RescheduleInput,
  SetRecoveryStatusInput,
} from '../workflows/contract.ts';
import { createAttemptDelivery, type AttemptDeps } from './attempt-delivery.ts';
import { createAttemptGroup } from './attempt-group.ts';
import { createEvaluateAutoDisable, type AutoDisableDeps } from './evaluate-auto-disable.ts';
import { createLoadContext } from './load-context.ts';
import { createMakeAttempt, type MakeAttemptDeps } from './make-attempt.ts';
import { createRecoverPage, type RecoverDeps } from './recover-page.ts';
import { createRemoveOldBatch, type RemoveDeps } from './remove-old-batch.ts';
import type { Turns } from './turns.ts';

export type ActivityDeps = MakeAttemptDeps &
  AutoDisableDeps &
  RecoverDeps &
  RemoveDeps & {
    turns: Turns;
    onFirstAttempts: AttemptDeps['onFirstAttempts'];
    /** Called when deliveries wait for an owner. */
    wakeDispatcher: () => void;
    /** Called when deliveries wait for their own workflow. */
    wakeStarts: () => void;
    /** Signals a delivery's owner, whichever it is by now. */
    passOnSignal: (signal: GroupSignal) => Promise<void>;
  };

/** The side effects that workflows call, built from what they need. */
export function createActivities(deps: ActivityDeps) {
  const { pool, turns, onFirstAttempts, wakeStarts } = deps;
  const attempts = {
    load: createLoadContext(pool, deps.limits.cap),
    makeAttempt: createMakeAttempt(deps),
    turns,
    onFirstAttempts,
  };
  return {
    attemptDelivery: withHeartbeat(createAttemptDelivery(attempts)),
    attemptGroup: createAttemptGroup({ ...attempts, pool, wakeStarts }),
    archiveEntries: ({ deliveryId, entries }: ArchiveInput): Promise<void> =>
      archiveEntries(pool, deliveryId, entries),
    cancelDelivery: withHeartbeat(async ({ deliveryId, notes }: CancelInput): Promise<CancelResult> => {
      const endedAt = await cancelDelivery(pool, { deliveryId, entries: notes, isByRun: true });
      if (endedAt) return { status: 'canceled', at: endedAt.toISOString() };
      await archiveEntries(pool, deliveryId, notes);
      return { status: 'ended' };
    }),
    rescheduleDelivery: withHeartbeat(({ deliveryId, at, until, notes }: RescheduleInput): Promise<void> => {
      const entries = [...notes, rescheduledEntry({ at, until })];
      return rescheduleDelivery(pool, { deliveryId, until: new Date(until), entries });
    }),
    passOnSignals: withHeartbeat(async ({ signals }: PassOnInput): Promise<void> => {
      for (const signal of signals) await deps.passOnSignal(signal);
    }),
    evaluateAutoDisable: withHeartbeat(createEvaluateAutoDisable(deps)),
    recoverPage: withHeartbeat(createRecoverPage(deps)),
    setRecoveryStatus: withHeartbeat(
      async ({ recoveryId, status }: SetRecoveryStatusInput): Promise<void> => {
        if (status === 'canceled') await endRecovery(pool, recoveryId, status);
        else await setRecoveryStatus(pool, recoveryId, status);
      },
    ),
    removeOldBatch: withHeartbeat(createRemoveOldBatch(deps)),
  };
}

/** How often an activity under way says so; workflows allow three times that before they take its worker for dead. */
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
