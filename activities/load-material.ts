import { createBatcher } from '../src/db/batcher.ts';
import { loadAttempts, type AskedAttempt, type AttemptMaterial } from '../src/db/load-attempts.ts';
import type { Pool } from '../src/db/pool.ts';

/** All that an attempt needs; null: there is no such delivery. */
export type LoadMaterial = (asked: AskedAttempt) => Promise<AttemptMaterial | null>;

/** @param attemptsPerHour the cap of each webhook, of which a number is taken; 0: no cap */
export function createLoadMaterial(pool: Pool, attemptsPerHour: number): LoadMaterial {
  return createBatcher<AskedAttempt, AttemptMaterial | null>({
    maxSize: 64,
    concurrency: 2,
    run: async (asked) => {
      const keyOf = ({ deliveryId, number }: { deliveryId: string; number: number }) =>
        `${deliveryId} ${number}`;
      const loaded = await loadAttempts(pool, asked, attemptsPerHour);
      const byKey = new Map(loaded.map((material) => [keyOf(material), material]));
      return asked.map((each) => byKey.get(keyOf(each)) ?? null);
    },
  });
}
