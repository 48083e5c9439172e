import type { DeliverySummary } from '../../contracts/delivery.ts';
import type { Webhook } from '../../contracts/webhook.ts';
import { obstacleOf } from '../delivery-summary.ts';

/** A delivery that waits in its order is neither retried nor rescheduled. */
export const waitsInOrder = 'It waits in its order. Retry or cancel the delivery before it.';

/** Why the retry of a row cannot work; undefined if it can. */
export function retryReason(
  {
    status,
    waits_for: waitsFor,
  }: Pick<DeliverySummary, 'status'> & Partial<Pick<DeliverySummary, 'waits_for'>>,
  webhook: Pick<Webhook, 'active' | 'auto_disabled'> | undefined,
): string | undefined {
  switch (status) {
    case 'delivered':
      return 'It was delivered. Open it to resend it.';
    case 'canceled':
      return 'A canceled delivery cannot be retried.';
    case 'held':
      return 'It is held. Activate its webhook to deliver it.';
    case 'pending':
      return obstacleOf(webhook, undefined) ?? (waitsFor?.reason === 'order' ? waitsInOrder : undefined);
    case 'retrying':
    case 'failed':
      return obstacleOf(webhook, undefined);
  }
}
