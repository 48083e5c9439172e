import { createAttemptDelivery, type AttemptDeps } from './attempt-delivery.ts';
import { createSettleDelivery } from './settle-delivery.ts';

/** The side effects that workflows call, built from what they need. */
export function createActivities(deps: AttemptDeps) {
  return {
    attemptDelivery: createAttemptDelivery(deps),
    settleDelivery: createSettleDelivery(deps),
  };
}

export type Activities = ReturnType<typeof createActivities>;
