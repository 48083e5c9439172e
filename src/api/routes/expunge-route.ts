import { expungedEventsSchema, expungeEventsSchema } from '../../contracts/expunge.ts';
import { expungeEvents } from '../../db/expunge-events.ts';
import { checkQueue } from '../../db/queue-checks.ts';
import { accountOf } from '../auth.ts';
import { routesWithTag } from '../route.ts';

const defineRoute = routesWithTag('Events');

export const expungeRoutes = [
  defineRoute('post', '/v1/events/expunge', 'expungeEvents', {
    summary: 'Expunge events: wipe their data for good',
    description:
      'Up to 500 events. Their data, labels and traceparent are wiped, and the stored responses of their deliveries. Waiting deliveries end `canceled`, reason `expunged`; a request that is under way is not stopped, and its response is not stored. The ids, types and times stay, so an id that is published again is still a duplicate and sends nothing. Cannot be undone. Audited. Repeating the call gives the same response. Needs `webhooks:write`, which cancels deliveries too: a key that only publishes cannot erase. A portal session may not call it.',
    scope: 'webhooks:write',
    isClosedToPortals: true,
    body: expungeEventsSchema,
    bodyExample: { ids: ['evt_order_42'] },
    replies: { 200: { description: 'Which were expunged', schema: expungedEventsSchema } },
    async handle({ deps, key, body: { ids } }) {
      const { expunged, notFound, webhookIds } = await expungeEvents(deps.pool, {
        accountId: accountOf(key),
        ids,
        by: key.id,
      });
      // Deliveries may have left the queues of their webhooks: the others' times may be earlier now.
      for (const id of webhookIds) await checkQueue(deps.pool, id);
      deps.log.info({ events: expunged.length, by: key.id, action: 'expunge' }, 'requested for events');
      return { status: 200, body: { expunged, not_found: notFound } };
    },
  }),
];
