import { expect, test } from 'vitest';
import {
  allowedHeaders,
  changeHeaders,
  findFaultOfAll,
  findHeaderFaults,
} from '../../src/domain/custom-headers.ts';
import { defaultHeaderSettings, toHeaderStyle, unsignedHeaders } from '../../src/domain/request-headers.ts';

const style = toHeaderStyle(defaultHeaderSettings);
const acme = toHeaderStyle({ ...defaultHeaderSettings, prefix: 'X-Acme-' });
const isRefused = (name: string, hasAuthorization = false, ofStyle = style) =>
  findHeaderFaults([[name, 'value']], ofStyle, hasAuthorization).length > 0;

test('a header that the service, HTTP or the connection sets is refused, in any case', () => {
  const sent = unsignedHeaders({
    style,
    format: 'fltr',
    eventId: 'evt_1',
    eventType: 'order.paid',
    attemptId: 'att_1',
    at: new Date(),
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    isTest: true,
  });
  const names = [
    ...Object.keys(sent),
    ...style.signatureHeaders,
    ...'Host Connection Keep-Alive Content-Length Content-Encoding Transfer-Encoding TE Trailer'.split(' '),
    ...'Upgrade Expect Proxy-Authorization webhook-anything X-FLTR-Anything'.split(' '),
  ];
  for (const name of names) {
    expect([name, isRefused(name)]).toEqual([name, true]);
    expect([name, isRefused(name.toUpperCase())]).toEqual([name, true]);
  }
  for (const name of ['X-Api-Key', 'Cookie', 'Accept', 'X-FLTR', 'Web', 'X-Acme-Event', '__proto__'])
    expect([name, isRefused(name)]).toEqual([name, false]);
});

test('the prefix of the settings counts', () => {
  expect(isRefused('x-acme-event', false, acme)).toBe(true);
  expect(isRefused('X-FLTR-Event', false, acme)).toBe(false);
});

test('Authorization is free unless auth sets it', () => {
  expect(isRefused('Authorization')).toBe(false);
  expect(isRefused('AUTHORIZATION', true)).toBe(true);
});

test.each([
  ['', 'v'],
  ['X Api', 'v'],
  ['X:Api', 'v'],
  ['X-Äpi', 'v'],
  ['X-Api\r\nHost', 'v'],
  ['x'.repeat(201), 'v'],
  ['X-Api', ''],
  ['X-Api', ' v'],
  ['X-Api', 'v '],
  ['X-Api', 'v\r\nHost: other'],
  ['X-Api', 'v\tw'],
  ['X-Api', 'é'],
  ['X-Api', '\u0000'],
])('%j: %j is refused, and the fault does not repeat the value', (name, value) => {
  const [found] = findHeaderFaults([[name, value]], style, false);
  expect(found?.name).toBe(name);
  if (value.trim().length > 1) expect(found?.message).not.toContain(value);
});

test('a name of 200 characters and a value with spaces are accepted', () => {
  expect(findHeaderFaults([['x'.repeat(200), 'Bearer a  b c']], style, false)).toEqual([]);
});

test('20 headers and 8 KiB, and no more', () => {
  const headers = (count: number) =>
    Array.from({ length: count }, (_, index) => [`X-${index}`, 'v'] as const);
  expect(findFaultOfAll(headers(20))).toBeNull();
  expect(findFaultOfAll(headers(21))).toContain('at most 20');
  const bytes = (size: number) => [['X-A', 'v'.repeat(size - 'X-A: \r\n'.length)]] as const;
  expect(findFaultOfAll(bytes(8192))).toBeNull();
  expect(findFaultOfAll(bytes(8193))).toContain('8 KiB (8192 bytes)');
});

test('one name twice, in another case, is refused', () => {
  expect(findFaultOfAll(changeHeaders([], { 'X-A': '1', 'x-a': '2' }))).toContain('X-A and x-a');
});

test('a change sets, replaces and removes by name without regard to case, and leaves the others', () => {
  const stored = [
    ['X-A', '1'],
    ['X-B', '2'],
  ] as const;
  expect(changeHeaders(stored, { 'x-a': '3', 'X-C': '4' })).toEqual([
    ['X-B', '2'],
    ['x-a', '3'],
    ['X-C', '4'],
  ]);
  expect(changeHeaders(stored, { 'x-b': null, 'X-Unknown': null })).toEqual([['X-A', '1']]);
  expect(changeHeaders(stored, {})).toEqual(stored);
});

test('a header that became reserved when the prefix changed is not sent', () => {
  const own = [
    ['X-Acme-Signature', 'forged'],
    ['X-Api-Key', 'k'],
    ['Authorization', 'own'],
    ['__proto__', 'p'],
  ] as const;
  expect(Object.entries(allowedHeaders(own, acme, true))).toEqual([
    ['X-Api-Key', 'k'],
    ['__proto__', 'p'],
  ]);
});
