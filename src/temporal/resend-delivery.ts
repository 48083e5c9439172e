import type { Logger } from 'pino';
import { reopenDelivery, type DeliveryRow } from '../db/deliveries.ts';
import { isDatabaseUnavailable, type Pool } from '../db/pool.ts';
import { isTemporalUnavailable, type Temporal } from './client.ts';
import { retryDelivery } from './steer-delivery.ts';

type Deps = { pool: Pool; temporal: Temporal; log: Logger; scheduleSeconds: readonly number[] };

/**
 * Attempts a delivery that ended once more, as a manual retry does. False where that cannot be.
 *
 * @throws where PostgreSQL or Temporal cannot be reached
 */
export function createResend({ pool, temporal, log, scheduleSeconds }: Deps) {
  return async (row: DeliveryRow, by: string): Promise<boolean> => {
    try {
      const runId = await retryDelivery({ pool, temporal, scheduleSeconds }, row, by);
      await reopenDelivery(pool, row.id, row.attemptCount, runId);
      return true;
    } catch (error) {
      if (isTemporalUnavailable(error) || isDatabaseUnavailable(error)) throw error;
      log.error({ err: error, delivery: row.id }, 'a delivery could not be sent again');
      return false;
    }
  };
}
