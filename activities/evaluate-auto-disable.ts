import { evaluateWebhooks } from '../src/db/evaluate-webhooks.ts';
import type { Pool } from '../src/db/pool.ts';
import type { EvaluateInput, EvaluateResult } from '../workflows/contract.ts';

export type AutoDisableDeps = {
  pool: Pool;
  /** Ended deliveries below which a webhook is not judged. */
  minEndedToDisable: number;
  /** Called with how many webhooks were disabled. */
  onDisabled: (count: number) => void;
  /** Called when deliveries wait for an owner. */
  wakeDispatcher: () => void;
};

export function createEvaluateAutoDisable({
  pool,
  minEndedToDisable,
  onDisabled,
  wakeDispatcher,
}: AutoDisableDeps) {
  return async ({ after }: EvaluateInput): Promise<EvaluateResult> => {
    const result = await evaluateWebhooks(pool, after, minEndedToDisable);
    onDisabled(result.disabled);
    wakeDispatcher();
    return result;
  };
}
