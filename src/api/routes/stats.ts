import { statsSchema } from '../../contracts/stats.ts';
import { maxWebhooksInStats, readAccountStats } from '../../db/account-stats.ts';
import { accountOf } from '../auth.ts';
import { defineRoute } from '../route.ts';

export const statsRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/stats',
    operationId: 'getStats',
    tag: 'Webhooks',
    summary: 'The last 24 hours of all webhooks: counts and failure rate, by the hour',
    description: `Newest webhook first, those without traffic included; of an account that has more, the newest ${maxWebhooksInStats}.`,
    scope: 'webhooks:read',
    replies: { 200: { description: 'The last 24 hours', schema: statsSchema } },
    async handle({ deps, key }) {
      return { status: 200, body: await readAccountStats(deps.pool, accountOf(key), new Date()) };
    },
  }),
];
