import type { DeliveryAction } from '../../contracts/operation.ts';
import { span } from '../durations.ts';
import { formatCount } from '../format.ts';

export const actionNames: Record<DeliveryAction, string> = {
  retry: 'Retry',
  cancel: 'Cancel',
  reschedule: 'Reschedule',
  resend: 'Resend',
};

/** @example deliveriesText(1200) // '1,200 deliveries' */
export const deliveriesText = (count: number): string =>
  count === 1 ? '1 delivery' : `${formatCount(count)} deliveries`;

/** The effect of an action on so many deliveries. */
export function effectText(action: DeliveryAction, count: number): string {
  const [deliveries, isOne] = [deliveriesText(count), count === 1];
  switch (action) {
    case 'retry':
      return `${deliveries} will be attempted now. A failed delivery starts over with a new retry schedule.`;
    case 'cancel':
      return `${deliveries} will be canceled. A canceled delivery cannot be retried.`;
    case 'reschedule':
      return `The next attempt of ${deliveries} will be moved to this time.`;
    case 'resend':
      return `${deliveries} will be sent again, also if ${isOne ? 'it was' : 'they were'} delivered before. A receiver that deduplicates on the event id ignores ${isOne ? 'it' : 'them'}.`;
  }
}

/** @example paceText(100, 50) // 'Takes about 2 s. The limits of each webhook still apply.' */
export const paceText = (count: number, perSecond: number): string =>
  `Takes about ${span(Math.max(1, Math.ceil(count / perSecond)))}. The limits of each webhook still apply.`;
