import type { WebhookFilter } from '../contracts/filter.ts';
import type { OtherWebhook } from '../contracts/webhook-match.ts';
import { compileFilter, describeFailure, valuesOf, type EventValues } from './filter.ts';
import { filtersThatMatch, isOperational } from './subscription.ts';
import { dataOfBody } from './wire-body.ts';

/** The rules for which events a webhook gets. */
export type MatchRules = { id: string; events: readonly string[]; filter: WebhookFilter | null };
/** `values`: null once its data was removed. */
export type JudgedEvent = { type: string; values: EventValues | null };
export type Matcher = ReturnType<typeof createMatcher>;

/**
 * The values of a stored event that filters read.
 *
 * @param event `labels`: null or undefined: none; `body`: the result of `wireBody`
 * @example valuesOfStored({ type: 'order.paid', labels: null, body }).at('/data/amount').value // 40
 */
export function valuesOfStored({
  type,
  labels,
  body,
}: {
  type: string;
  labels?: readonly string[] | null | undefined;
  body: Buffer;
}): EventValues {
  return valuesOf({ event: type, labels: labels ?? [], data: () => JSON.parse(dataOfBody(body)) as unknown });
}

/**
 * A webhook's rules as a function that returns why it does not get an event; null: it gets it. `data_removed`: its filter cannot
 * be judged any more.
 *
 * @example createMatcher({ id: 'wh_1', events: ['order.*'], filter: null })({ type: 'user.created', values })?.reason // 'type'
 */
export function createMatcher({ id, events, filter }: MatchRules) {
  const check = filter && compileFilter(filter);
  return ({ type, values }: JudgedEvent) => {
    const types = filtersThatMatch(type);
    if (!events.some((each) => types.includes(each)))
      return because('type', `${type} is not among the event types of the webhook.`);
    if (isOperational(type) && values?.at('/data/webhook_id').value === id)
      return because('about_itself', 'The event is about this webhook itself.');
    if (check === null) return null;
    if (values === null)
      return because(
        'data_removed',
        'The data was removed, so the filter cannot be judged: its retention period ended, or the event was expunged.',
      );
    const failed = check(values);
    return failed && because('filter', describeFailure(failed, values), failed.condition);
  };
}

const because = <Reason extends string>(
  reason: Reason,
  message: string,
  condition: WebhookFilter | null = null,
) => ({ reason, message, condition });

/**
 * A webhook that has no delivery of an event, as it is now; whether it was created or changed after the event. `isNotNamed`: the
 * event names other webhooks.
 */
export type OtherWebhookRules = MatchRules & {
  isCreatedLater: boolean;
  isChangedLater: boolean;
  isNotNamed: boolean;
};

/**
 * Why a webhook has no delivery of an event. The rules that it had before its last change are not kept, so after a change
 * that is the reason.
 *
 * @example otherWebhookOf({ id: 'wh_1', events: ['*'], filter: null, isCreatedLater: true, isChangedLater: false, isNotNamed: false }, event).because.reason // 'created_later'
 */
export function otherWebhookOf(webhook: OtherWebhookRules, event: JudgedEvent): OtherWebhook {
  if (webhook.isNotNamed)
    return {
      webhook_id: webhook.id,
      because: because(
        'not_named',
        'The event names the webhooks that get it in `webhook_ids`, without this one.',
      ),
      matches_now: false,
    };
  const mismatch = createMatcher(webhook)(event);
  return {
    webhook_id: webhook.id,
    because: reasonOf(webhook, mismatch),
    matches_now: mismatch === null ? true : mismatch.reason === 'data_removed' ? null : false,
  };
}

function reasonOf(webhook: OtherWebhookRules, mismatch: ReturnType<Matcher>): OtherWebhook['because'] {
  if (webhook.isCreatedLater)
    return because('created_later', 'The webhook was created after the event was accepted.');
  if (mismatch?.reason === 'about_itself') return mismatch;
  // Without a mismatch it was changed in the very moment.
  if (webhook.isChangedLater || mismatch === null)
    return because(
      'changed_later',
      'The event types or the filter of the webhook were changed after the event was accepted.',
      mismatch?.condition,
    );
  return mismatch;
}
