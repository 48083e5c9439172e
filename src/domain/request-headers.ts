import { signBody, signStandard } from './signature.ts';
import type { SigningSecrets } from './signing-secrets.ts';

type AttemptHeaders = {
  eventId: string;
  eventType: string;
  attemptId: string;
  body: Uint8Array;
  /** The attempt's start. */
  at: Date;
  secrets: SigningSecrets;
  isTest?: boolean;
};

/**
 * The headers of one attempt. `Content-Length` and `Host` are the HTTP client's.
 *
 * @example attemptHeaders({ eventId: 'evt_1', eventType: 'document.deleted', attemptId: 'att_1', body, at, secrets: { body: 'whsec_…', standard: ['whsec_…'] } })
 */
export function attemptHeaders(input: AttemptHeaders): Record<string, string> {
  const timestamp = Math.floor(input.at.getTime() / 1000);
  const headers: Record<string, string> = {
    'Content-Type': 'application/json',
    'User-Agent': 'FLTR-Webhooks/1.0',
    'X-FLTR-Event': input.eventType,
    'X-FLTR-Delivery': input.attemptId,
    'X-FLTR-Signature': signBody(input.secrets.body, input.body),
    'webhook-id': input.eventId,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': input.secrets.standard
      .map((secret) => signStandard(secret, input.eventId, timestamp, input.body))
      .join(' '),
  };
  if (input.isTest) headers['X-FLTR-Test'] = 'true';
  return headers;
}
