import { expect, test } from 'vitest';
import { attemptHeaders, defaultHeaderSettings, toHeaderStyle } from '../../src/domain/request-headers.ts';
import { newSecret } from '../../src/domain/signature.ts';
import type { SigningSecrets } from '../../src/domain/signing-secrets.ts';
import { verify, WebhookVerificationError } from '../../src/client/index.ts';

const secret = newSecret();
const event = {
  id: 'evt_1',
  event: 'document.deleted',
  timestamp: '2026-01-10T12:00:00Z',
  data: { document_id: 'ü' },
};
const body = Buffer.from(JSON.stringify(event));
const at = new Date('2026-01-10T12:00:05Z');

const style = toHeaderStyle(defaultHeaderSettings);
const asSent = { style, format: 'fltr', attemptId: 'att_1' } as const;

/** A request as the service makes it. */
const headersOf = (secrets: SigningSecrets = { body: secret, standard: [secret] }) =>
  attemptHeaders({ ...asSent, eventId: event.id, eventType: event.event, body, at, secrets });

function codeOf(check: () => unknown): string {
  try {
    check();
  } catch (error) {
    if (error instanceof WebhookVerificationError) return error.code;
    throw error;
  }
  return 'valid';
}

test('a signed request is genuine, by either signature, with headers and body in every form', () => {
  const headers = headersOf();
  const lowerCase = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  for (const given of [headers, lowerCase, new Headers(headers)]) {
    expect(verify({ body, headers: given, secret, at })).toEqual(event);
    expect(verify({ body: body.toString(), headers: given, secret, at })).toEqual(event);
    expect(verify({ body, headers: given, secret, signatures: ['fltr'] })).toEqual(event);
  }
});

test('verification accepts the old and the new secret during a rotation, and no other', () => {
  const old = newSecret();
  const headers = headersOf({ body: secret, standard: [secret, old] });
  expect(codeOf(() => verify({ body, headers, secret, at }))).toBe('valid');
  expect(codeOf(() => verify({ body, headers, secret: old, at }))).toBe('valid');
  expect(codeOf(() => verify({ body, headers, secret: newSecret(), at }))).toBe('wrong_signature');
});

test('verification fails after any change of body, id, time or signature', () => {
  const headers = headersOf();
  const other = Buffer.concat([body, Buffer.from(' ')]);
  expect(codeOf(() => verify({ body: other, headers, secret, at }))).toBe('wrong_signature');
  expect(codeOf(() => verify({ body: other, headers, secret, signatures: ['fltr'] }))).toBe(
    'wrong_signature',
  );
  for (const [name, value] of [
    ['webhook-id', 'evt_2'],
    ['webhook-timestamp', String(Math.floor(at.getTime() / 1000) - 1)],
    ['webhook-signature', `${headers['webhook-signature']?.slice(0, -4)}AAA=`],
  ] as const)
    expect(codeOf(() => verify({ body, headers: { ...headers, [name]: value }, secret, at }))).toBe(
      'wrong_signature',
    );
});

test('a request recorded earlier is refused: 300 s either way are taken, 301 are not', () => {
  const headers = headersOf();
  const later = (seconds: number) => new Date(Math.floor(at.getTime() / 1000) * 1000 + seconds * 1000);
  const codeAt = (seconds: number, toleranceSeconds?: number) =>
    codeOf(() =>
      verify({
        body,
        headers,
        secret,
        at: later(seconds),
        ...(toleranceSeconds === undefined ? {} : { toleranceSeconds }),
      }),
    );
  expect([codeAt(300), codeAt(301), codeAt(-300), codeAt(-301)]).toEqual([
    'valid',
    'too_old',
    'valid',
    'too_new',
  ]);
  expect([codeAt(10, 10), codeAt(11, 10)]).toEqual(['valid', 'too_old']);
});

