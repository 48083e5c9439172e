import {
  rotatedWebhookSchema,
  rotateSecretSchema,
  webhookSchema,
  webhookSecretSchema,
} from '../../contracts/webhook.ts';
import { insertAuditRecord } from '../../db/audit-records.ts';
import { onceForKey } from '../../db/idempotency-keys.ts';
import { withTransaction, type Client } from '../../db/pool.ts';
import { endOverlap, rotateSecret } from '../../db/webhook-secrets.ts';
import { newSecret } from '../../domain/signature.ts';
import { isOverlap } from '../../domain/signing-secrets.ts';
import { ApiError } from '../../errors.ts';
import { accountOf } from '../auth.ts';
import { digestOf } from '../request-body.ts';
import { defineRoute } from '../route.ts';
import { requireWebhook, toWebhook } from './webhook-view.ts';

const tag = 'Webhooks';

const rotationUnderWay = (until: Date) =>
  new ApiError(
    'rotation_under_way',
    `The previous secret signs until ${until.toISOString()}, as the last rotation promised. Rotate again after that, or with "end_overlap": true, which ends the previous secret now.`,
  );

export const webhookSecretRoutes = [
  defineRoute({
    method: 'get',
    path: '/v1/webhooks/{id}/secret',
    operationId: 'getWebhookSecret',
    tag,
    summary: "Read a webhook's secret",
    description:
      'Audited: who read it, and when, is kept. Whoever has the secret can forge requests, hence the scope to write.',
    scope: 'webhooks:write',
    replies: { 200: { description: 'The secret', schema: webhookSecretSchema } },
    async handle({ deps, key, id }) {
      const { pool, secretBox } = deps;
      const accountId = accountOf(key);
      const row = await requireWebhook(deps, accountId, id);
      const { previousSealedSecret: previous, previousSecretUntil: until } = row;
      const isRunning = previous !== null && isOverlap(until, new Date());
      await insertAuditRecord(pool, { accountId, actor: key.id, action: 'webhook.secret_read', target: id });
      return {
        status: 200,
        body: {
          webhook_id: id,
          secret: secretBox.open(row.sealedSecret, id),
          previous_secret: isRunning ? secretBox.open(previous, id) : null,
          previous_secret_until: isRunning ? until.toISOString() : null,
        },
      };
    },
  }),
  defineRoute({
    method: 'post',
    path: '/v1/webhooks/{id}/rotate-secret',
    operationId: 'rotateWebhookSecret',
    tag,
    summary: 'Give a webhook a new secret',
    description: [
      'The answer holds the new secret. For `overlap_seconds`, the previous one goes on to sign: `X-FLTR-Signature` is made with the previous secret, `webhook-signature` lists a signature for each of the two. After that, the new one signs alone, retries of earlier events included.',
      'A receiver that checks only `X-FLTR-Signature` switches its secret when the overlap ends, or calls `…/rotate-secret/finish` right after switching. One that checks `webhook-signature` may switch at any time during the overlap.',
      'During an overlap, another rotation is refused with 409 `rotation_under_way`, for it would end the previous secret before its time. With `end_overlap: true` it is made: the secret that was current becomes the previous one, and the one before it ends at once.',
      'Send an `Idempotency-Key`, so that a call repeated after a lost response has the first response again. With `overlap_seconds: 0` the previous secret ends at once: for one that leaked. The body may be empty. Audited.',
    ].join('\n\n'),
    scope: 'webhooks:write',
    body: rotateSecretSchema,
    bodyExample: { overlap_seconds: 86_400 },
    bodyMayBeEmpty: true,
    takesIdempotencyKey: true,
    replies: { 200: { description: 'The webhook with its new secret', schema: rotatedWebhookSchema } },
    errors: ['rotation_under_way', 'webhook_deleted'],
    async handle({ deps, key, id, body, rawBody, idempotencyKey }) {
      const { pool, secretBox } = deps;
      const accountId = accountOf(key);
      const rotate = async (client: Client) => {
        const secret = newSecret();
        const rotated = await rotateSecret(client, {
          accountId,
          webhookId: id,
          sealedSecret: secretBox.seal(secret, id),
          overlapSeconds: body.overlap_seconds,
          endsOverlap: body.end_overlap,
        });
        if (!rotated) throw new ApiError('not_found', 'There is no such webhook.');
        if ('overlapUntil' in rotated) throw rotationUnderWay(rotated.overlapUntil);
        await insertAuditRecord(client, {
          accountId,
          actor: key.id,
          action: 'webhook.secret_rotated',
          target: id,
        });
        const { webhook_id, url, events, ...rest } = toWebhook(rotated.webhook);
        return { status: 200, body: { webhook_id, url, events, secret, ...rest } };
      };
      if (idempotencyKey === undefined) return { ...(await withTransaction(pool, rotate)) };
      const request = {
        apiKeyId: key.id,
        // Part of it, so that the same key at another webhook is another request.
        route: `rotateWebhookSecret ${id}`,
        key: idempotencyKey,
        digest: digestOf(rawBody),
        webhookId: id,
      };
      return { ...(await onceForKey(pool, secretBox, request, rotate)) };
    },
  }),
  defineRoute({
    method: 'post',
    path: '/v1/webhooks/{id}/rotate-secret/finish',
    operationId: 'finishSecretRotation',
    tag,
    summary: 'End the overlap now',
    description:
      'From now on the new secret signs alone, and the previous one is wiped. Where no overlap runs, nothing changes and the answer is the same. Audited when it ended one.',
    scope: 'webhooks:write',
    replies: { 200: { description: 'The webhook as it is now', schema: webhookSchema } },
    async handle({ deps, key, id }) {
      const accountId = accountOf(key);
      const row = await withTransaction(deps.pool, async (client) => {
        const ended = await endOverlap(client, accountId, id);
        if (ended?.hasEnded) {
          await insertAuditRecord(client, {
            accountId,
            actor: key.id,
            action: 'webhook.secret_overlap_ended',
            target: id,
          });
        }
        return ended;
      });
      if (!row) throw new ApiError('not_found', 'There is no such webhook.');
      return { status: 200, body: toWebhook(row) };
    },
  }),
];
