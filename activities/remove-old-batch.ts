import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from '../src/db/pool.ts';
import { nextStep, removeOld, type Retention } from '../src/db/retention.ts';
import type { RemoveOldBatchInput, RemoveOldBatchResult } from '../workflows/contract.ts';

/** Rows that one statement locks and removes: done in well under a second. */
const batchSize = 1000;
const pauseMs = 100;
/** The longest run: short, so that a worker that stops need not wait for it. */
const maxMs = 5000;

/** Removes old rows in small batches, from `step` on, for a few seconds; returns where to continue. */
export function createRemoveOldBatch({ pool, retention }: { pool: Pool; retention: Retention }) {
  return async ({ step: begin }: RemoveOldBatchInput): Promise<RemoveOldBatchResult> => {
    const startedAt = Date.now();
    let step = begin ?? nextStep(null);
    let removed = 0;
    while (step !== null) {
      const count = await removeOld(pool, step, retention, batchSize);
      removed += count;
      if (count < batchSize) step = nextStep(step);
      if (Date.now() - startedAt > maxMs) break;
      if (count === batchSize) await delay(pauseMs);
    }
    return { removed, next: step };
  };
}
