import { evaluateWebhooks } from '../src/db/auto-disable.ts';
import type { Pool } from '../src/db/pool.ts';
import type { EvaluateInput, EvaluateResult } from '../workflows/contract.ts';

export type AutoDisableDeps = {
  pool: Pool;
  /** Ended deliveries below which a webhook is not judged. */
  minEndedToDisable: number;
};

export function createEvaluateAutoDisable({ pool, minEndedToDisable }: AutoDisableDeps) {
  return ({ after }: EvaluateInput): Promise<EvaluateResult> =>
    evaluateWebhooks(pool, after, minEndedToDisable);
}
