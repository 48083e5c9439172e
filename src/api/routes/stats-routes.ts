import { z } from 'zod';
import {
  rangeStatsSchema,
  statsQuerySchema,
  statsSchema,
  webhookRangeStatsSchema,
  type RangeStats,
  type Stats,
  type WebhookRangeStats,
} from '../../contracts/stats.ts';
import { webhookStatsSchema, type WebhookStats } from '../../contracts/webhook.ts';
import { maxWebhooksInStats, readAccountStats } from '../../db/account-stats.ts';
import { withSnapshot } from '../../db/pool.ts';
import { readAccountRangeStats, readRangeStats } from '../../db/range-stats.ts';
import { readStats } from '../../db/read-stats.ts';
import { accountOf } from '../auth.ts';
import { routesWithTag } from '../route.ts';
import { requireWebhook } from './webhook-view.ts';

const defineRoute = routesWithTag('Webhooks');

export const statsRoutes = [
  defineRoute('get', '/v1/webhooks/{id}/stats', 'getWebhookStats', {
    summary: 'Statistics of a webhook: counts, failure rate, response times, by the hour',
    description: 'The last 24 hours, or a `range`.',
    scope: 'webhooks:read',
    query: statsQuerySchema,
    replies: {
      200: { description: 'Statistics', schema: z.union([webhookStatsSchema, webhookRangeStatsSchema]) },
    },
    async handle({ deps, key, id, query: { range } }) {
      await requireWebhook(deps, key, id);
      const body = await withSnapshot<WebhookStats | WebhookRangeStats>(deps.pool, (client) =>
        range === undefined
          ? readStats(client, id, new Date())
          : readRangeStats(client, id, range, new Date()),
      );
      return { status: 200, body };
    },
  }),
  defineRoute('get', '/v1/stats', 'getStats', {
    summary: 'Statistics of all webhooks: counts and failure rate, by the hour',
    description: `The last 24 hours, or a \`range\`. Newest webhook first, including those without traffic; at most the newest ${maxWebhooksInStats}.`,
    scope: 'webhooks:read',
    query: statsQuerySchema,
    replies: { 200: { description: 'Statistics', schema: z.union([statsSchema, rangeStatsSchema]) } },
    async handle({ deps, key, query: { range } }) {
      const accountId = accountOf(key);
      const body = await withSnapshot<Stats | RangeStats>(deps.pool, (client) =>
        range === undefined
          ? readAccountStats(client, accountId, new Date())
          : readAccountRangeStats(client, accountId, range, new Date()),
      );
      return { status: 200, body };
    },
  }),
];
