import { z } from 'zod';
import { eventSchema, eventSummarySchema, waitQuerySchema } from '../../contracts/event.ts';
import { labelSchema } from '../../contracts/event-parts.ts';
import { eventTypeSchema } from '../../contracts/event-types.ts';
import { idPattern } from '../../contracts/id.ts';
import { pageOf, pageQuery } from '../../contracts/page.ts';
import { queryTime } from '../../contracts/time.ts';
import { eachPage } from '../../db/each-page.ts';
import { listEvents, listUndelivered, type EventPosition } from '../../db/event-list.ts';
import { findEvent, listOtherWebhooks, readDeliveriesOf } from '../../db/event-log.ts';
import type { Deps } from '../../deps.ts';
import { membersOf } from '../../domain/json-text.ts';
import { otherWebhookOf, valuesOfStored } from '../../domain/webhook-match.ts';
import { accountOf } from '../auth.ts';
import type { AwaitedEvent } from '../../db/event-ends.ts';
import type { EventWait } from '../event-waits.ts';
import { fromCursor, pageUntil, timePattern } from '../cursor.ts';
import { requireFound } from '../problem-details.ts';
import { routesWithTag, type Reply } from '../route.ts';

const defineRoute = routesWithTag('Events');

export const eventRoutes = [
  defineRoute('get', '/v1/events', 'listEvents', {
    summary: 'List events, newest first, with their deliveries',
    scope: 'webhooks:read',
    description:
      'With a filter, a page may hold fewer events than `limit`, even none: there are more as long as it has a `next_cursor`. `outcome=undelivered` lists the events with a delivery that ended `failed` or `canceled`, by the newest such delivery. With `Accept: application/x-ndjson`, all events from there on are sent, one line of JSON each. `limit` does not apply.',
    query: z.strictObject({
      ...pageQuery,
      event: eventTypeSchema.optional(),
      since: queryTime('Accepted at or after this time.'),
      until: queryTime('Accepted before this time.'),
      label: labelSchema.optional().meta({ description: 'One of its labels.' }),
      outcome: z.enum(['undelivered']).optional(),
    }),
    line: eventSummarySchema,
    replies: { 200: { description: 'A page of events', schema: pageOf(eventSummarySchema, 'EventPage') } },
    async handle({ deps, key, query, wantsLines }) {
      const accountId = accountOf(key);
      const { cursor, limit, event: eventType, since, until, label } = query;
      const filter = { eventType, since, until, label };
      if (query.outcome === 'undelivered') {
        const [before = null] = fromCursor('undelivered events', cursor, [idPattern]) ?? [];
        const list = (page: { before: string | null; limit: number }) =>
          listUndelivered(deps.pool, accountId, filter, page);
        if (wantsLines) return { status: 200, pages: eachPage(before, list) };
        const { rows, next } = await list({ before, limit });
        return { status: 200, body: pageUntil('undelivered events', rows, next === null ? null : [next]) };
      }
      const [createdAt, id] = fromCursor('events', cursor, [timePattern, idPattern]) ?? [];
      const before = createdAt === undefined || id === undefined ? null : { createdAt, id };
      const list = (page: { before: EventPosition | null; limit: number }) =>
        listEvents(deps.pool, accountId, filter, page);
      if (wantsLines) return { status: 200, pages: eachPage(before, list) };
      const { rows, next } = await list({ before, limit });
      return {
        status: 200,
        body: pageUntil('events', rows, next === null ? null : [next.createdAt, next.id]),
      };
    },
  }),
  defineRoute('get', '/v1/events/{id}', 'getEvent', {
    summary: 'Get an event with its data and its deliveries',
    description:
      '`other_webhooks` says for each webhook without a delivery of it why. With `wait`, it responds when all its deliveries have ended, or after so many seconds. An account may have 100 requests that wait.',
    scope: 'webhooks:read',
    query: waitQuerySchema,
    replies: { 200: { description: 'The event', schema: eventSchema } },
    async handle({ deps, key, id, query: { wait: seconds } }) {
      const accountId = accountOf(key);
      if (seconds === undefined) return showEvent(deps, accountId, id);
      const eventWait = deps.eventWaits.open(accountId);
      try {
        const deliveries = requireFound(await readDeliveriesOf(deps.pool, accountId, id), 'event');
        const later = whenEnded(deps, accountId, { eventWait, event: { eventId: id, deliveries, seconds } });
        return { status: 200, later };
      } catch (error) {
        eventWait.leave();
        throw error;
      }
    },
  }),
];

async function showEvent({ pool }: Deps, accountId: string, id: string): Promise<Reply> {
  const event = requireFound(await findEvent(pool, accountId, id), 'event');
  const body = event.body?.toString() ?? null;
  // The text as it was published: JSON.parse drops digits of long numbers.
  const data = body === null ? 'null' : membersOf(body).find(([name]) => name === 'data')?.[1];
  const { event: type, labels, body: bytes } = event;
  const judged = { type, values: bytes && valuesOfStored({ type, labels, body: bytes }) };
  const others = await listOtherWebhooks(pool, accountId, id);
  const rest = JSON.stringify({
    ...event,
    body,
    other_webhooks: others.map((webhook) => otherWebhookOf(webhook, judged)),
  });
  return { status: 200, json: `${rest.slice(0, -1)},"data":${data}}` };
}

const whenEnded =
  (deps: Deps, accountId: string, { eventWait, event }: { eventWait: EventWait; event: AwaitedEvent }) =>
  async (isGone: AbortSignal): Promise<Reply> => {
    await eventWait.until(event, isGone);
    return showEvent(deps, accountId, event.eventId);
  };
