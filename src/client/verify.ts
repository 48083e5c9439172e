import {
  createHmac,
  createPublicKey,
  timingSafeEqual,
  verify as verifySignature,
  type KeyObject,
} from 'node:crypto';
import { signatureKinds, type SignatureKind } from '../contracts/signature-kind.ts';

/** Why a request was not verified: a `code`, and a message with the thing to check. */
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
  | 'bad_public_key'
  | 'bad_options'
  | 'missing_header'
  | 'malformed_header'
  | 'too_old'
  | 'too_new'
  | 'wrong_signature'
  | 'malformed_body';

export type ReceivedWebhook = Received & (WithSecret | WithPublicKey);

type WithSecret = { /** `whsec_…` */ secret: string; publicKey?: undefined };
/** It verifies `webhook-signature` only, where the webhook's `signatures` have `v1a`. */
type WithPublicKey = { /** `whpk_…` */ publicKey: string; secret?: undefined };

type Received = {
  /** The body exactly as received; parsed and serialized again, it would have different bytes. */
  body: string | Uint8Array;
  /** From Node, Fetch or a plain object. */
  headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The signatures that must be valid, all of them. Default: `['standard']`. */
  signatures?: readonly SignatureKind[];
  /** The prefix of the sender's own headers. Default: `X-FLTR-`. */
  headerPrefix?: string;
  /** Allowed difference between the signed time and `at`. Default: 300. */
  toleranceSeconds?: number;
  /** The time of receipt. Default: now. */
  at?: Date;
};

/** The body of a webhook of the format `fltr`. */
export type WebhookEvent = { id: string; event: string; timestamp: string; data: Record<string, unknown> };

const prefix = 'whsec_';
const publicPrefix = 'whpk_';
/** The bytes before the 32 bytes of a public ed25519 key in SubjectPublicKeyInfo (RFC 8410, section 4). */
const spkiStart = Buffer.from('302a300506032b6570032100', 'hex');
/** A sender has two, during a rotation. More would only cost time. */
const maxAsymmetric = 10;

/**
 * Verifies a request and returns its body, parsed. `signatures` names the signatures that must be valid:
 *
 * - `standard`: `webhook-signature` (Standard Webhooks 1.0.0, over id, time and body), and the age of the request.
 * - `fltr`: `<headerPrefix>Signature`, hex HMAC-SHA256 of the body, keyed with the whole secret. It contains no time, so it
 *   does not protect against replays.
 *
 * With a public key in place of the secret, an entry `v1a` of `webhook-signature` must be valid (ed25519); the receiver then
 * holds nothing that could sign.
 *
 * @throws WebhookVerificationError
 * @example const { event, data } = verify({ body, headers: request.headers, secret: process.env.WEBHOOK_SECRET ?? '' })
 */
export function verify<Body = WebhookEvent>(request: ReceivedWebhook): Body {
  const { signatures = ['standard'] } = request;
  if ((request.secret === undefined) === (request.publicKey === undefined))
    throw new WebhookVerificationError('bad_options', 'Give either secret or publicKey.');
  if (request.secret === undefined) requirePublicKey(request.publicKey);
  else requireSecret(request.secret);
  if (signatures.length === 0 || !signatures.every((kind) => signatureKinds.includes(kind)))
    throw new WebhookVerificationError('bad_options', 'signatures must name fltr, standard or both.');
  if (request.secret === undefined && signatures.includes('fltr'))
    throw new WebhookVerificationError('bad_options', 'A public key verifies standard only, not fltr.');
  const bytes = toBytes(request.body);
  for (const kind of signatures) {
    if (kind === 'standard') verifyStandard(request, bytes);
    else if (request.secret !== undefined) verifyBody(request, request.secret, bytes);
  }
  return parse(bytes) as Body;
}

function verifyStandard(request: ReceivedWebhook, bytes: Uint8Array): void {
  const { headers, toleranceSeconds = 300, at = new Date() } = request;
  const id = requireHeader(headers, 'webhook-id');
  const signatures = requireHeader(headers, 'webhook-signature');
  const timestamp = requireHeader(headers, 'webhook-timestamp');
  if (!/^\d{1,12}$/.test(timestamp))
    throw new WebhookVerificationError(
      'malformed_header',
      'webhook-timestamp is not a Unix time in seconds.',
    );
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), bytes]);
  requireMatch(request, signatures.split(' '), signed);
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
}

