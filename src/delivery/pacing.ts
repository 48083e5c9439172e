import type { AttemptOutcome } from '../contracts/attempt-schema.ts';
import { createBatcher } from '../db/batcher.ts';
import type { Pool } from '../db/pool.ts';
import { changeHealth, paceAfter, type PacingResult } from '../db/webhook-health.ts';

type Deps = {
  pool: Pool;
  /** Called when deliveries wait for an owner. */
  wakeDispatcher: () => void;
};

type Made = {
  webhookId: string;
  outcome: AttemptOutcome;
  /** The webhook was paced when the attempt was loaded, or it was granted as a probe. */
  isPaced: boolean;
};

/**
 * What an attempt means for the pacing of a webhook that probes: called when it is recorded, before its permit is released, so
 * that no other attempt begins in between. Attempts of one webhook that end at about the same time share a step.
 */
export function createPacing({ pool, wakeDispatcher }: Deps) {
  const step = createBatcher<{ webhookId: string; result: PacingResult }, void>({
    maxSize: 256,
    concurrency: 1,
    run: async (results) => {
      const byKey = new Map(results.map((each) => [`${each.webhookId} ${each.result}`, each]));
      for (const { webhookId, result } of byKey.values()) {
        const hasChanged = await paceAfter(pool, webhookId, result);
        if (hasChanged && (await changeHealth(pool, [webhookId])) > 0) wakeDispatcher();
      }
      return results.map(() => undefined);
    },
  });
  return async ({ webhookId, outcome, isPaced }: Made): Promise<void> => {
    // While it is paced a failure changes nothing: the time of the next probe was written when this one was granted.
    if ((outcome === 'delivered') !== isPaced) return;
    await step({ webhookId, result: resultOf(outcome) });
  };
}

const resultOf = (outcome: AttemptOutcome): PacingResult =>
  outcome === 'delivered' ? 'succeeded' : outcome === 'retry' ? 'failed' : 'refused';
