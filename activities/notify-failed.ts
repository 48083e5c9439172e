import { createBatcher } from '../src/db/batcher.ts';
import { notifyFailed, type FailedDelivery } from '../src/db/failed-deliveries.ts';
import type { Pool } from '../src/db/pool.ts';
import { isOperational } from '../src/domain/subscription.ts';
import type { MakeAttemptDeps } from './make-attempt.ts';

/** Emits `delivery.failed`; never about a delivery of such an event. */
export function createNotifyFailed(pool: Pool, wakeDispatcher: () => void): MakeAttemptDeps['onFailed'] {
  const notify = createBatcher<FailedDelivery, null>({
    maxSize: 256,
    concurrency: 1,
    run: async (failed) => {
      if (await notifyFailed(pool, failed)) wakeDispatcher();
      return failed.map(() => null);
    },
  });
  return async ({ deliveryId, number, context, reason }) => {
    const { accountId, webhookId, eventId, eventType } = context;
    if (isOperational(eventType)) return;
    await notify({ accountId, webhookId, deliveryId, number, eventId, eventType, reason });
  };
}
