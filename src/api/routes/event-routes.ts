import { z } from 'zod';
import { eventSchema, eventSummarySchema } from '../../contracts/event.ts';
import { idPattern } from '../../contracts/id.ts';
import { pageOf, pageQuery } from '../../contracts/page.ts';
import { findEvent, listEvents, listOtherWebhooks } from '../../db/event-log.ts';
import { membersOf } from '../../domain/json-text.ts';
import { otherWebhookOf, valuesOfStored } from '../../domain/webhook-match.ts';
import { accountOf } from '../auth.ts';
import { fromCursor, timePattern, toPage } from '../cursor.ts';
import { requireFound } from '../problem-details.ts';
import { routesWithTag } from '../route.ts';

const defineRoute = routesWithTag('Events');

export const eventRoutes = [
  defineRoute('get', '/v1/events', 'listEvents', {
    summary: 'List events, newest first, with their deliveries',
    scope: 'webhooks:read',
    query: z.strictObject(pageQuery),
    replies: { 200: { description: 'A page of events', schema: pageOf(eventSummarySchema, 'EventPage') } },
    async handle({ deps, key, query }) {
      const [createdAt, id] = fromCursor('events', query.cursor, [timePattern, idPattern]) ?? [];
      const before = createdAt === undefined || id === undefined ? null : { createdAt, id };
      const rows = await listEvents(deps.pool, accountOf(key), before, query.limit + 1);
      const body = toPage('events', rows, query.limit, (event) => [event.created_at, event.id]);
      return { status: 200, body };
    },
  }),
  defineRoute('get', '/v1/events/{id}', 'getEvent', {
    summary: 'Get an event with its data and its deliveries',
    description: '`other_webhooks` says for each webhook without a delivery of it why.',
    scope: 'webhooks:read',
    replies: { 200: { description: 'The event', schema: eventSchema } },
    async handle({ deps, key, id }) {
      const accountId = accountOf(key);
      const event = requireFound(await findEvent(deps.pool, accountId, id), 'event');
      const body = event.body?.toString() ?? null;
      // The text as it was published: JSON.parse drops digits of long numbers.
      const data = body === null ? 'null' : membersOf(body).find(([name]) => name === 'data')?.[1];
      const { event: type, labels, body: bytes } = event;
      const judged = { type, values: bytes && valuesOfStored({ type, labels, body: bytes }) };
      const others = await listOtherWebhooks(deps.pool, accountId, id);
      const rest = JSON.stringify({
        ...event,
        body,
        other_webhooks: others.map((webhook) => otherWebhookOf(webhook, judged)),
      });
      return { status: 200, json: `${rest.slice(0, -1)},"data":${data}}` };
    },
  }),
];
