import type { StoredAttempt } from '../db/attempts.ts';
import type { WebhookRow } from '../db/webhooks-table.ts';
import { allowedHeaders } from '../domain/custom-headers.ts';
import { storedHeaderStyle } from '../domain/request-headers.ts';
import { setsAuthorization } from '../domain/webhook-auth.ts';
import { bodyFor } from '../domain/wire-body.ts';
import type { SecretBox } from '../security/secret-box.ts';
import { sign } from './signed-request.ts';

type Again = {
  attempt: StoredAttempt;
  event: { id: string; type: string; body: Buffer; traceparent: string | null };
  webhook: WebhookRow;
  at: Date;
};

/**
 * The request of an attempt with new signatures, which anybody can send who has it. The webhook's own headers and its
 * authentication are placeholders.
 *
 * @throws UnopenableError
 */
export function signAgain(secretBox: SecretBox, { attempt, event, webhook, at }: Again) {
  const { url, format, headersAs } = attempt.request;
  const { accountId, auth } = webhook;
  const style = storedHeaderStyle(headersAs);
  const body = bodyFor(format, event.body, accountId);
  const signed = sign(secretBox, {
    ...webhook,
    webhookId: webhook.id,
    eventId: event.id,
    eventType: event.type,
    traceparent: event.traceparent,
    format,
    style,
    attemptId: attempt.id,
    body,
    at,
  });
  const hasAuthorization = setsAuthorization(auth);
  const own = allowedHeaders(
    webhook.headerNames.map((name) => [name, `<${name}>`]),
    style,
    hasAuthorization,
  );
  const authorization = auth?.type === 'basic' ? 'Basic <credentials>' : 'Bearer <token>';
  const secret = hasAuthorization ? { ...own, Authorization: authorization } : own;
  return {
    // As it is requested: without the segments `..` that curl would remove by other rules.
    url: new URL(url).href,
    headers: { ...signed, ...secret },
    placeholders: Object.keys(secret),
    hasClientCertificate: auth?.type === 'mtls',
    body,
  };
}
