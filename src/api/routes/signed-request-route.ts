import { signedRequestSchema, signRequestSchema } from '../../contracts/signed-request.ts';
import { findDeliveryWithAttempts } from '../../db/attempts.ts';
import { findEvent } from '../../db/event-log.ts';
import { findWebhook } from '../../db/webhooks-table.ts';
import { signAgain } from '../../delivery/sign-again.ts';
import { curlCommand } from '../../domain/curl-command.ts';
import { ApiError } from '../../errors.ts';
import { accountOf, audit } from '../auth.ts';
import { payloadRemoved, requireFound } from '../problem-details.ts';
import { routesWithTag } from '../route.ts';

const defineRoute = routesWithTag('Deliveries');

const conflict = (detail: string) => new ApiError('delivery_state_conflict', detail);

export const signedRequestRoutes = [
  defineRoute('post', '/v1/deliveries/{id}/signed-request', 'signRequest', {
    summary: 'Sign the request of an attempt again',
    description:
      "The exact request of an attempt with the time and the signatures of now, and as a curl command line. Nothing is sent. Needs a write scope, because a receiver accepts the request from anyone who has it. Audited. The webhook's own headers and its authentication are placeholders.",
    scope: 'webhooks:write',
    body: signRequestSchema,
    bodyExample: {},
    bodyMayBeEmpty: true,
    replies: { 200: { description: 'The request', schema: signedRequestSchema } },
    errors: ['delivery_state_conflict', 'payload_removed'],
    async handle({ deps, key, id, body: { attempt: number } }) {
      const { pool, secretBox } = deps;
      const accountId = accountOf(key);
      const found = await findDeliveryWithAttempts(pool, accountId, id);
      const { delivery, attempts } = requireFound(found, 'delivery');
      const latest = attempts.at(-1);
      if (!latest) throw conflict('It has no attempt yet.');
      const attempt = requireFound(
        number === undefined ? latest : (attempts.find((each) => each.number === number) ?? null),
        'attempt',
      );
      if (attempt.request.format === 'email') throw conflict('It was an e-mail, which has no signature.');
      const webhook = await findWebhook(pool, accountId, delivery.webhookId);
      if (!webhook) throw conflict('Its webhook was deleted, and the signing secret with it.');
      const event = await findEvent(pool, accountId, delivery.eventId);
      if (!event?.body) throw payloadRemoved(event?.expunged_at ? 'expunged' : 'past_retention');
      const at = new Date();
      const { body, url, headers, placeholders, hasClientCertificate } = signAgain(secretBox, {
        attempt,
        event: {
          id: delivery.eventId,
          type: delivery.eventType,
          body: event.body,
          traceparent: delivery.traceparent,
        },
        webhook,
        at,
      });
      await audit(pool, key, 'attempt.request_signed', attempt.id);
      const text = body.toString();
      return {
        status: 200,
        body: {
          delivery_id: id,
          attempt: { id: attempt.id, number: attempt.number },
          signed_at: at.toISOString(),
          method: 'POST',
          url,
          headers,
          placeholders,
          body: text,
          body_bytes: body.length,
          curl: curlCommand({ url, headers, body: text, hasClientCertificate }),
        },
      };
    },
  }),
];
