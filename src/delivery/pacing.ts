import type { AttemptOutcome } from '../contracts/attempt-schema.ts';
import { createBatcher } from '../db/batcher.ts';
import type { Pool } from '../db/pool.ts';
import { isOperational } from '../domain/subscription.ts';
import { changeHealth, paceAfter, type PacingResult } from '../db/webhook-health.ts';

type Deps = {
  pool: Pool;
  /** Called when deliveries wait for an owner. */
  wakeDispatcher: () => void;
};

/** The webhook of an attempt. `isPaced`: whether it was paced when the attempt was loaded. */
type Of = { webhookId: string; eventType: string; probesWhenDown: boolean; isPaced: boolean };
type Made = { outcome: AttemptOutcome; isProbe?: boolean | undefined };

/**
 * Changes the pacing of a webhook that probes, by the outcome of an attempt. It is called when the attempt is recorded, before
 * its permit is released, so that no other attempt begins in between. Attempts of one webhook that end at about the same time
 * share a step. Operational events do not count.
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
  return async (of: Of, { outcome, isProbe = false }: Made): Promise<void> => {
    const { webhookId, eventType, probesWhenDown, isPaced } = of;
    if (!probesWhenDown || isOperational(eventType)) return;
    const isSuccess = outcome === 'delivered';
    // A success without pacing changes nothing. Nor does a failed probe: the next one's time was written when it was granted.
    if (isSuccess ? isPaced || isProbe : !isPaced) await step({ webhookId, result: resultOf(outcome) });
  };
}

const resultOf = (outcome: AttemptOutcome): PacingResult =>
  outcome === 'delivered' ? 'succeeded' : outcome === 'retry' ? 'failed' : 'refused';
