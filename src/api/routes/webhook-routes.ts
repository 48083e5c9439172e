import type { Attempt } from '../../contracts/attempt-schema.ts';
import { operationalExamples, operationalTypes } from '../../contracts/event-types.ts';
import { idPattern } from '../../contracts/id.ts';
import { pageOf } from '../../contracts/page.ts';
import {
  createWebhookSchema,
  createdWebhookSchema,
  testResultSchema,
  testWebhookSchema,
  updateWebhookSchema,
  webhookQuerySchema,
  webhookSchema,
  type Webhook,
} from '../../contracts/webhook.ts';
import { readAccountLimits } from '../../db/account-limits.ts';
import type { Client } from '../../db/pool.ts';
import { readCap } from '../../db/read-stats.ts';
import { deleteWebhook } from '../../db/delete-webhook.ts';
import { insertWebhook, listWebhooks, updateWebhook } from '../../db/webhooks-table.ts';
import type { Deps } from '../../deps.ts';
import { sendSigned } from '../../delivery/signed-request.ts';
import { newId } from '../../domain/ids.ts';
import { noRetry } from '../../domain/retry-policy.ts';
import { newSecret } from '../../domain/signature.ts';
import { wireBody, wireTimestamp } from '../../domain/wire-body.ts';
import { accountOf, audit } from '../auth.ts';
import { fromCursor, toPage } from '../cursor.ts';
import { unknownType } from '../event-data.ts';
import { requireFound, validationError } from '../problem-details.ts';
import { respondOnce } from '../respond-once.ts';
import { routesWithTag } from '../route.ts';
import { webhookIdOf } from '../webhook-id.ts';
import { toAttempt } from './attempt-view.ts';
import { checkEventFilters } from './event-filters.ts';
import { defaultLimits } from './settings-routes.ts';
import {
  countTestEmail,
  formatOf,
  requireDestination,
  requireSameKind,
  withEmailLimit,
} from './email-webhooks.ts';
import { toRefusal, withSigningKey } from './webhook-checks.ts';
import { withSecrets } from './policy-secrets.ts';
import { policyIn } from './webhook-policy-view.ts';
import { requireWebhook, toWebhook } from './webhook-view.ts';

const defineRoute = routesWithTag('Webhooks');

/** @throws ApiError validation_failed where there is no such type */
async function exampleOf({ eventTypes }: Deps, event: string): Promise<Record<string, unknown>> {
  const operational = operationalTypes.find((type) => type === event);
  if (operational !== undefined) return operationalExamples[operational];
  const type = (await eventTypes.current()).find(event);
  if (!type) throw validationError([unknownType('/event')]);
  return type.example ?? {};
}

