import { createBatcher } from '../src/db/batcher.ts';
import { loadAttempts, type AttemptContext, type AttemptToLoad } from '../src/db/load-attempts.ts';
import type { Pool } from '../src/db/pool.ts';

/** All that an attempt needs to know; null: there is no such delivery. */
export type LoadContext = (attempt: AttemptToLoad) => Promise<AttemptContext | null>;

/** @param attemptsPerHour the cap of each webhook; 0: no cap */
export function createLoadContext(pool: Pool, attemptsPerHour: number): LoadContext {
  return createBatcher<AttemptToLoad, AttemptContext | null>({
    maxSize: 64,
    concurrency: 2,
    run: async (attempts) => {
      const keyOf = ({ deliveryId, number }: AttemptToLoad) => `${deliveryId} ${number}`;
      const loaded = await loadAttempts(pool, attempts, attemptsPerHour);
      const byKey = new Map(loaded.map((context) => [keyOf(context), context]));
      return attempts.map((each) => byKey.get(keyOf(each)) ?? null);
    },
  });
}
