import type { Facts } from './facts.ts';
import { comesAt, isDisturbed, subscription, type Webhook } from './model.ts';
import type { DeliveryRow } from './rows.ts';
import { farMs } from './scenario.ts';

/** FLTR_HOLD_HOURS as it is by default. */
const holdHours = 72;
/** A delivery ends within a second or two after it expires. */
const expiryMs = 5000;

type DeliveryFacts = Pick<
  Facts,
  'readAt' | 'model' | 'eventIds' | 'deliveries' | 'attempts' | 'requests' | 'webhooks'
>;

/** Every accepted event exists, with one delivery for each webhook that was subscribed, and for no other. */
export function checkAcceptance({ model, eventIds, deliveries }: DeliveryFacts): string[] {
  const faults: string[] = [];
  const byKey = new Map<string, DeliveryRow>();
  for (const row of deliveries) {
    const key = `${row.eventId} ${row.webhookId}`;
    if (byKey.has(key)) faults.push(`${key} has two deliveries`);
    byKey.set(key, row);
  }
  for (const event of model.events.values()) {
    if (!eventIds.has(event.id)) {
      if (event.acceptedAt !== null) faults.push(`${event.id} was accepted and does not exist`);
      continue;
    }
    for (const { id, webhookId } of event.deliveries)
      if (byKey.get(`${event.id} ${webhookId}`)?.id !== id)
        faults.push(`The response for ${event.id} named the delivery ${id}, which does not exist`);
    for (const webhook of model.webhooks) {
      if (webhook.id === null) continue;
      const isThere = byKey.has(`${event.id} ${webhook.id}`);
      const must = subscription(webhook, event);
      if (must === 'yes' && !isThere) faults.push(`${event.id} has no delivery for ${webhook.id}`);
      if (must === 'no' && isThere && (webhook.recoveries === 0 || event.webhookIds !== null))
        faults.push(`${event.id} has a delivery for ${webhook.id}, which was not subscribed`);
    }
  }
  return faults;
}

/** Every delivery is in a state that has a reason. */
export function checkStates({ readAt, model, deliveries, attempts, webhooks }: DeliveryFacts): string[] {
  const faults: string[] = [];
  const activeIds = new Set(webhooks.filter(({ active }) => active).map(({ id }) => id));
  const known = new Map(model.webhooks.map((webhook) => [webhook.id, webhook]));
  const hours = model.shifts.reduce((sum, shift) => sum + shift.hours, 0);
  const delivered = new Set(
    attempts.filter(({ outcome }) => outcome === 'delivered').map(({ deliveryId }) => deliveryId),
  );
  for (const row of deliveries) {
    const wrong = stateFault(row);
    if (wrong) faults.push(`${row.id} to ${row.webhookId} is ${row.status}: ${wrong}`);
  }
  return faults;

  function stateFault(row: DeliveryRow): string | null {
    const { id, status, reason, nextAttemptAt, webhookId, isScheduled } = row;
    const actions = model.actions.get(id);
    const { expiresAt = null, sentAt = 0 } = model.events.get(row.eventId) ?? {};
    const isPast = expiresAt !== null && comesAt(expiresAt, model.shifts, sentAt) < readAt - expiryMs;
    if (isPast && (status === 'pending' || status === 'retrying' || status === 'held'))
      return 'it has expired';
    switch (status) {
      case 'delivered':
        return delivered.has(id) ? null : 'no attempt in the log has delivered it';
      case 'failed':
        if (reason === 'expired')
          return hours >= holdHours ||
            (expiresAt !== null && comesAt(expiresAt, model.shifts, sentAt) <= Date.now())
            ? null
            : 'it expired too early';
        return attempts.some((each) => each.deliveryId === id && each.outcome !== 'delivered')
          ? null
          : 'no attempt in the log has failed';
      case 'held':
        return activeIds.has(webhookId) ? 'its webhook is active' : null;
      case 'pending':
      case 'retrying':
        if (isScheduled) return (nextAttemptAt ?? 0) > Date.now() + farMs / 2 ? null : 'its time has come';
        if (row.isBehindOther) return null;
        return actions?.isFar === true && nextAttemptAt !== null ? null : 'it has nothing to wait for';
      case 'canceled':
        return mayBeCanceled(known.get(webhookId), actions?.isCanceled === true, reason)
          ? null
          : `nobody canceled it (${reason})`;
    }
  }
}

