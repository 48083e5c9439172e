import { Context } from '@temporalio/activity';
import { createAttemptDelivery, type AttemptDeps } from './attempt-delivery.ts';
import { createAttemptGroup } from './attempt-group.ts';
import { createEvaluateAutoDisable, type AutoDisableDeps } from './evaluate-auto-disable.ts';
import { createLoadMaterial } from './load-material.ts';
import { createMakeAttempt, type MakeAttemptDeps } from './make-attempt.ts';
import { createMarkHandedOver } from './mark-handed-over.ts';
import { createRecoverPage, type RecoverDeps } from './recover-page.ts';
import { createRemoveOldBatch, type RemoveDeps } from './remove-old-batch.ts';
import { createRescheduleDelivery } from './reschedule-delivery.ts';
import { createSettleDelivery } from './settle-delivery.ts';
import { createSettleRecovery } from './settle-recovery.ts';
import type { Turns } from './turns.ts';

export type ActivityDeps = MakeAttemptDeps &
  AutoDisableDeps &
  RecoverDeps &
  RemoveDeps & {
    turns: Turns;
    /** Attempts an hour and webhook; 0: no cap. */
    attemptsPerHour: number;
    onFirstAttempts: AttemptDeps['onFirstAttempts'];
  };

/** The side effects that workflows call, built from what they need. */
export function createActivities(deps: ActivityDeps) {
  const attempts = {
    load: createLoadMaterial(deps.pool, deps.attemptsPerHour),
    makeAttempt: createMakeAttempt(deps),
    turns: deps.turns,
    onFirstAttempts: deps.onFirstAttempts,
  };
  return {
    attemptDelivery: withHeartbeat(createAttemptDelivery(attempts)),
    attemptGroup: createAttemptGroup(attempts),
    markHandedOver: createMarkHandedOver(deps),
    settleDelivery: withHeartbeat(createSettleDelivery(deps)),
    rescheduleDelivery: withHeartbeat(createRescheduleDelivery(deps)),
    evaluateAutoDisable: withHeartbeat(createEvaluateAutoDisable(deps)),
    recoverPage: withHeartbeat(createRecoverPage(deps)),
    settleRecovery: withHeartbeat(createSettleRecovery(deps)),
    removeOldBatch: withHeartbeat(createRemoveOldBatch(deps)),
  };
}

/** How often an activity under way says so; workflows allow three times that before they take its worker for dead. */
const heartbeatMs = 3000;

function withHeartbeat<In, Out>(run: (input: In) => Promise<Out>): (input: In) => Promise<Out> {
  return async (input) => {
    const context = Context.current();
    // A local activity has no heartbeats: its workflow task tells that its worker lives.
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
