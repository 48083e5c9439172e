import { createHmac, timingSafeEqual } from 'node:crypto';

/** Why a request is not to be trusted, as `code` and as a sentence that says what to look at. */
export class WebhookVerificationError extends Error {
  readonly code: VerificationFailure;

  constructor(code: VerificationFailure, message: string) {
    super(message);
    this.name = 'WebhookVerificationError';
    this.code = code;
  }
}

export type VerificationFailure =
  | 'bad_secret'
  | 'missing_header'
  | 'malformed_header'
  | 'too_old'
  | 'too_new'
  | 'wrong_signature'
  | 'malformed_body';

export type ReceivedWebhook = {
  /** The body's bytes as they came. Parsed and written again, they are other bytes. */
  body: string | Uint8Array;
  /** As Node, Fetch or a plain object has them. */
  headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>;
  /** `whsec_…` */
  secret: string;
  /** How far the signed time may be from now. 300 unless said. */
  toleranceSeconds?: number;
  /** Now, unless said. */
  at?: Date;
};

export type WebhookEvent = { id: string; event: string; timestamp: string; data: Record<string, unknown> };

const prefix = 'whsec_';

/**
 * The event of a request whose signature is right, and made just now: `webhook-signature`, of Standard Webhooks 1.0.0, over
 * id, time and body. `verifyBody` checks `X-FLTR-Signature`, which signs the body alone.
 *
 * @throws WebhookVerificationError
 * @example const { event, data } = verify({ body, headers: request.headers, secret: process.env.WEBHOOK_SECRET ?? '' })
 */
export function verify({
  body,
  headers,
  secret,
  toleranceSeconds = 300,
  at = new Date(),
}: ReceivedWebhook): WebhookEvent {
  requireSecret(secret);
  const bytes = toBytes(body);
  const id = requireHeader(headers, 'webhook-id');
  const timestamp = requireHeader(headers, 'webhook-timestamp');
  const signatures = requireHeader(headers, 'webhook-signature');
  if (!/^\d{1,12}$/.test(timestamp))
    throw new WebhookVerificationError('malformed_header', 'webhook-timestamp is no second since 1970.');
  const key = Buffer.from(secret.slice(prefix.length), 'base64');
  const expected = `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(bytes).digest('base64')}`;
  if (!signatures.split(' ').some((signature) => isEqual(signature, expected))) {
    throw new WebhookVerificationError(
      'wrong_signature',
      'No signature is that of this body under this secret: is it the secret of this webhook, and the body as it came?',
    );
  }
  const ageSeconds = at.getTime() / 1000 - Number(timestamp);
  if (ageSeconds > toleranceSeconds)
    throw new WebhookVerificationError(
      'too_old',
      `It was signed ${Math.round(ageSeconds)} s ago: sent again by somebody, or your clock is fast.`,
    );
  if (-ageSeconds > toleranceSeconds)
    throw new WebhookVerificationError(
      'too_new',
      `It was signed ${Math.round(-ageSeconds)} s ahead of your clock, which is slow.`,
    );
  return toEvent(bytes);
}

/**
 * The same by `X-FLTR-Signature` alone: hex HMAC-SHA256 of the body, keyed with the whole secret. It holds no time, so it cannot
 * tell a request that somebody recorded and sends again.
 *
 * @throws WebhookVerificationError
 */
export function verifyBody({
  body,
  headers,
  secret,
}: Pick<ReceivedWebhook, 'body' | 'headers' | 'secret'>): WebhookEvent {
  requireSecret(secret);
  const bytes = toBytes(body);
  const given = requireHeader(headers, 'x-fltr-signature');
  if (!/^[0-9a-f]{64}$/i.test(given))
    throw new WebhookVerificationError('malformed_header', 'X-FLTR-Signature is not 64 hexadecimal digits.');
  const expected = createHmac('sha256', secret).update(bytes).digest('hex');
  if (!isEqual(given.toLowerCase(), expected)) {
    throw new WebhookVerificationError(
      'wrong_signature',
      'X-FLTR-Signature is not that of this body under this secret: is it the secret of this webhook, and the body as it came?',
    );
  }
  return toEvent(bytes);
}

function requireSecret(secret: string): void {
  if (/^whsec_[A-Za-z0-9+/]+=*$/.test(secret)) return;
  throw new WebhookVerificationError('bad_secret', 'The secret must be the whole text: whsec_ and base64.');
}

function requireHeader(headers: ReceivedWebhook['headers'], name: string): string {
  const value = readHeader(headers, name);
  if (value !== undefined && value !== '') return value;
  throw new WebhookVerificationError('missing_header', `The header ${name} is missing.`);
}

function readHeader(headers: ReceivedWebhook['headers'], name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  return typeof found === 'string' ? found : found?.[0];
}

const toBytes = (body: string | Uint8Array): Uint8Array =>
  typeof body === 'string' ? Buffer.from(body) : body;

/** In constant time; only the length, which is no secret, shows. */
function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function toEvent(bytes: Uint8Array): WebhookEvent {
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as WebhookEvent;
  } catch {
    throw new WebhookVerificationError('malformed_body', 'The signature is right, but the body is not JSON.');
  }
}
