import { validateHeaderName, validateHeaderValue } from 'node:http';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import {
  attemptHeaders,
  defaultHeaderSettings,
  storedHeaderStyle,
  toHeaderStyle,
  type HeaderSettings,
} from '../../src/domain/request-headers.ts';
import { newSecret } from '../../src/domain/signature.ts';
import { assertHeaders } from '../../src/outbound/assert-headers.ts';

const settingsOf = (env: Record<string, string>): HeaderSettings => {
  const config = readConfig(env);
  return {
    prefix: config.FLTR_HEADER_PREFIX,
    userAgent: config.FLTR_USER_AGENT,
    signatures: config.FLTR_SIGNATURES,
  };
};
const isAccepted = (env: Record<string, string>): boolean => {
  try {
    return settingsOf(env) !== null;
  } catch {
    return false;
  }
};
const secret = newSecret();
const headersWith = (settings: HeaderSettings) =>
  attemptHeaders({
    style: toHeaderStyle(settings),
    format: 'fltr',
    eventId: 'evt_1',
    eventType: 'order.paid',
    attemptId: 'att_1',
    at: new Date('2026-01-10T12:00:00Z'),
    isTest: true,
    body: Buffer.from('{}'),
    secrets: { body: secret, standard: [secret] },
  });

test('the defaults are those of the documentation, and store nothing', () => {
  const settings = settingsOf({});
  expect(settings).toEqual({
    prefix: 'X-FLTR-',
    userAgent: 'FLTR-Webhooks/1.0',
    signatures: ['fltr', 'standard'],
  });
  for (const order of ['fltr,standard', ' standard , fltr ']) {
    const style = toHeaderStyle(settingsOf({ FLTR_SIGNATURES: order }));
    expect(style.stored).toBeNull();
    expect(storedHeaderStyle(null)).toEqual(style);
  }
});

test('a prefix names four headers; the signatures are those of the setting', () => {
  const names = (signatures: string) =>
    Object.keys(headersWith(settingsOf({ FLTR_HEADER_PREFIX: 'X-Acme-', FLTR_SIGNATURES: signatures })));
  const always = ['Content-Type', 'User-Agent', 'X-Acme-Event', 'X-Acme-Delivery', 'webhook-id'];
  expect(names('fltr')).toEqual([...always, 'X-Acme-Test', 'X-Acme-Signature']);
  expect(names('standard')).toEqual([...always, 'webhook-timestamp', 'X-Acme-Test', 'webhook-signature']);
  expect(names('fltr,standard')).toEqual([
    ...always,
    'webhook-timestamp',
    'X-Acme-Test',
    'X-Acme-Signature',
    'webhook-signature',
  ]);
});

test('the settings that an attempt stores make the same headers again', () => {
  for (const settings of [
    defaultHeaderSettings,
    { prefix: 'Acme-', userAgent: 'Acme "Webhooks" (a\\b)', signatures: ['standard'] } as const,
  ]) {
    const style = toHeaderStyle(settings);
    expect(storedHeaderStyle(style.stored)).toEqual(style);
  }
});

test.each([
  'X-Acme',
  'X_Acme-',
  'X Acme-',
  '-',
  '-Acme-',
  '1-',
  'X-Acme:-',
  'X-Ácme-',
  ' X-Acme-',
  'X-Acme-\n',
  'X-Acme-\r\nHost: evil.example\r\nX-',
  'X-Acme-\u0000-',
  `${'a'.repeat(40)}-`,
  'Host',
  'Host-',
  'webhook-',
  'Webhook-',
  'WEBHOOK-X-',
  'Content-',
  'content-x-',
  'Transfer-',
  'Connection-',
  'Keep-',
  'Proxy-',
  'Te-',
  'Trailer-',
  'Upgrade-',
  'Sec-',
  'Cookie-',
  'Set-',
  'ce-',
  'svix-',
  'X-Forwarded-',
  'x-forwarded-acme-',
  'X-Real-',
  'X-HTTP-',
])('the prefix %j is refused', (prefix) => {
  expect(() => readConfig({ FLTR_HEADER_PREFIX: prefix })).toThrow(
    /^The settings are not valid:\n {2}- FLTR_HEADER_PREFIX must .*such as X-Acme-$/,
  );
});

