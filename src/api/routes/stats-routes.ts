import { statsSchema } from '../../contracts/stats.ts';
import { webhookStatsSchema } from '../../contracts/webhook.ts';
import { maxWebhooksInStats, readAccountStats } from '../../db/account-stats.ts';
import { withSnapshot } from '../../db/pool.ts';
import { readStats } from '../../db/read-stats.ts';
import { accountOf } from '../auth.ts';
import { routesWithTag } from '../route.ts';
import { requireWebhook } from './webhook-view.ts';

const defineRoute = routesWithTag('Webhooks');

export const statsRoutes = [
  defineRoute('get', '/v1/webhooks/{id}/stats', 'getWebhookStats', {
    summary: 'The last 24 hours of a webhook: counts, failure rate, response times, by the hour',
    scope: 'webhooks:read',
    replies: { 200: { description: 'The last 24 hours', schema: webhookStatsSchema } },
    async handle({ deps, key, id }) {
      await requireWebhook(deps, key, id);
      return {
        status: 200,
        body: await withSnapshot(deps.pool, (client) => readStats(client, id, new Date())),
      };
    },
  }),
  defineRoute('get', '/v1/stats', 'getStats', {
    summary: 'The last 24 hours of all webhooks: counts and failure rate, by the hour',
    description: `Newest webhook first, including those without traffic; at most the newest ${maxWebhooksInStats}.`,
    scope: 'webhooks:read',
    replies: { 200: { description: 'The last 24 hours', schema: statsSchema } },
    async handle({ deps, key }) {
      const body = await withSnapshot(deps.pool, (client) =>
        readAccountStats(client, accountOf(key), new Date()),
      );
      return { status: 200, body };
    },
  }),
];
