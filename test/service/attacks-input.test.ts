import { connect } from 'node:net';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { routes } from '../../src/api/routes/route-table.ts';
import { accountIdPattern } from '../../src/contracts/id.ts';
import type { Route } from '../../src/api/route.ts';
import { eventTypeExamples, builtInEventTypes } from '../../src/contracts/event-types.ts';
import { isServiceScope } from '../../src/contracts/key.ts';
import { scopes } from '../../src/security/api-keys.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let ids: Record<string, string>;
let serviceKey: string;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService({}, 'api'), startReceiver()]);
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  const { deliveries } = await service.publish({ id: 'evt_1' });
  const { webhook_id: doomed } = await service.newWebhook(receiver.url);
  serviceKey = await service.newKey({ accountId: null, scopes });
  ids = { doomed, webhooks: webhookId, deliveries: deliveries[0]?.id ?? '', events: 'evt_1' };
});
afterAll(() => stopAll(service, receiver));

const pathOf = ({ path, method }: Route) =>
  path
    .replace('{id}', ids[method === 'delete' ? 'doomed' : (path.split('/')[2] ?? '')] ?? 'none')
    .replace('{name}', 'none.such');
/** Those of a service key, where a call needs one. */
const keyFor = ({ scope }: Route): Record<string, string> =>
  scope !== null && isServiceScope(scope) ? { authorization: `Bearer ${serviceKey}` } : {};
// A stream does not end.
const ending = routes.filter(({ isStream }) => isStream !== true);
const all = ending.map((route) => [`${route.method.toUpperCase()} ${route.path}`, route] as const);

/** Sends a request that nobody should send: it gets a response, and not a fault of the service. */
async function attack(method: string, path: string, body?: unknown, headers?: Record<string, string>) {
  const response = await service.call<{ id: string; code: string; errors: unknown[] }>(
    method.toUpperCase(),
    path,
    body,
    headers,
  );
  expect([response.status < 500, path, response.text.slice(0, 300)]).toEqual([
    true,
    path,
    response.text.slice(0, 300),
  ]);
  if (response.status >= 400) {
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    expect(response.text).not.toMatch(/node_modules|\.ts:\d|at async|select |insert /);
    expect(response.text.length).toBeLessThan(64 * 1024);
  }
  return response;
}

const deep = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth);
const manyKeys = (count: number) =>
  `{${Array.from({ length: count }, (_, index) => `"k${index}":0`).join(',')}}`;
const hostileBodies: [string, string | Uint8Array][] = [
  ['__proto__', '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'],
  ['values of the wrong kind', '{"url":{},"events":{"length":1e9},"event":[],"data":[],"webhook_id":{}}'],
  ['huge numbers', '{"a":1e400,"limit":-1e400,"overlap_seconds":1e308,"since":99999999999999999999}'],
  [
    'times at the edge',
    '{"since":"0000-01-01T00:00:00Z","until":"9999-12-31T23:59:59Z","timestamp":"0000-01-01T00:00:00Z"}',
  ],
  ['no time', '{"since":"2024-02-30T00:00:00Z","until":"2024-13-01T25:61:61Z"}'],
  ['6,000 keys', manyKeys(6000)],
  ['arrays 30,000 deep', deep('[', ']', 30_000)],
  ['objects 10,000 deep', `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`],
  ['depth without end', '['.repeat(60_000)],
  ['a NUL in every name and value', '{"url":"https://a.example/\\u0000","\\u0000":"\\u0000","id":"\\u0000"}'],
  ['a lone surrogate', '{"description":"\\ud800","url":"https://\\udfff.example/"}'],
  ['a name twice', '{"url":"https://a.example/","url":"https://10.0.0.1/","events":["*"]}'],
  ['null', 'null'],
  ['a number', '1e999'],
  ['a text', '"text"'],
  ['a byte order mark', '\ufeff[]'],
  ['UTF-16', Buffer.from('{"url":"x"}', 'utf16le')],
  ['bytes that are no UTF-8', Buffer.from([0x7b, 0xc0, 0x80, 0x7d])],
  ['NaN', '{"a":NaN}'],
];
const hostileQueries = [
  'limit=1&limit=2',
  'cursor=a&cursor=b&force=true&force=false&code=200&code=404',
  '__proto__=1&__proto__[polluted]=true&constructor[prototype][polluted]=true',
  'limit[]=1&limit[$gt]=0&cursor[a]=b',
  'limit=1e2&limit=%00',
  'limit=99999999999999999999999',
  'cursor=%00&since=%00&webhook_id=%00',
  'cursor=%ff%fe&event=%c0%80',
  'cursor=%zz&%=%',
  `cursor=${'A'.repeat(8000)}`,
  Array.from({ length: 2000 }, (_, index) => `a${index}`).join('&'),
  'since=0000-01-01T00:00:00Z&until=9999-12-31T23:59:59Z',
  'since=2024-02-30T00:00:00Z',
  "webhook_id='%3b drop table webhooks%3b --",
];
const hostileIds = [
  '%00',
  '%zz',
  '%ff',
  '..%2f..%2fetc',
  '%2e%2e',
  'a%0d%0aX-Evil:1',
  '__proto__',
  'constructor',
  'a'.repeat(101),
  '%F0%9F%92%A9',
  "1'or'1'='1",
];