test.each(['a-', 'X-Acme-', 'Acme-', 'X-Webhook-', 'X-Hub-', 'X-FLTR-', `${'a'.repeat(39)}-`])(
  'the prefix %j is accepted',
  (prefix) => expect(settingsOf({ FLTR_HEADER_PREFIX: prefix }).prefix).toBe(prefix),
);

test('with every accepted prefix and user agent, the headers may be sent, and no two have the same name', () => {
  const prefix = fc.oneof(
    fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,38}-$/),
    fc.string({ unit: fc.constantFrom('X', '-', 'a', '1', '_', ':', '\r', '\n', ' '), maxLength: 8 }),
    fc.constantFrom('webhook', 'content', 'Host', 'X-Forwarded').map((word) => `${word}-`),
  );
  const userAgent = fc.oneof(
    fc.stringMatching(/^[\x21-\x7e]{1,40}$/),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 10 }),
  );
  let accepted = 0;
  fc.assert(
    fc.property(prefix, userAgent, (FLTR_HEADER_PREFIX, FLTR_USER_AGENT) => {
      const env = { FLTR_HEADER_PREFIX, FLTR_USER_AGENT };
      if (!isAccepted(env)) return;
      accepted += 1;
      const headers = headersWith(settingsOf(env));
      assertHeaders(headers);
      for (const [name, value] of Object.entries(headers)) {
        validateHeaderName(name);
        validateHeaderValue(name, value);
      }
      const names = Object.keys(headers).map((name) => name.toLowerCase());
      expect(new Set(names).size).toBe(names.length);
      expect(names.filter((name) => name.startsWith('webhook-'))).toHaveLength(3);
      expect(names.filter((name) => name.startsWith('content-'))).toEqual(['content-type']);
    }),
    { numRuns: 500 },
  );
  expect(accepted).toBeGreaterThan(50);
});

test.each([
  ['FLTR_USER_AGENT', 'a\r\nX-Evil: 1', 'must be visible ASCII characters, with single spaces between words'],
  ['FLTR_USER_AGENT', ' a', 'must be visible ASCII characters, with single spaces between words'],
  ['FLTR_USER_AGENT', 'a  b', 'must be visible ASCII characters, with single spaces between words'],
  ['FLTR_USER_AGENT', 'Ácme/1', 'must be visible ASCII characters, with single spaces between words'],
  ['FLTR_USER_AGENT', 'a'.repeat(201), 'must have at most 200 characters'],
  ['FLTR_SIGNATURES', ',', 'must be fltr, standard or both, separated by a comma, each once'],
  ['FLTR_SIGNATURES', 'none', 'must be fltr, standard or both, separated by a comma, each once'],
  ['FLTR_SIGNATURES', 'fltr,fltr', 'must be fltr, standard or both, separated by a comma, each once'],
  ['FLTR_SIGNATURES', 'FLTR', 'must be fltr, standard or both, separated by a comma, each once'],
])('%s=%j is refused', (name, value, message) => {
  expect(() => readConfig({ [name]: value })).toThrow(`The settings are not valid:\n  - ${name} ${message}`);
});

test('200 characters of a user agent are accepted', () => {
  expect(settingsOf({ FLTR_USER_AGENT: 'a'.repeat(200) }).userAgent).toHaveLength(200);
});

test('every fault of the settings is reported at once', () => {
  const env = { FLTR_HEADER_PREFIX: 'Host', FLTR_USER_AGENT: '\n', FLTR_SIGNATURES: 'v1' };
  expect(() => readConfig(env)).toThrow(/FLTR_HEADER_PREFIX [^]*FLTR_USER_AGENT [^]*FLTR_SIGNATURES /);
});
