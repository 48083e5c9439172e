import { createHmac, randomBytes } from 'node:crypto';

const prefix = 'whsec_';

/** A new secret: `whsec_` and the base64 of 32 random bytes. */
export function newSecret(): string {
  return prefix + randomBytes(32).toString('base64');
}

/**
 * `X-FLTR-Signature`: lower-case hex HMAC-SHA256 of the body, keyed with the whole secret string, prefix included.
 *
 * @example signBody('whsec_…', body) // '5f2c…', 64 digits
 */
export function signBody(secret: string, body: Uint8Array): string {
  return createHmac('sha256', secret).update(body).digest('hex');
}

/**
 * One entry of `webhook-signature` (Standard Webhooks 1.0.0): `v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`,
 * keyed with the decoded part after the prefix.
 *
 * @param timestamp the attempt's second since 1970
 * @example signStandard('whsec_…', 'evt_1', 1704888090, body) // 'v1,K5oZ…='
 */
export function signStandard(secret: string, id: string, timestamp: number, body: Uint8Array): string {
  const key = Buffer.from(secret.slice(prefix.length), 'base64');
  const hmac = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body);
  return `v1,${hmac.digest('base64')}`;
}
