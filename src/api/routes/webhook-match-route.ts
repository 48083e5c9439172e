import { maxEventBytes } from '../../contracts/event.ts';
import { operationalTypes, type OperationalType } from '../../contracts/event-types.ts';
import { matchEventSchema, matchSchema } from '../../contracts/webhook-match.ts';
import { valuesOf } from '../../domain/filter.ts';
import { createMatcher } from '../../domain/webhook-match.ts';
import { unknownType } from '../event-data.ts';
import { validationError } from '../problem-details.ts';
import { routesWithTag } from '../route.ts';
import { exampleEvent } from './publish.ts';
import { requireWebhook } from './webhook-view.ts';

const defineRoute = routesWithTag('Webhooks');

export const webhookMatchRoutes = [
  defineRoute('post', '/v1/webhooks/{id}/match', 'matchWebhook', {
    summary: 'Test whether a webhook gets an event',
    description:
      'By its event types and its filter as they are now, whether it is active or not. Nothing is sent or stored, and `data` is not compared with the schema of the type.',
    scope: 'webhooks:read',
    body: matchEventSchema,
    bodyExample: exampleEvent,
    maxBodyBytes: maxEventBytes,
    replies: { 200: { description: 'Whether it matches, and if not, why', schema: matchSchema } },
    async handle({ deps, key, id, body }) {
      const webhook = await requireWebhook(deps, key, id);
      const { event: type, data, labels = [] } = body;
      const isKnown =
        operationalTypes.includes(type as OperationalType) ||
        (await deps.eventTypes.current()).find(type) !== undefined;
      if (!isKnown) throw validationError([unknownType('/event')]);
      const because = createMatcher(webhook)({
        type,
        values: valuesOf({ event: type, labels, data: () => data }),
      });
      return { status: 200, body: { matches: because === null, because } };
    },
  }),
];
