import { webhookPublicKeySchema } from '../../contracts/public-key.ts';
import {
  rotatedWebhookSchema,
  rotateSecretSchema,
  webhookSchema,
  webhookSecretSchema,
} from '../../contracts/webhook.ts';
import { withTransaction } from '../../db/pool.ts';
import { endOverlap, rotateSecret } from '../../db/secret-rotation.ts';
import { newSecret } from '../../domain/signature.ts';
import { newSigningKey, signingKeyContext } from '../../domain/signing-key.ts';
import { isOverlap } from '../../domain/signing-secrets.ts';
import { ApiError } from '../../errors.ts';
import { accountOf, audit } from '../auth.ts';
import { fault, requireFound, validationError } from '../problem-details.ts';
import { publicKeysOf } from '../public-keys.ts';
import { respondOnce } from '../respond-once.ts';
import { routesWithTag } from '../route.ts';
import { requireWebhook, toWebhook } from './webhook-view.ts';

const defineRoute = routesWithTag('Webhooks');

const rotationUnderWay = (until: Date) =>
  new ApiError(
    'rotation_under_way',
    `The previous secret still signs until ${until.toISOString()}. Rotate again after that, or send "end_overlap": true to end the previous secret now.`,
  );

export const webhookSecretRoutes = [
  defineRoute('get', '/v1/webhooks/{id}/secret', 'getWebhookSecret', {
    summary: "Read a webhook's secret",
    description: 'Audited. Needs a write scope, because anyone who has the secret can forge requests.',
    scope: 'webhooks:write',
    replies: { 200: { description: 'The secret', schema: webhookSecretSchema } },
    async handle({ deps, key, id }) {
      const { pool, secretBox } = deps;
      const row = await requireWebhook(deps, key, id);
      const { previousSealedSecret: previous, previousSecretUntil: until } = row;
      const isRunning = previous !== null && isOverlap(until, new Date());
      await audit(pool, key, 'webhook.secret_read', id);
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
  defineRoute('get', '/v1/webhooks/{id}/public-key', 'getWebhookPublicKey', {
    summary: 'Read the public key that verifies `v1a` signatures',
    description:
      'Not secret. 404 where the `signatures` of the webhook lack `v1a`. Receivers read it without an API key, as a JSON Web Key: `/.well-known/jwks.json?webhook_id=…`.',
    scope: 'webhooks:read',
    replies: { 200: { description: 'The public key', schema: webhookPublicKeySchema } },
    async handle({ deps, key, id }) {
      const row = await requireWebhook(deps, key, id);
      const [current, previous] = publicKeysOf(deps.secretBox, id, row);
      if (current === undefined)
        throw new ApiError(
          'not_found',
          'The webhook has no public key, because its signatures lack v1a. Change it with PATCH {"signatures": ["v1", "v1a"]}.',
        );
      return {
        status: 200,
        body: {
          webhook_id: id,
          public_key: current,
          previous_public_key: previous ?? null,
          previous_public_key_until:
            previous === undefined ? null : (row.previousSecretUntil?.toISOString() ?? null),
        },
      };
    },
  }),
  defineRoute('post', '/v1/webhooks/{id}/rotate-secret', 'rotateWebhookSecret', {
    summary: 'Give a webhook a new secret',
    description: [
      'The response holds the new secret. For `overlap_seconds` the previous secret stays valid: `X-FLTR-Signature` (or the header with the prefix of the settings) uses the previous secret, and `webhook-signature` lists one signature for each of the two. After the overlap only the new secret signs, also retries of earlier events.',
      'A webhook with an ed25519 key gets a new one, too. During the overlap `webhook-signature` has an entry `v1a` of each of the two keys, and `public-key` shows both.',
      'A receiver that checks only `X-FLTR-Signature` switches its secret when the overlap ends, or calls `…/rotate-secret/finish` right after switching. One that checks `webhook-signature` may switch at any time during the overlap.',
      'During an overlap another rotation is refused with 409 `rotation_under_way`, because it would end the previous secret early. With `end_overlap: true` it is accepted: the current secret becomes the previous one, and the one before it ends at once.',
      'Send an `Idempotency-Key` so that a call that is repeated after a lost response gets the first response again. `overlap_seconds: 0` ends the previous secret at once: use it for a secret that leaked. The body may be empty; then the service makes the secret. Audited.',
    ].join('\n\n'),
    scope: 'webhooks:write',
    body: rotateSecretSchema,
    bodyExample: { overlap_seconds: 86_400 },
    bodyMayBeEmpty: true,
    takesIdempotencyKey: true,
    replies: { 200: { description: 'The webhook with its new secret', schema: rotatedWebhookSchema } },
    errors: ['rotation_under_way', 'webhook_deleted'],
    async handle(context) {
      const { deps, key, id, body } = context;
      // The id is part of it: the same key for another webhook is another request.
      const route = `rotateWebhookSecret ${id}`;
      return respondOnce(context, { route, webhookId: id }, async (client) => {
        const secret = body.secret ?? newSecret();
        const found = await rotateSecret(client, {
          accountId: accountOf(key),
          webhookId: id,
          sealedSecret: deps.secretBox.seal(secret, id),
          sealedSigningKey: deps.secretBox.seal(newSigningKey(), signingKeyContext(id)),
          overlapSeconds: body.overlap_seconds,
          endsOverlap: body.end_overlap,
          isSame: (current) => body.secret !== undefined && deps.secretBox.open(current, id) === secret,
        });
        const rotated = requireFound(found, 'webhook');
        if (rotated === 'same_secret')
          throw validationError([
            fault('/secret', 'is the current secret of this webhook. Send another one'),
          ]);
        if ('overlapUntil' in rotated) throw rotationUnderWay(rotated.overlapUntil);
        await audit(client, key, 'webhook.secret_rotated', id);
        const { webhook_id, url, events, ...rest } = toWebhook(rotated.webhook);
        return { status: 200, body: { webhook_id, url, events, secret, ...rest } };
      });
    },
  }),
  defineRoute('post', '/v1/webhooks/{id}/rotate-secret/finish', 'finishSecretRotation', {
    summary: 'End the overlap now',
    description:
      'From now on only the new secret signs, and the previous one is wiped. Without an overlap nothing changes, and the response is the same. Audited when it ended an overlap.',
    scope: 'webhooks:write',
    replies: { 200: { description: 'The webhook as it is now', schema: webhookSchema } },
    async handle({ deps, key, id }) {
      const row = await withTransaction(deps.pool, async (client) => {
        const ended = await endOverlap(client, accountOf(key), id);
        if (ended?.hasEnded) await audit(client, key, 'webhook.secret_overlap_ended', id);
        return ended;
      });
      return { status: 200, body: toWebhook(requireFound(row, 'webhook')) };
    },
  }),
];