test('a header that is missing or malformed is named', () => {
  const headers = headersOf();
  for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature'])
    expect(codeOf(() => verify({ body, headers: { ...headers, [name]: undefined }, secret, at }))).toBe(
      'missing_header',
    );
  const { 'X-FLTR-Signature': _signature, ...without } = headers;
  expect(codeOf(() => verify({ body, headers: without, secret, signatures: ['fltr'] }))).toBe(
    'missing_header',
  );
  const withTime = { ...headers, 'webhook-timestamp': '2026-01-10' };
  expect(codeOf(() => verify({ body, headers: withTime, secret, at }))).toBe('malformed_header');
  const withSignature = { ...headers, 'X-FLTR-Signature': 'sha256=abc' };
  expect(codeOf(() => verify({ body, headers: withSignature, secret, signatures: ['fltr'] }))).toBe(
    'malformed_header',
  );
  for (const wrong of ['', secret.slice(6), 'whsec_', 'whsec_ä'])
    expect(codeOf(() => verify({ body, headers, secret: wrong, at }))).toBe('bad_secret');
});

test('a signed body that is no JSON gets an error of its own', () => {
  const text = Buffer.from('not JSON');
  const headers = attemptHeaders({
    ...asSent,
    eventId: 'evt_1',
    eventType: 'document.deleted',
    body: text,
    at,
    secrets: { body: secret, standard: [secret] },
  });
  expect(codeOf(() => verify({ body: text, headers, secret, at }))).toBe('malformed_body');
});

const messageOf = (check: () => unknown): string => {
  try {
    check();
  } catch (error) {
    if (error instanceof WebhookVerificationError) return error.message;
    throw error;
  }
  return 'valid';
};

test('a receiver names the signatures that it needs; all of them must be valid', () => {
  const headers = headersOf();
  const codeWith = (changed: Record<string, string | undefined>, signatures: ('fltr' | 'standard')[]) =>
    codeOf(() => verify({ body, headers: { ...headers, ...changed }, secret, at, signatures }));
  const forgedFltr = { 'X-FLTR-Signature': '0'.repeat(64) };
  const forgedStandard = { 'webhook-signature': `v1,${'A'.repeat(43)}=` };
  expect(codeWith({}, ['fltr', 'standard'])).toBe('valid');
  for (const both of [
    ['fltr', 'standard'],
    ['standard', 'fltr'],
  ] as const) {
    expect(codeWith(forgedFltr, [...both])).toBe('wrong_signature');
    expect(codeWith(forgedStandard, [...both])).toBe('wrong_signature');
    expect(codeWith({ 'X-FLTR-Signature': undefined }, [...both])).toBe('missing_header');
    expect(codeWith({ 'webhook-signature': undefined }, [...both])).toBe('missing_header');
  }
  expect(codeWith(forgedFltr, ['standard'])).toBe('valid');
  expect(codeWith(forgedStandard, ['fltr'])).toBe('valid');
  // Requiring none would accept every request.
  for (const wrong of [[], ['v1'], ['standard', 'Fltr']])
    expect(codeWith({}, wrong as 'fltr'[])).toBe('bad_options');
});

test('a custom prefix is verified when it is given, and named when it is not', () => {
  const custom = toHeaderStyle({ ...defaultHeaderSettings, prefix: 'X-Acme-', signatures: ['fltr'] });
  const secrets: SigningSecrets = { body: secret, standard: [secret] };
  const headers = attemptHeaders({
    ...asSent,
    style: custom,
    eventId: event.id,
    eventType: event.event,
    body,
    at,
    secrets,
  });
  const check = (more: { headerPrefix?: string; signatures?: ('fltr' | 'standard')[] }) => () =>
    verify({ body, headers: new Headers(headers), secret, at, ...more });
  for (const headerPrefix of ['X-Acme-', 'x-acme-'])
    expect(codeOf(check({ headerPrefix, signatures: ['fltr'] }))).toBe('valid');
  expect(messageOf(check({ signatures: ['fltr'] }))).toBe(
    'The header X-FLTR-Signature is missing. The request has x-acme-signature, a signature of the kind fltr: check signatures and header prefix, and who sent it.',
  );
  expect(messageOf(check({}))).toMatch(/^The header webhook-signature is missing\. The request has x-acme-s/);
  const { 'X-Acme-Signature': _signature, ...none } = headers;
  expect(messageOf(() => verify({ body, headers: none, secret, at }))).toBe(
    'The header webhook-signature is missing.',
  );
});