function mayBeCanceled(webhook: Webhook | undefined, isCanceled: boolean, reason: string | null): boolean {
  if (reason === 'webhook_deleted') return (webhook?.deleteSentAt ?? null) !== null;
  if (reason === 'discarded') return webhook?.isDiscarded === true;
  return (isCanceled || webhook?.isCanceledInBulk === true) && reason !== 'terminated';
}

/** A retry that was accepted led to an attempt, unless the delivery was held, canceled or rescheduled since. */
export function checkRetries({ model, deliveries }: DeliveryFacts): string[] {
  return deliveries.flatMap(({ id, status, reason, attemptCount, isBehindOther }) => {
    const { attemptsAtRetry = null, isFar = false } = model.actions.get(id) ?? {};
    if (attemptsAtRetry === null || attemptCount > attemptsAtRetry) return [];
    const isStopped =
      isBehindOther || status === 'held' || status === 'canceled' || reason === 'expired' || isFar;
    return isStopped ? [] : [`${id} was retried after attempt ${attemptsAtRetry}, and not attempted since`];
  });
}

/** A delivered delivery got a 2xx at its webhook's path, and an event is always sent with the same bytes. */
export function checkReceived({ model, deliveries, requests }: DeliveryFacts): string[] {
  const faults: string[] = [];
  const paths = new Map(model.webhooks.map(({ id, path }) => [id, path]));
  const good = new Set<string>();
  const digests = new Map<string, string>();
  for (const { eventId, path, status, bodyDigest } of requests) {
    if (status !== null && status >= 200 && status < 300) good.add(`${eventId} ${path}`);
    const digest = digests.get(eventId) ?? bodyDigest;
    digests.set(eventId, digest);
    if (digest !== bodyDigest) faults.push(`${eventId} was sent with two different bodies`);
  }
  for (const { id, eventId, webhookId, status } of deliveries)
    if (status === 'delivered' && !good.has(`${eventId} ${paths.get(webhookId)}`))
      faults.push(`${id} is delivered, and ${webhookId} has not received ${eventId}`);
  return faults;
}

/** Every request is a logged attempt, except near a fault; every response in the log was sent. */
export function checkAttempts({ model, attempts, requests }: DeliveryFacts): string[] {
  const faults: string[] = [];
  const harsh = model.disturbances.filter(({ isGraceful }) => !isGraceful);
  const logged = new Map(attempts.map((attempt) => [attempt.id, attempt]));
  for (const { attemptId, at, eventId, path } of requests) {
    if (logged.has(attemptId)) continue;
    // An attempt whose record a fault prevented is made again, with a new id.
    const isExcused = isDisturbed(harsh, at - 2000, at + 15_000);
    if (!isExcused) faults.push(`${attemptId} of ${eventId} reached ${path} and is not in the log`);
  }
  const received = new Set(requests.map(({ attemptId }) => attemptId));
  for (const { id, deliveryId, statusCode } of attempts)
    if (statusCode !== null && !received.has(id))
      faults.push(`${id} of ${deliveryId} is logged with ${statusCode}, and was not received`);
  return [...faults, ...checkNumbers(attempts)];
}

function checkNumbers(attempts: DeliveryFacts['attempts']): string[] {
  const numbers = new Map<string, number[]>();
  for (const { deliveryId, number } of attempts)
    numbers.set(deliveryId, [...(numbers.get(deliveryId) ?? []), number]);
  return [...numbers].flatMap(([id, list]) => {
    const sorted = list.toSorted((a, b) => a - b);
    const isWhole = sorted.every((number, index) => number === index + 1);
    return isWhole ? [] : [`${id} has attempts numbered ${sorted.join(', ')}`];
  });
}
