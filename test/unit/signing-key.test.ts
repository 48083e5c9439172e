import { createPublicKey, verify } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { attemptHeaders, defaultHeaderSettings, toHeaderStyle } from '../../src/domain/request-headers.ts';
import { newSigningKey, publicKeyOf, signAsymmetric, toJwk } from '../../src/domain/signing-key.ts';
import { signingKeys } from '../../src/domain/signing-secrets.ts';

const fromHex = (hex: string) => Buffer.from(hex, 'hex').toString('base64');
// The first key of RFC 8032, section 7.1, which is that of RFC 8037, appendix A.
const signingKey = `whsk_${fromHex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60')}`;
const publicKey = `whpk_${fromHex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')}`;

const ids = fc.stringMatching(/^[A-Za-z0-9_-]{1,100}$/);
const bodies = fc.uint8Array({ maxLength: 2000 });
const seconds = fc.integer({ min: 0, max: 4_102_444_800 });

test('a public key and its thumbprint are those that the RFCs publish', () => {
  expect(publicKeyOf(signingKey)).toBe(publicKey);
  expect(toJwk(publicKey)).toEqual({
    kty: 'OKP',
    crv: 'Ed25519',
    x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
    kid: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
    alg: 'EdDSA',
    use: 'sig',
  });
});

test('a v1a signature is ed25519 over id, time and body', () => {
  const key = createPublicKey({ key: toJwk(publicKey), format: 'jwk' });
  fc.assert(
    fc.property(ids, seconds, bodies, bodies, (id, at, body, other) => {
      const signature = signAsymmetric(signingKey, id, at, body);
      expect(signature).toMatch(/^v1a,[A-Za-z0-9+/]{86}==$/);
      const bytes = Buffer.from(signature.slice(4), 'base64');
      const signed = (part: Uint8Array) => Buffer.concat([Buffer.from(`${id}.${at}.`), part]);
      expect(verify(null, signed(body), key, bytes)).toBe(true);
      expect(verify(null, signed(other), key, bytes)).toBe(Buffer.from(body).equals(other));
    }),
    { numRuns: 50 },
  );
});

test('a new signing key is whsk_ and the base64 of 32 bytes, and each has a public key of its own', () => {
  const made = Array.from({ length: 100 }, newSigningKey);
  for (const key of made) expect(key).toMatch(/^whsk_[A-Za-z0-9+/]{43}=$/);
  const publicKeys = made.map(publicKeyOf);
  for (const key of publicKeys) expect(key).toMatch(/^whpk_[A-Za-z0-9+/]{43}=$/);
  expect(new Set([...made, ...publicKeys]).size).toBe(200);
});

test('the previous key signs until its overlap ends', () => {
  const previousUntil = new Date('2024-01-11T12:00:00Z');
  const choose = (ms: number, previous: string | null = 'old') =>
    signingKeys({ current: 'new', previous, previousUntil, now: new Date(previousUntil.getTime() + ms) });
  expect([choose(-1), choose(0), choose(1), choose(-1, null)]).toEqual([
    ['new', 'old'],
    ['new'],
    ['new'],
    ['new'],
  ]);
  expect(signingKeys({ current: null, previous: null, previousUntil: null, now: new Date() })).toEqual([]);
});

test('webhook-signature lists the signatures of the webhook; without standard nothing is sent', () => {
  const secrets = { body: 'whsec_AAAA', standard: ['whsec_AAAA'], keys: [signingKey] };
  const headersOf = (signatures: readonly ('fltr' | 'standard')[], given: typeof secrets) =>
    attemptHeaders({
      style: toHeaderStyle({ ...defaultHeaderSettings, signatures }),
      format: 'fltr',
      eventId: 'evt_1',
      eventType: 'order.paid',
      attemptId: 'att_1',
      at: new Date(1_704_888_090_000),
      body: Buffer.from('{}'),
      secrets: given,
    });
  const versions = (headers: Record<string, string>) =>
    headers['webhook-signature']?.split(' ').map((entry) => entry.replace(/,.*/, ''));
  const both = ['fltr', 'standard'] as const;
  expect(versions(headersOf(both, secrets))).toEqual(['v1', 'v1a']);
  expect(versions(headersOf(both, { ...secrets, standard: [] }))).toEqual(['v1a']);
  expect(versions(headersOf(both, { ...secrets, keys: [] }))).toEqual(['v1']);
  expect(headersOf(both, { ...secrets, standard: [] })['X-FLTR-Signature']).toMatch(/^[0-9a-f]{64}$/);
  expect(versions(headersOf(['fltr'], secrets))).toBeUndefined();
});
