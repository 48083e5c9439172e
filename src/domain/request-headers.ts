import { signBody, signStandard } from './signature.ts';
import type { SigningSecrets } from './signing-secrets.ts';
import { traceparentOfAttempt } from './traceparent.ts';

type UnsignedHeaders = {
  eventId: string;
  eventType: string;
  attemptId: string;
  /** The attempt's start. */
  at: Date;
  /** The event's; undefined or null: it belongs to no trace. */
  traceparent?: string | null;
  isTest?: boolean;
};
type AttemptHeaders = UnsignedHeaders & { body: Uint8Array; secrets: SigningSecrets };

const secondsOf = (at: Date) => Math.floor(at.getTime() / 1000);

/**
 * The headers of one attempt without the two signatures, so without a secret. The log computes them again.
 *
 * @example unsignedHeaders({ eventId: 'evt_1', eventType: 'document.deleted', attemptId: 'att_1', at })['webhook-id'] // 'evt_1'
 */
export function unsignedHeaders(input: UnsignedHeaders): Record<string, string> {
  const headers: Record<string, string> = {
    'Content-Type': 'application/json',
    'User-Agent': 'FLTR-Webhooks/1.0',
    'X-FLTR-Event': input.eventType,
    'X-FLTR-Delivery': input.attemptId,
    'webhook-id': input.eventId,
    'webhook-timestamp': String(secondsOf(input.at)),
  };
  if (input.traceparent) headers['traceparent'] = traceparentOfAttempt(input.traceparent, input.attemptId);
  if (input.isTest) headers['X-FLTR-Test'] = 'true';
  return headers;
}

/**
 * The headers of one attempt. `Content-Length` and `Host` are the HTTP client's.
 *
 * @example attemptHeaders({ eventId: 'evt_1', eventType: 'document.deleted', attemptId: 'att_1', body, at, secrets: { body: 'whsec_…', standard: ['whsec_…'] } })
 */
export function attemptHeaders(input: AttemptHeaders): Record<string, string> {
  return {
    ...unsignedHeaders(input),
    'X-FLTR-Signature': signBody(input.secrets.body, input.body),
    'webhook-signature': input.secrets.standard
      .map((secret) => signStandard(secret, input.eventId, secondsOf(input.at), input.body))
      .join(' '),
  };
}
