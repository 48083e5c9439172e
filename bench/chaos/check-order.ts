import type { Facts } from './facts.ts';
import type { Event, Model, Webhook } from './model.ts';
import type { Request } from './receivers.ts';

/** FLTR_HOLD_HOURS as it is by default. After them a delivery fails before its first attempt, and may be retried later. */
const holdHours = 72;
/** How late a receiver notices that a connection was closed. */
const noticeMs = 200;
/** A process that was stopped for a while continues its requests, which another one may have sent again. */
const afterPauseMs = 3000;

type OrderFacts = Pick<Facts, 'model' | 'requests'>;

/** Webhooks with ordering: no two requests of a line at once, and first attempts in order of acceptance. */
export function checkOrder({ model, requests }: OrderFacts): string[] {
  const byPath = Map.groupBy(requests, ({ path }) => path);
  return model.webhooks.flatMap((webhook) => {
    if (webhook.ordering === null || webhook.id === null) return [];
    const lineOf = (eventId: string): string | null => {
      const orderKey = model.events.get(eventId)?.orderKey ?? null;
      return webhook.ordering === 'all' ? 'all' : orderKey;
    };
    const lines = Map.groupBy(byPath.get(webhook.path) ?? [], ({ eventId }) => lineOf(eventId));
    lines.delete(null);
    return [...lines].flatMap(([line, list]) => {
      const name = `${webhook.id} ${line}`;
      return [...findOverlaps(name, list, model), ...findSwaps(name, list, model, webhook)];
    });
  });
}

function findOverlaps(name: string, list: readonly Request[], { disturbances }: Model): string[] {
  const sorted = list.toSorted((a, b) => a.at - b.at);
  const pauses = disturbances.filter(({ kind }) => kind === 'process paused');
  return sorted.flatMap((request, index) => {
    const other = sorted
      .slice(0, index)
      .find(({ eventId, endedAt }) => eventId !== request.eventId && endedAt > request.at + noticeMs);
    if (!other) return [];
    const isExcused = pauses.some(({ from, to }) => from <= request.at && to + afterPauseMs >= other.at);
    return isExcused ? [] : [`${name}: ${other.eventId} was under way when ${request.eventId} was sent`];
  });
}

/** Only those that acceptance created: deliveries that a recovery creates for missed events come last. */
function findSwaps(name: string, list: readonly Request[], model: Model, webhook: Webhook): string[] {
  const hours = model.shifts.reduce((sum, shift) => sum + shift.hours, 0);
  if (hours >= holdHours) return [];
  const firsts = new Map<string, number>();
  for (const { eventId, at } of list) firsts.set(eventId, Math.min(firsts.get(eventId) ?? Infinity, at));
  const sent = [...firsts].flatMap(([eventId, at]) => {
    const event = model.events.get(eventId);
    // One with a time joins its line when that has come.
    if (event?.deliverAt !== null) return [];
    return event.deliveries.some(({ webhookId }) => webhookId === webhook.id) ? [{ event, at }] : [];
  });
  sent.sort((a, b) => a.at - b.at);
  return sent.flatMap(({ event }, index) => {
    const other = sent.slice(0, index).find((earlier) => isBefore(event, earlier.event));
    return other
      ? [`${name}: ${other.event.id} was sent before ${event.id}, which was accepted before it`]
      : [];
  });
}

/** Whether one was certainly accepted before the other. */
function isBefore(one: Event, other: Event): boolean {
  if (one.batch && one.batch.number === other.batch?.number) return one.batch.index < other.batch.index;
  return one.acceptedAt !== null && one.acceptedAt < other.sentAt;
}
