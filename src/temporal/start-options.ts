import type { Startable } from '../db/deliveries.ts';
import type { DeliverEventInput, DeliverGroupInput } from '../../workflows/contract.ts';
import { deliveryStart, groupStart } from '../../workflows/delivery-start.ts';

/** `isRelease`: it was held before. */
export type Queued = Startable & { isRelease?: boolean };

export type Run = Pick<DeliverEventInput, 'retriesBefore' | 'isRelease' | 'isFirstLocal'>;

/** What a delivery's own workflow is started with, the first time or again. */
export function startOptions(delivery: Startable, scheduleSeconds: readonly number[], run: Run) {
  const input: DeliverEventInput = {
    deliveryId: delivery.id,
    webhookId: delivery.webhookId,
    schedule: [...scheduleSeconds],
    attemptsBefore: delivery.attemptCount,
    ...run,
  };
  return { ...deliveryStart(delivery), args: [input] as [DeliverEventInput] };
}

/** What a group's workflow is started with. It is started once: after it has ended, never again. */
export function groupStartOptions(
  groupId: string,
  deliveries: readonly Queued[],
  scheduleSeconds: readonly number[],
) {
  const released = deliveries.filter(({ isRelease }) => isRelease);
  const input: DeliverGroupInput = {
    deliveries: deliveries.map(({ id, accountId, webhookId, eventId, eventType }) => ({
      id,
      accountId,
      webhookId,
      eventId,
      eventType,
    })),
    ...(released.length === 0 ? {} : { releasedIds: released.map(({ id }) => id) }),
    schedule: [...scheduleSeconds],
  };
  return {
    ...groupStart(groupId, deliveries),
    workflowIdReusePolicy: 'REJECT_DUPLICATE' as const,
    args: [input] as [DeliverGroupInput],
  };
}
