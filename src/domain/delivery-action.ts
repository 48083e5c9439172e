import type { ActionFailure, DeliveryAction } from '../contracts/operation.ts';
import type { DeliveryStatus } from '../contracts/delivery.ts';

/** A delivery, when an operation comes to it. */
export type ActionFacts = {
  status: DeliveryStatus;
  /** Whether this operation has acted on it already: a run of the same page that died. */
  isMarked: boolean;
  /** It waits for another one of its line. */
  isBehindOther: boolean;
  /** It has failed, and blocks its line. */
  blocksLine: boolean;
  webhook: 'active' | 'not_active' | 'deleted';
  /** Whether its `expires_at` comes before its next attempt would. */
  isExpired: boolean;
  hasBody: boolean;
};

/** `act`: do it. `done`: it was done. `fail`: it cannot be done, and why. */
export type ActionDecision = { is: 'act' } | { is: 'done' } | { is: 'fail'; reason: ActionFailure };

const fail = (reason: ActionFailure): ActionDecision => ({ is: 'fail', reason });

/**
 * The action of an operation on one delivery, as far as the call for that delivery allows it. A page that runs twice must not
 * act twice, so a delivery that it marked and that has ended since is done.
 *
 * @example decideAction('retry', { status: 'delivered', isMarked: false, …, hasBody: true })
 *   // { is: 'fail', reason: 'delivered' }
 */
export function decideAction(action: DeliveryAction, facts: ActionFacts): ActionDecision {
  const { status, isMarked, isBehindOther } = facts;
  const hasEnded = status === 'delivered' || status === 'failed' || status === 'canceled';
  switch (action) {
    case 'cancel':
      if (!hasEnded || facts.blocksLine) return { is: 'act' };
      return isMarked && status === 'canceled' ? { is: 'done' } : fail(status);
    case 'reschedule':
      if (isBehindOther) return isMarked ? { is: 'done' } : fail('waits_in_order');
      if (status === 'pending' || status === 'retrying')
        return facts.isExpired ? fail('expired') : { is: 'act' };
      return isMarked ? { is: 'done' } : fail(status);
    case 'retry':
    case 'resend':
      // One that was sent again waits for its position.
      if (isMarked && (hasEnded || isBehindOther)) return { is: 'done' };
      return decideRetry(action, facts);
  }
}

function decideRetry(action: 'retry' | 'resend', facts: ActionFacts): ActionDecision {
  const { status, webhook, hasBody, isExpired } = facts;
  if (status === 'canceled') return fail('canceled');
  if (status === 'delivered' && action === 'retry') return fail('delivered');
  if (isExpired) return fail('expired');
  if (webhook !== 'active') return fail(`webhook_${webhook}`);
  if (status === 'held') return fail('held');
  if (facts.isBehindOther) return fail('waits_in_order');
  return hasBody ? { is: 'act' } : fail('payload_removed');
}

/** Most deliveries of a page: so many ids are stored in its row, and a page is short. */
const maxPageSize = 250;

/**
 * The size of a page and the pause after each, with which no second has more than so many actions.
 *
 * @param perSecond 1 to 1,000
 * @example pacing(50) // { pageSize: 50, pauseMs: 1000 }
 * @example pacing(600) // { pageSize: 200, pauseMs: 334 }
 */
export function pacing(perSecond: number): { pageSize: number; pauseMs: number } {
  const pages = Math.ceil(perSecond / maxPageSize);
  return { pageSize: Math.floor(perSecond / pages), pauseMs: Math.ceil(1000 / pages) };
}
