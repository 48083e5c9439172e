import { maxFound, searchQuerySchema, searchResultSchema } from '../../contracts/search.ts';
import { search } from '../../db/search.ts';
import { accountOf } from '../auth.ts';
import { routesWithTag } from '../route.ts';

const defineRoute = routesWithTag('Search');

export const searchRoutes = [
  defineRoute('get', '/v1/search', 'search', {
    summary: 'Find by an id, or by the beginning of a URL',
    description: `The id of an event, a delivery, an attempt (its receiver gets it as \`X-FLTR-Delivery\`), an operation or a webhook, the external id of a webhook, how its URL begins, the id of the request that published events (\`X-Request-Id\` of its response), or an id in the data of events: the text of a member named \`id\`, or with a name that ends in \`_id\`. In this order, the newest first; ${maxFound} at most.`,
    scope: 'webhooks:read',
    query: searchQuerySchema,
    replies: { 200: { description: 'The results', schema: searchResultSchema } },
    async handle({ deps, key, query }) {
      return { status: 200, body: { data: await search(deps.pool, accountOf(key), query.q) } };
    },
  }),
];
