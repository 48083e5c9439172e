import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  type KeyObject,
} from 'node:crypto';
import type { JwkSet } from '../contracts/public-key.ts';

const keyPrefix = 'whsk_';
const publicPrefix = 'whpk_';
const seedBytes = 32;
/** The bytes before the 32 bytes of an ed25519 key in PKCS #8 (RFC 8410, section 7). */
const pkcs8Start = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The context that seals a signing key. The webhook's secret has another one, so neither opens as the other. */
export const signingKeyContext = (webhookId: string): string => `${webhookId} signing key`;

/** A new ed25519 key: `whsk_` and the base64 of its seed, 32 random bytes. Its public key follows from it. */
export function newSigningKey(): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-seedBytes);
  return keyPrefix + seed.toString('base64');
}

/**
 * One entry of `webhook-signature` (Standard Webhooks 1.0.0): `v1a,` and the base64 ed25519 signature of `id.timestamp.body`.
 *
 * @param signingKey `whsk_…`
 * @param timestamp the attempt's second since 1970
 * @example signAsymmetric('whsk_…', 'evt_1', 1704888090, body) // 'v1a,hnO3…=='
 */
export function signAsymmetric(signingKey: string, id: string, timestamp: number, body: Uint8Array): string {
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  return `v1a,${sign(null, signed, privateKeyOf(signingKey)).toString('base64')}`;
}

/**
 * The public key of a signing key: `whpk_` and the base64 of its 32 bytes.
 *
 * @example publicKeyOf('whsk_…') // 'whpk_…'
 */
export function publicKeyOf(signingKey: string): string {
  const { x = '' } = createPublicKey(privateKeyOf(signingKey)).export({ format: 'jwk' });
  return publicPrefix + Buffer.from(x, 'base64url').toString('base64');
}

/**
 * A public key as a JSON Web Key. `kid` is its thumbprint (RFC 7638).
 *
 * @param publicKey `whpk_…`
 * @example toJwk('whpk_…') // { kty: 'OKP', crv: 'Ed25519', x: '11qY…', kid: 'kPrK…', alg: 'EdDSA', use: 'sig' }
 */
export function toJwk(publicKey: string): JwkSet['keys'][number] {
  const x = Buffer.from(publicKey.slice(publicPrefix.length), 'base64').toString('base64url');
  // The members that a thumbprint is of, in their order.
  const text = JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x });
  const kid = createHash('sha256').update(text).digest('base64url');
  return { kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig' };
}

function privateKeyOf(signingKey: string): KeyObject {
  const seed = Buffer.from(signingKey.slice(keyPrefix.length), 'base64');
  return createPrivateKey({ key: Buffer.concat([pkcs8Start, seed]), format: 'der', type: 'pkcs8' });
}
