import { webhookStatsSchema } from '../../contracts/webhook.ts';
import { readStats } from '../../db/webhook-stats.ts';
import { findWebhook } from '../../db/webhooks.ts';
import { ApiError } from '../../errors.ts';
import { accountOf } from '../auth.ts';
import { defineRoute } from '../route.ts';

export const webhookStatsRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/webhooks/{id}/stats',
    operationId: 'getWebhookStats',
    tag: 'Webhooks',
    summary: 'The last 24 hours of a webhook: counts, failure rate, response times, by the hour',
    scope: 'webhooks:read',
    replies: { 200: { description: 'The last 24 hours', schema: webhookStatsSchema } },
    async handle({ deps, key, id }) {
      if (!(await findWebhook(deps.pool, accountOf(key), id)))
        throw new ApiError('not_found', 'There is no such webhook.');
      return { status: 200, body: await readStats(deps.pool, id, new Date()) };
    },
  }),
];
