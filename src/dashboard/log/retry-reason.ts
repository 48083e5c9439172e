import type { DeliverySummary } from '../../contracts/delivery.ts';
import type { Webhook } from '../../contracts/webhook.ts';
import { obstacleOf } from '../delivery-summary.ts';

/** Why the retry of a row cannot work; undefined if it can. */
export function retryReason(
  { status }: Pick<DeliverySummary, 'status'>,
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
    case 'retrying':
    case 'failed':
      return obstacleOf(webhook, undefined);
  }
}
