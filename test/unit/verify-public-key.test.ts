import { expect, test } from 'vitest';
import { verify, WebhookVerificationError, type ReceivedWebhook } from '../../src/client/index.ts';
import { attemptHeaders, defaultHeaderSettings, toHeaderStyle } from '../../src/domain/request-headers.ts';
import { newSecret } from '../../src/domain/signature.ts';
import { newSigningKey, publicKeyOf } from '../../src/domain/signing-key.ts';

const [signingKey, other] = [newSigningKey(), newSigningKey()];
const publicKey = publicKeyOf(signingKey);
const secret = newSecret();
const event = { id: 'evt_1', event: 'document.deleted', timestamp: '2026-01-10T12:00:00Z', data: { a: 'ü' } };
const body = Buffer.from(JSON.stringify(event));
const at = new Date('2026-01-10T12:00:05Z');

const headersOf = (keys: string[], standard: string[] = [secret]) =>
  attemptHeaders({
    style: toHeaderStyle(defaultHeaderSettings),
    format: 'fltr',
    attemptId: 'att_1',
    eventId: event.id,
    eventType: event.event,
    body,
    at,
    secrets: { body: secret, standard, keys },
  });

function failureOf(changed: Record<string, unknown>): [code: string, message: string] {
  const request = { body, headers: headersOf([signingKey]), publicKey, at, ...changed };
  try {
    verify(request as ReceivedWebhook);
  } catch (error) {
    if (error instanceof WebhookVerificationError) return [error.code, error.message];
    throw error;
  }
  return ['valid', ''];
}
const codeOf = (changed: Record<string, unknown>) => failureOf(changed)[0];

test('verify() accepts a v1a signature by the public key alone, beside v1 and without it', () => {
  for (const headers of [headersOf([signingKey]), headersOf([signingKey], [])])
    for (const given of [headers, new Headers(headers)])
      expect(verify({ body, headers: given, publicKey, at })).toEqual(event);
  expect(verify({ body: body.toString(), headers: headersOf([signingKey]), secret, at })).toEqual(event);
});

test('during a rotation the public key of each of the two keys verifies, and no other', () => {
  const headers = headersOf([other, signingKey]);
  expect(codeOf({ headers })).toBe('valid');
  expect(codeOf({ headers, publicKey: publicKeyOf(other) })).toBe('valid');
  expect(codeOf({ headers, publicKey: publicKeyOf(newSigningKey()) })).toBe('wrong_signature');
});

test('a v1a signature fails after any change of body, id, time or signature, and when it is too old', () => {
  const headers = headersOf([signingKey]);
  expect(codeOf({ body: Buffer.concat([body, Buffer.from(' ')]) })).toBe('wrong_signature');
  for (const [name, value] of [
    ['webhook-id', 'evt_2'],
    ['webhook-timestamp', String(at.getTime() / 1000 - 1)],
    ['webhook-signature', `v1a,${'A'.repeat(86)}==`],
    ['webhook-signature', 'v1a,'],
    ['webhook-signature', `v1a,${headers['webhook-signature']?.split('v1a,')[1]?.slice(4)}`],
  ] as const)
    expect([name, value, codeOf({ headers: { ...headers, [name]: value } })]).toEqual([
      name,
      value,
      'wrong_signature',
    ]);
  const later = (seconds: number) => new Date(at.getTime() + seconds * 1000);
  expect([300, 301, -300, -301].map((shift) => codeOf({ at: later(shift) }))).toEqual([
    'valid',
    'too_old',
    'valid',
    'too_new',
  ]);
});

test('where the entry is missing that the key verifies, the error names it', () => {
  expect(failureOf({ headers: headersOf([]) })).toEqual([
    'wrong_signature',
    'webhook-signature has no entry v1a, which the public key verifies. See the signatures of the webhook.',
  ]);
  expect(failureOf({ headers: headersOf([signingKey], []), publicKey: undefined, secret })).toEqual([
    'wrong_signature',
    'webhook-signature has no entry v1, which the secret verifies. See the signatures of the webhook.',
  ]);
});

test('of many v1a entries ten are checked', () => {
  const entry = headersOf([signingKey], [])['webhook-signature'] ?? '';
  const wrong = `v1a,${'A'.repeat(86)}==`;
  const codeAfter = (count: number) => {
    const list = [...Array.from({ length: count }, () => wrong), entry].join(' ');
    return codeOf({ headers: { ...headersOf([]), 'webhook-signature': list } });
  };
  expect([codeAfter(9), codeAfter(10)]).toEqual(['valid', 'wrong_signature']);
});

test('a malformed public key, or a choice that makes no sense, is named', () => {
  for (const wrong of ['', publicKey.slice(5), `${publicKey}=`, 'whpk_', secret, `whpk_${'A'.repeat(42)}==`])
    expect([wrong, codeOf({ publicKey: wrong })]).toEqual([wrong, 'bad_public_key']);
  expect(codeOf({ secret })).toBe('bad_options');
  expect(codeOf({ publicKey: undefined })).toBe('bad_options');
  expect(codeOf({ signatures: ['fltr'] })).toBe('bad_options');
  expect(codeOf({ signatures: ['fltr', 'standard'] })).toBe('bad_options');
  expect(codeOf({ signatures: ['standard'] })).toBe('valid');
});
