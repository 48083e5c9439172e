import { createBatcher } from '../src/db/batcher.ts';
import { acceptIfSubscribed, type OperationalEvent } from '../src/db/operational-events.ts';
import type { Pool } from '../src/db/pool.ts';
import { isOperational } from '../src/domain/subscription.ts';
import type { MakeAttemptDeps } from './make-attempt.ts';

/** Publishes `delivery.failed`; never about a delivery that itself told of such an event. */
export function createTellFailed(pool: Pool, wakeDispatcher: () => void): MakeAttemptDeps['onFailed'] {
  const accept = createBatcher<OperationalEvent, null>({
    maxSize: 256,
    concurrency: 1,
    run: async (events) => {
      if (await acceptIfSubscribed(pool, events)) wakeDispatcher();
      return events.map(() => null);
    },
  });
  return async ({ deliveryId, number, context, reason }) => {
    const { accountId, webhookId, eventId, eventType } = context;
    if (isOperational(eventType)) return;
    await accept({
      accountId,
      id: `evt_failed_${deliveryId}_${number}`,
      type: 'delivery.failed',
      data: {
        delivery_id: deliveryId,
        webhook_id: webhookId,
        event_id: eventId,
        event: eventType,
        reason,
        attempts: number,
      },
      webhookId,
    });
  };
}