describe.each(all)('%s', (_name, route) => {
  const { method, path, body, operationId } = route;
  const hasBody = method !== 'get';

  test('every call has a response without a fault of the service, with any body', async () => {
    for (const [, text] of hasBody ? hostileBodies : []) {
      const { status } = await attack(method, pathOf(route), text, keyFor(route));
      // A call that takes a body takes none of these.
      if (body && operationId !== 'publishEvents') expect([400, 404, 413, 422]).toContain(status);
    }
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });

  test('every call has a response without a fault of the service, with any query, path and headers', async () => {
    for (const text of hostileQueries) {
      await attack(method, `${pathOf(route)}?${text}`, hasBody ? '{}' : undefined, keyFor(route));
    }
    for (const id of path.includes('{id}') ? hostileIds : []) {
      const target = path.replace('{id}', id);
      const { status } = await attack(method, target, hasBody ? '{}' : undefined, keyFor(route));
      // Of two full stops, a client makes another path, which may be a call.
      if (new URL(target, service.apiUrl).pathname !== target) continue;
      // Names of JavaScript's own are ids that an account may have.
      const isPossible = path === '/v1/accounts/{id}' && accountIdPattern.test(id);
      expect(isPossible ? [200, 201, 202] : [400, 404, 422]).toContain(status);
    }
    for (const headers of [
      { 'idempotency-key': 'x'.repeat(256) },
      { 'idempotency-key': '\u00e9' },
      { 'x-request-id': '"><script>' },
      { 'content-type': 'text/plain; charset=nonsense' },
      { accept: 'image/png' },
      { range: 'bytes=0-0' },
      { 'x-http-method-override': 'DELETE' },
    ]) {
      const response = await attack(method, pathOf(route), hasBody ? 'null' : undefined, headers);
      expect(response.headers.get('x-request-id')).toMatch(/^req_/);
    }
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });
});

/** The value with a NUL at the end of every text in it. */
function withNuls(value: unknown): unknown {
  if (typeof value === 'string') return `${value}\0`;
  if (Array.isArray(value)) return value.map(withNuls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, child]) => [name, withNuls(child)]));
}

test('the earliest and latest times that can be written are accepted or refused, never a fault', async () => {
  const times = ['0000-01-01T00:00:00Z', '0001-01-01T00:00:00+23:59', '9999-12-31T23:59:59-23:59'];
  const { data } = eventTypeExamples['document.deleted'];
  for (const time of times) {
    const encoded = encodeURIComponent(time);
    expect((await attack('GET', `/v1/deliveries?since=${encoded}&until=${encoded}`)).status).toBe(200);
    const event = { event: 'document.deleted', data, timestamp: time };
    expect((await attack('POST', '/v1/events', event)).status).toBe(202);
    for (const window of [{ since: time }, { since: '2024-01-01T00:00:00Z', until: time }]) {
      await attack('POST', `/v1/webhooks/${ids['webhooks']}/recover`, { ...window, dry_run: true });
    }
    await attack('PATCH', `/v1/deliveries/${ids['deliveries']}`, { next_attempt_at: time });
  }
});

test('a NUL byte in a text is refused, or kept as it is', async () => {
  for (const event of builtInEventTypes) {
    const { data } = eventTypeExamples[event];
    const published = await attack('POST', '/v1/events', { event, data: withNuls(data) });
    expect(published.status).toBe(202);
    const stored = await service.call<{ data: unknown }>('GET', `/v1/events/${published.body.id}`);
    expect(stored.body.data).toEqual(withNuls(data));
    const batch = await attack('POST', '/v1/events/batch', { events: [withNuls({ event, data })] });
    expect(batch.status).toBe(207);
  }
  const webhook = { url: receiver.url, events: ['*'], description: 'x' };
  for (const [name, value] of Object.entries(webhook)) {
    const created = await attack('POST', '/v1/webhooks', { ...webhook, [name]: withNuls(value) });
    expect(created.status).toBe(422);
    const changed = await attack('PATCH', `/v1/webhooks/${ids['webhooks']}`, { [name]: withNuls(value) });
    expect(changed.status).toBe(422);
  }
});

test('10,000 unknown names in an event are one refusal, of readable length', async () => {
  for (const text of [
    manyKeys(10_000),
    `{"event":"document.deleted","data":${manyKeys(10_000)}}`,
    `{"event":"document.deleted","data":{"document_id":"d","dataset_id":"s"},${manyKeys(10_000).slice(1)}`,
  ]) {
    const response = await attack('POST', '/v1/events', text);
    expect(response.status).toBe(422);
    expect(response.body.errors.length).toBeLessThanOrEqual(100);
  }
  const metadata = JSON.parse(manyKeys(10_000)) as unknown;
  const data = { document_id: 'd', dataset_id: 's', metadata };
  expect((await attack('POST', '/v1/events', { event: 'document.uploaded', data })).status).toBe(202);
});

test('a compressed body counts with its size after decompression', async () => {
  const bomb = Buffer.alloc(64 * 1024 * 1024, ' ');
  for (const [encoding, packed] of [
    ['gzip', gzipSync(bomb)],
    ['br', brotliCompressSync(bomb.subarray(0, 16 * 1024 * 1024))],
  ] as const) {
    for (const path of ['/v1/webhooks', '/v1/events', '/v1/events/batch']) {
      const response = await attack('POST', path, packed, { 'content-encoding': encoding });
      expect([response.status, response.body.code]).toEqual([413, 'body_too_large']);
    }
  }
  const odd = { 'content-encoding': 'gzip' };
  expect((await attack('POST', '/v1/webhooks', 'no gzip', odd)).status).toBe(400);
  expect((await attack('POST', '/v1/webhooks', '{}', { 'content-encoding': 'nonsense' })).status).toBe(400);
});

test('a request with two lengths is refused, and the bytes after it are not read', async () => {
  const socket = connect(Number(service.env['PORT']), '127.0.0.1');
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  const closed = new Promise((resolve) => socket.on('close', resolve));
  const smuggled = `GET /v1/webhooks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${service.key}\r\n\r\n`;
  socket.write(
    `POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  );
  await closed;
  expect(text).toMatch(/^HTTP\/1\.1 400 /);
  expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
});
