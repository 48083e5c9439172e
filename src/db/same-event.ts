import { isDeepStrictEqual } from 'node:util';
import { membersOf } from '../domain/json-text.ts';
import { isSameJson } from '../domain/same-json.ts';
import type { KnownEvent } from './event-log.ts';
import type { NewEvent } from './insert-events.ts';

/** Who gets an event and in which order: a part of it. The times of its deliveries are not. */
type Audience = {
  labels?: readonly string[] | undefined;
  options?: { webhookIds?: readonly string[] | undefined; orderKey?: string | undefined } | undefined;
};

/** Whether two events of one id have the same content. */
export function isSameEvent(event: NewEvent, stored: Audience & { body: Buffer }): boolean {
  if (!isSameAudience(event, stored)) return false;
  if (event.body.equals(stored.body)) return true;
  const [one, other] = [event.body, stored.body].map((body): Partial<Record<string, string>> =>
    Object.fromEntries(membersOf(body.toString())),
  );
  return (
    one?.['event'] === other?.['event'] &&
    (event.timestamp === null || one?.['timestamp'] === other?.['timestamp']) &&
    isSameJson(one?.['data'] ?? '', other?.['data'] ?? '')
  );
}

/**
 * Whether an event that is stored is the same. Where its body was removed, type and time are compared; of an expunged event
 * nothing else is known.
 */
export function isKnownEvent(event: NewEvent, known: KnownEvent): boolean {
  const { body } = known;
  const audience = {
    labels: known.labels,
    options: { webhookIds: known.webhookIds ?? undefined, orderKey: known.orderKey ?? undefined },
  };
  if (body !== null) return isSameEvent(event, { ...audience, body });
  return (
    (known.isExpunged || isSameAudience(event, audience)) &&
    known.type === event.type &&
    (event.timestamp === null || event.timestamp === known.timestamp)
  );
}

/** The order of labels and webhooks does not matter. */
const isSameAudience = (one: Audience, other: Audience): boolean =>
  isSameSet(one.labels ?? [], other.labels ?? []) &&
  isSameSet(one.options?.webhookIds, other.options?.webhookIds) &&
  one.options?.orderKey === other.options?.orderKey;

const isSameSet = (one: readonly string[] | undefined, other: readonly string[] | undefined): boolean =>
  isDeepStrictEqual(one && new Set(one), other && new Set(other));
