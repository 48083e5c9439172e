import type { DeliveryStatus } from '../contracts/delivery.ts';
import { recordAttempts, type AttemptRecord } from '../db/record-attempts.ts';
import { createBatcher } from '../db/batcher.ts';
import type { MarkChanges } from '../db/changes.ts';
import { notifyFailed, type FailedDelivery } from '../db/failed-deliveries.ts';
import { failedEventId } from '../db/operational-events.ts';
import { loadAttempts, type AttemptContext, type AttemptToLoad } from '../db/load-attempts.ts';
import type { Pool } from '../db/pool.ts';
import { takeSlots, type Slot, type SlotRequest } from '../db/rate-limit-slots.ts';
import type { Limits } from '../db/read-queue.ts';

export type StatementDeps = {
  pool: Pool;
  limits: Limits;
  /** Called when deliveries wait for an owner. */
  wakeDispatcher: () => void;
  /** Reports changes beside those of attempts. */
  changes: MarkChanges;
};

/** The statements of attempts. Attempts at about the same time share a statement. */
export function createStatements({ pool, limits, wakeDispatcher, changes }: StatementDeps) {
  return {
    /** Null: there is no such delivery. */
    load: createBatcher<AttemptToLoad, AttemptContext | null>({
      maxSize: 64,
      concurrency: 2,
      run: async (attempts) => {
        const keyOf = ({ deliveryId, number }: AttemptToLoad) => `${deliveryId} ${number}`;
        const loaded = await loadAttempts(pool, attempts, limits.cap);
        const byKey = new Map(loaded.map((context) => [keyOf(context), context]));
        return attempts.map((each) => byKey.get(keyOf(each)) ?? null);
      },
    }),
    takeSlot: createBatcher<SlotRequest, Slot>({
      maxSize: 256,
      concurrency: 2,
      run: async (requests) => {
        const slots = new Map<SlotRequest, Slot>();
        const byWebhook = Map.groupBy(requests, ({ webhookId }) => webhookId);
        for (const [webhookId, ofWebhook] of byWebhook) {
          const ofThese = await takeSlots(pool, webhookId, limits, ofWebhook);
          ofWebhook.forEach((request, index) => slots.set(request, ofThese[index] ?? { is: 'changed' }));
        }
        return requests.map((request): Slot => slots.get(request) ?? { is: 'changed' });
      },
    }),
    /** The state of the delivery since; null: another run has recorded this attempt. */
    record: createBatcher<AttemptRecord, DeliveryStatus | null>({
      maxSize: 64,
      concurrency: 2,
      run: async (records) => {
        const statuses = await recordAttempts(pool, records);
        return records.map(({ id }) => statuses.get(id) ?? null);
      },
    }),
    notifyFailed: createBatcher<FailedDelivery, void>({
      maxSize: 256,
      concurrency: 1,
      run: async (failed) => {
        if (await notifyFailed(pool, failed)) {
          wakeDispatcher();
          for (const { accountId, deliveryId, number } of failed)
            changes.mark(accountId, ['events', 'deliveries'], [failedEventId(deliveryId, number)]);
        }
        return failed.map(() => undefined);
      },
    }),
  };
}