/** @throws WebhookVerificationError where none of the signatures was made by the owner of the secret or the public key */
function requireMatch({ secret, publicKey }: ReceivedWebhook, signatures: string[], signed: Buffer): void {
  const version = secret === undefined ? 'v1a' : 'v1';
  const ofVersion = signatures.filter((signature) => signature.startsWith(`${version},`));
  const matches = secret === undefined ? matchesKey(publicKey, signed) : matchesSecret(secret, signed);
  if (ofVersion.some(matches)) return;
  const key = secret === undefined ? 'public key' : 'secret';
  throw new WebhookVerificationError(
    'wrong_signature',
    ofVersion.length > 0
      ? `No signature matches. Check that the ${key} is that of this webhook, and that the body is unchanged.`
      : `webhook-signature has no entry ${version}, which the ${key} verifies. See the signatures of the webhook.`,
  );
}

function matchesSecret(secret: string, signed: Buffer): (signature: string) => boolean {
  const key = Buffer.from(secret.slice(prefix.length), 'base64');
  const expected = `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
  return (signature) => isEqual(signature, expected);
}

function matchesKey(publicKey: string, signed: Buffer): (signature: string, index: number) => boolean {
  const key = toPublicKey(publicKey);
  return (signature, index) =>
    index < maxAsymmetric &&
    verifySignature(null, signed, key, Buffer.from(signature.slice('v1a,'.length), 'base64'));
}

function toPublicKey(publicKey: string): KeyObject {
  const bytes = Buffer.from(publicKey.slice(publicPrefix.length), 'base64');
  return createPublicKey({ key: Buffer.concat([spkiStart, bytes]), format: 'der', type: 'spki' });
}

function verifyBody(
  { headers, headerPrefix = 'X-FLTR-' }: ReceivedWebhook,
  secret: string,
  bytes: Uint8Array,
): void {
  const name = `${headerPrefix}Signature`;
  const signature = requireHeader(headers, name);
  if (!isHexDigest(signature))
    throw new WebhookVerificationError('malformed_header', `${name} is not 64 hexadecimal digits.`);
  const expected = createHmac('sha256', secret).update(bytes).digest('hex');
  if (!isEqual(signature.toLowerCase(), expected)) {
    throw new WebhookVerificationError(
      'wrong_signature',
      `${name} does not match. Check that the secret is that of this webhook, and that the body is unchanged.`,
    );
  }
}

const isHexDigest = (text: string): boolean => /^[0-9a-f]{64}$/i.test(text);

function requireSecret(secret: string): void {
  if (/^whsec_[A-Za-z0-9+/]+=*$/.test(secret)) return;
  throw new WebhookVerificationError('bad_secret', 'The secret must be complete: whsec_ followed by base64.');
}

function requirePublicKey(publicKey: string): void {
  if (/^whpk_[A-Za-z0-9+/]{43}=$/.test(publicKey)) return;
  throw new WebhookVerificationError(
    'bad_public_key',
    'The public key must be complete: whpk_ followed by base64 of 32 bytes.',
  );
}

function requireHeader(headers: ReceivedWebhook['headers'], name: string): string {
  const value = readHeader(headers, name);
  if (value) return value;
  const names = headers instanceof Headers ? [...headers.keys()] : Object.keys(headers);
  // Most likely, the sender has another prefix or sends only this one.
  const other = names.find(
    (each) => /^[\w-]+-signature$/i.test(each) && isHexDigest(readHeader(headers, each) ?? ''),
  );
  const hint =
    other === undefined
      ? ''
      : ` The request has ${other}, a signature of the kind fltr: check signatures and header prefix, and who sent it.`;
  throw new WebhookVerificationError('missing_header', `The header ${name} is missing.${hint}`);
}

function readHeader(headers: ReceivedWebhook['headers'], name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  const lower = name.toLowerCase();
  const found = Object.entries(headers).find(([key]) => key.toLowerCase() === lower)?.[1];
  return typeof found === 'string' ? found : found?.[0];
}

const toBytes = (body: string | Uint8Array): Uint8Array =>
  typeof body === 'string' ? Buffer.from(body) : body;

/** In constant time for a given length, which is not secret. */
function isEqual(received: string, expected: string): boolean {
  const [a, b] = [Buffer.from(received), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    throw new WebhookVerificationError('malformed_body', 'The signature is valid, but the body is not JSON.');
  }
}