export const webhookRoutes = [
  defineRoute('post', '/v1/webhooks', 'createWebhook', {
    summary: 'Create a webhook',
    description: 'The response holds the secret that signs every request to this webhook. Audited.',
    scope: 'webhooks:write',
    body: createWebhookSchema,
    bodyExample: {
      url: 'https://your-app.com/webhooks/fltr',
      events: ['document.*'],
      description: 'Search index',
    },
    takesIdempotencyKey: true,
    replies: { 201: { description: 'Created', schema: createdWebhookSchema } },
    errors: ['webhook_limit_reached', 'webhook_deleted', 'external_id_taken'],
    async handle(context) {
      const { deps, body } = context;
      requireDestination(deps, context.key, body);
      const limited = withEmailLimit(body, policyIn(body));
      const policy = withSigningKey(deps, withSecrets(deps, limited, 'changes'));
      const keepTypes = await checkEventFilters(deps, body.events);
      const { secretBox, config } = deps;
      const accountId = accountOf(context.key);
      const id = newId('wh');
      return respondOnce(context, { route: 'createWebhook', webhookId: id }, async (client) => {
        await keepTypes(client);
        const secret = body.secret ?? newSecret();
        const row = await insertWebhook(
          client,
          {
            id,
            accountId,
            url: body.url,
            events: body.events,
            description: body.description ?? null,
            active: body.active ?? true,
            format: formatOf(body),
            externalId: body.external_id ?? null,
            metadata: body.metadata ?? {},
            sealedSecret: secretBox.seal(secret, id),
            policy,
          },
          config.FLTR_MAX_WEBHOOKS_PER_ACCOUNT,
        );
        if (typeof row === 'string' || 'limit' in row) throw toRefusal(row);
        await audit(client, context.key, 'webhook.created', id);
        const { webhook_id, url, events, ...rest } = toWebhook(row);
        return { status: 201, body: { webhook_id, url, events, secret, ...rest } };
      });
    },
  }),
  defineRoute('get', '/v1/webhooks', 'listWebhooks', {
    summary: 'List webhooks, newest first',
    scope: 'webhooks:read',
    query: webhookQuerySchema,
    replies: { 200: { description: 'A page of webhooks', schema: pageOf(webhookSchema, 'WebhookPage') } },
    async handle({ deps, key, query }) {
      const [before = null] = fromCursor('webhooks', query.cursor, [idPattern]) ?? [];
      const { external_id: externalId, metadata_key: name, metadata_value: value } = query;
      const rows = await listWebhooks(deps.pool, accountOf(key), {
        before,
        limit: query.limit + 1,
        externalId,
        metadata: name === undefined ? undefined : { name, value },
      });
      const positionOf = ({ webhook_id: id }: Webhook) => [id];
      return { status: 200, body: toPage('webhooks', rows.map(toWebhook), query.limit, positionOf) };
    },
  }),
  defineRoute('post', '/v1/webhooks/test', 'testWebhook', {
    summary: 'Send a test event now',
    description:
      "Makes one signed attempt with the type's example and responds with its outcome. The request is in the webhook's format and has the header `X-FLTR-Test: true` (or with the prefix of the settings). A test event is not retried, not logged, and does not count toward the hourly cap. At most 60 a minute per account.",
    scope: 'webhooks:write',
    isTestEvent: true,
    body: testWebhookSchema,
    bodyExample: { webhook_id: 'wh_01k', event: 'document.processed' },
    replies: { 200: { description: 'The attempt, with its outcome', schema: testResultSchema } },
    async handle({ deps, key, body }) {
      const webhook = await requireWebhook(deps, key, await webhookIdOf(deps, key, body.webhook_id));
      const example = await exampleOf(deps, body.event);
      if (webhook.format === 'email') await countTestEmail(deps, webhook.accountId);
      const eventId = newId('evt');
      const wire = wireBody({
        id: eventId,
        event: body.event,
        timestamp: wireTimestamp(new Date()),
        data: example,
      });
      const sent = { eventId, eventType: body.event, isTest: true };
      const request = { ...webhook, webhookId: webhook.id, ...sent, body: wire };
      const made = await sendSigned(deps, request, noRetry);
      const attempt: Attempt = await toAttempt({ ...made, number: 1 }, sent);
      return { status: 200, body: { webhook_id: webhook.id, event_id: eventId, event: body.event, attempt } };
    },
  }),
  defineRoute('get', '/v1/webhooks/{id}', 'getWebhook', {
    summary: 'Get a webhook',
    scope: 'webhooks:read',
    replies: { 200: { description: 'The webhook', schema: webhookSchema } },
    async handle({ deps, key, id }) {
      const webhook = toWebhook(await requireWebhook(deps, key, id));
      const limits = await readAccountLimits(deps.pool, accountOf(key), defaultLimits(deps.config));
      const limit = limits.deliveriesPerHour;
      return {
        status: 200,
        body: { ...webhook, hourly_cap: limit === 0 ? null : await readCap(deps.pool, id, limit) },
      };
    },
  }),
  defineRoute('patch', '/v1/webhooks/{id}', 'updateWebhook', {
    summary: 'Change a webhook',
    description:
      'A new URL also applies to waiting deliveries. `active: false` holds waiting and new deliveries; `active: true` delivers the held ones, oldest first. Audited.',
    scope: 'webhooks:write',
    body: updateWebhookSchema,
    bodyExample: { events: ['document.*', 'dataset.*'], description: 'Search index' },
    replies: { 200: { description: 'The webhook as it is now', schema: webhookSchema } },
    errors: ['external_id_taken'],
    async handle({ deps, key, id, body }) {
      const change = withSigningKey(deps, withSecrets(deps, body, 'changes'));
      const keepTypes = body.events && (await checkEventFilters(deps, body.events));
      const row = requireFound(
        await updateWebhook(deps.pool, accountOf(key), id, change, {
          first: keepTypes,
          requireChangeable: (was) => requireSameKind(deps, key, was, body),
          record: (client) => audit(client, key, 'webhook.updated', id, Object.keys(body)),
        }),
        'webhook',
      );
      if (row === 'external_id_taken') throw toRefusal(row);
      if (body.active === true) deps.wakeDispatcher();
      return { status: 200, body: toWebhook(row) };
    },
  }),
  defineRoute('delete', '/v1/webhooks/{id}', 'deleteWebhook', {
    summary: 'Delete a webhook',
    description:
      'Its secrets are wiped and its waiting deliveries are canceled. The log keeps its deliveries. Audited.',
    scope: 'webhooks:write',
    replies: { 204: { description: 'Deleted' } },
    async handle({ deps, key, id }) {
      const record = (client: Client) => audit(client, key, 'webhook.deleted', id);
      requireFound(await deleteWebhook(deps.pool, accountOf(key), id, { record }), 'webhook');
      return { status: 204 };
    },
  }),
];
