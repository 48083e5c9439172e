import { createHmac, timingSafeEqual } from 'node:crypto';

/** Why a request was not verified, as a `code` and as a message that says what to check. */
export class WebhookVerificationError extends Error {
  override readonly name = 'WebhookVerificationError';
  readonly code: VerificationFailure;

  constructor(code: VerificationFailure, message: string) {
    super(message);
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
  /** The body exactly as received; parsed and serialized again, it would have different bytes. */
  body: string | Uint8Array;
  /** From Node, Fetch or a plain object. */
  headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>;
  /** `whsec_…` */
  secret: string;
  /** Allowed difference between the signed time and `at`. Default: 300. */
  toleranceSeconds?: number;
  /** The time of receipt. Default: now. */
  at?: Date;
};

export type WebhookEvent = { id: string; event: string; timestamp: string; data: Record<string, unknown> };

const prefix = 'whsec_';

/**
 * Verifies `webhook-signature` (Standard Webhooks 1.0.0, over id, time and body) and the age of a request, and returns its
 * event. `verifyBody` verifies `X-FLTR-Signature`, which signs only the body.
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
    throw new WebhookVerificationError(
      'malformed_header',
      'webhook-timestamp is not a Unix time in seconds.',
    );
  const key = Buffer.from(secret.slice(prefix.length), 'base64');
  const expected = `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(bytes).digest('base64')}`;
  if (!signatures.split(' ').some((signature) => isEqual(signature, expected))) {
    throw new WebhookVerificationError(
      'wrong_signature',
      'No signature matches. Check that the secret is that of this webhook, and that the body is unchanged.',
    );
  }
  const ageSeconds = at.getTime() / 1000 - Number(timestamp);
  if (ageSeconds > toleranceSeconds)
    throw new WebhookVerificationError(
      'too_old',
      `It was signed ${Math.round(ageSeconds)} s ago. It may be a replay, or your clock is fast.`,
    );
  if (-ageSeconds > toleranceSeconds)
    throw new WebhookVerificationError(
      'too_new',
      `It was signed ${Math.round(-ageSeconds)} s in the future. Your clock may be slow.`,
    );
  return toEvent(bytes);
}

/**
 * Verifies `X-FLTR-Signature`: hex HMAC-SHA256 of the body, keyed with the whole secret. It contains no time, so it does
 * not protect against replays.
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
  const signature = requireHeader(headers, 'x-fltr-signature');
  if (!/^[0-9a-f]{64}$/i.test(signature))
    throw new WebhookVerificationError('malformed_header', 'X-FLTR-Signature is not 64 hexadecimal digits.');
  const expected = createHmac('sha256', secret).update(bytes).digest('hex');
  if (!isEqual(signature.toLowerCase(), expected)) {
    throw new WebhookVerificationError(
      'wrong_signature',
      'X-FLTR-Signature does not match. Check that the secret is that of this webhook, and that the body is unchanged.',
    );
  }
  return toEvent(bytes);
}

function requireSecret(secret: string): void {
  if (/^whsec_[A-Za-z0-9+/]+=*$/.test(secret)) return;
  throw new WebhookVerificationError('bad_secret', 'The secret must be complete: whsec_ followed by base64.');
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

/** In constant time for a given length, which is not secret. */
function isEqual(received: string, expected: string): boolean {
  const [a, b] = [Buffer.from(received), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function toEvent(bytes: Uint8Array): WebhookEvent {
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as WebhookEvent;
  } catch {
    throw new WebhookVerificationError('malformed_body', 'The signature is valid, but the body is not JSON.');
  }
}
