import { Context } from '@temporalio/activity';
import { createAttemptDelivery, type AttemptDeps } from './attempt-delivery.ts';
import { createEvaluateAutoDisable, type AutoDisableDeps } from './evaluate-auto-disable.ts';
import { createRecoverPage, type RecoverDeps } from './recover-page.ts';
import { createRemoveOldBatch, type RemoveDeps } from './remove-old-batch.ts';
import { createRescheduleDelivery } from './reschedule-delivery.ts';
import { createSettleDelivery } from './settle-delivery.ts';
import { createSettleRecovery } from './settle-recovery.ts';

export type ActivityDeps = AttemptDeps & AutoDisableDeps & RecoverDeps & RemoveDeps;

/** The side effects that workflows call, built from what they need. */
export function createActivities(deps: ActivityDeps) {
  return {
    attemptDelivery: withHeartbeat(createAttemptDelivery(deps)),
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
    const beat = setInterval(() => context.heartbeat(), heartbeatMs);
    try {
      return await run(input);
    } finally {
      clearInterval(beat);
    }
  };
}

export type Activities = ReturnType<typeof createActivities>;
