import { z } from 'zod';
import {
  eventDataSchemas,
  eventTypeExamples,
  eventTypeInfoSchema,
  eventTypes,
} from '../../contracts/event-types.ts';
import { routesWithTag } from '../route.ts';

const defineRoute = routesWithTag('Event types');

const infos = eventTypes.map((event) => {
  const { description, timestamp, data } = eventTypeExamples[event];
  return {
    event,
    description,
    schema: z.toJSONSchema(eventDataSchemas[event]),
    example: { event, timestamp, data },
  };
});

export const eventTypeRoutes = [
  defineRoute('get', '/v1/event-types', 'listEventTypes', {
    summary: 'List the event types, each with the JSON Schema of its data and an example',
    scope: 'webhooks:read',
    replies: {
      200: {
        description: 'All types',
        schema: z
          .object({ data: z.array(eventTypeInfoSchema), next_cursor: z.null() })
          .meta({ id: 'EventTypeList' }),
      },
    },
    handle: () => Promise.resolve({ status: 200, body: { data: infos, next_cursor: null } }),
  }),
];
