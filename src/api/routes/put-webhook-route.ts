import { isDeepStrictEqual } from 'node:util';
import type { z } from 'zod';
import { externalIdSchema } from '../../contracts/external-id.ts';
import { createdWebhookSchema, putWebhookSchema, webhookSchema } from '../../contracts/webhook.ts';
import { putWebhook } from '../../db/put-webhook.ts';
import type { WebhookRow } from '../../db/webhooks-table.ts';
import { newId } from '../../domain/ids.ts';
import { newSecret } from '../../domain/signature.ts';
import { ApiError } from '../../errors.ts';
import { accountOf, audit } from '../auth.ts';
import { fault, validationError } from '../problem-details.ts';
import { validate } from '../request-body.ts';
import { routesWithTag } from '../route.ts';
import { checkEventFilters } from './event-filters.ts';
import { withSecrets } from './policy-secrets.ts';
import { formatOf, requireDestination, requireSameKind, withEmailLimit } from './email-webhooks.ts';
import { toRefusal, withSigningKey } from './webhook-checks.ts';
import { policyIn, wholePolicyIn } from './webhook-policy-view.ts';
import { toWebhook } from './webhook-view.ts';

const defineRoute = routesWithTag('Webhooks');

/** @throws ApiError not_found, validation_failed */
function requireExternalId(name: string): string {
  if (name.startsWith('wh_')) {
    throw new ApiError(
      'not_found',
      'The service makes the ids that begin with wh_. PUT an external id of your own, or change a webhook by its id with PATCH.',
    );
  }
  return validate(externalIdSchema, name, '#path/id');
}

/** The fields that differ. Headers and authentication are stored encrypted, so they count as changed where they are given. */
function replacedFields(
  before: WebhookRow,
  after: WebhookRow,
  body: Pick<z.output<typeof putWebhookSchema>, 'headers' | 'auth'>,
): string[] {
  const [old, now] = [toWebhook(before), toWebhook(after)];
  const isEqual = (name: keyof typeof now) =>
    name === 'updated_at' || isDeepStrictEqual(old[name], now[name]);
  const changed = (Object.keys(now) as (keyof typeof now)[]).filter((name) => !isEqual(name));
  const sealed = (['headers', 'auth'] as const).filter((name) => (body[name] ?? null) !== null);
  return [...new Set<string>([...changed, ...sealed])];
}

export const putWebhookRoutes = [
  defineRoute('put', '/v1/webhooks/{id}', 'putWebhook', {
    summary: 'Create or replace the webhook with this external id',
    description: [
      'A webhook that does not exist is created, and the response holds its secret. One that exists is replaced: fields that the body leaves out get their defaults, as at creation. So `active` becomes `true`, unless the body says otherwise. It keeps its id, its secret and its deliveries.',
      'A second call with the same body changes nothing. Where the response to the creation was lost, read the secret with `GET /v1/webhooks/{id}/secret`. A `secret` that differs from that of an existing webhook is refused: use `rotate-secret`.',
    ].join('\n\n'),
    scope: 'webhooks:write',
    idMayBeNew: true,
    body: putWebhookSchema,
    bodyExample: { url: 'https://your-app.com/webhooks/fltr', events: ['document.*'] },
    replies: {
      200: { description: 'Replaced', schema: webhookSchema },
      201: { description: 'Created', schema: createdWebhookSchema },
    },
    errors: ['webhook_limit_reached', 'external_id_taken'],
    async handle({ deps, key, id: name, body }) {
      const externalId = requireExternalId(name);
      requireDestination(deps, key, body);
      const check = await checkEventFilters(deps, body.events);
      const { secretBox, config, pool } = deps;
      const id = newId('wh');
      const secret = body.secret ?? newSecret();
      const requireReplaceable = (row: WebhookRow): void => {
        requireSameKind(deps, key, row, { ...withEmailLimit(body, body), format: formatOf(body) });
        if (body.secret === undefined || body.secret === secretBox.open(row.sealedSecret, row.id)) return;
        throw validationError([
          fault(
            '/secret',
            'is not the secret of this webhook, which PUT keeps. Change it with POST /v1/webhooks/:id/rotate-secret',
          ),
        ]);
      };
      const given = {
        url: body.url,
        events: body.events,
        description: body.description ?? null,
        active: body.active ?? true,
        format: formatOf(body),
        metadata: body.metadata ?? {},
      };
      const put = await putWebhook(pool, {
        webhook: {
          ...given,
          id,
          externalId,
          accountId: accountOf(key),
          sealedSecret: secretBox.seal(secret, id),
          policy: withSigningKey(deps, withSecrets(deps, withEmailLimit(body, policyIn(body)), 'changes')),
        },
        replacement: {
          ...given,
          ...withSigningKey(deps, withSecrets(deps, withEmailLimit(body, wholePolicyIn(body)), 'replaces')),
        },
        defaultMax: config.FLTR_MAX_WEBHOOKS_PER_ACCOUNT,
        requireReplaceable,
        check,
        async record(client, row, before) {
          if (!before) return audit(client, key, 'webhook.created', row.id);
          const fields = replacedFields(before, row, body);
          // A call that changes nothing may come every minute.
          if (fields.length > 0) await audit(client, key, 'webhook.updated', row.id, fields);
        },
      });
      if (typeof put === 'string' || 'limit' in put) throw toRefusal(put);
      if (put.row.active) deps.wakeDispatcher();
      const webhook = toWebhook(put.row);
      if (!put.isNew) return { status: 200, body: webhook };
      const { webhook_id, url, events, ...rest } = webhook;
      return { status: 201, body: { webhook_id, url, events, secret, ...rest } };
    },
  }),
];
