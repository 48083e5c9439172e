import { maxDaysAhead, type PublishEvent } from '../contracts/event.ts';
import type { Refusal } from '../db/accept-events.ts';
import type { EventOptions } from '../db/insert-events.ts';
import type { ApiError, FieldError } from '../errors.ts';
import { fault, validationError } from './problem-details.ts';

export const maxAheadMs = maxDaysAhead * 86_400_000;

/** PostgreSQL takes no later one in the form of RFC 3339. */
const lastTime = new Date('+010000-01-01T00:00:00Z');

/** How an event is to be delivered; undefined: without options. @throws ApiError validation_failed */
export function toEventOptions(
  { webhook_ids, order_key, deliver_at, expires_at }: PublishEvent,
  now: Date,
): EventOptions | undefined {
  if ((webhook_ids ?? order_key ?? deliver_at ?? expires_at) === undefined) return undefined;
  const isLater = deliver_at !== undefined && new Date(deliver_at) > now;
  const deliverAt = isLater ? new Date(deliver_at) : undefined;
  const expiresAt = expires_at === undefined ? undefined : new Date(expires_at);
  const faults: FieldError[] = [];
  if (deliverAt && deliverAt.getTime() - now.getTime() > maxAheadMs)
    faults.push(fault('/deliver_at', `must be at most ${maxDaysAhead} days ahead`));
  if (expiresAt && expiresAt >= lastTime)
    faults.push(fault('/expires_at', 'must be before the year 10000 in UTC'));
  else if (expiresAt && deliverAt && expiresAt <= deliverAt)
    faults.push(fault('/expires_at', 'must be after deliver_at'));
  if (faults.length > 0) throw validationError(faults);
  // Only a fault of an event that was not accepted before: a request may be repeated at any time.
  const isExpired = expiresAt !== undefined && expiresAt <= now;
  return { webhookIds: webhook_ids, orderKey: order_key, deliverAt, expiresAt, isExpired };
}

const because = {
  unknown: 'is not a webhook of the account',
  email: 'sends e-mails about events of the service itself, and takes no others',
} as const;

export const refusalOf = ({ webhooks, isExpired }: Refusal): ApiError =>
  validationError([
    ...webhooks.map((each) => fault(`/webhook_ids/${each.index}`, because[each.because])),
    ...(isExpired ? [fault('/expires_at', 'must be in the future')] : []),
  ]);
