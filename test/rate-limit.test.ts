import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { createHitStore } from '../src/api/hit-store.ts';
import { openApiDocument } from '../src/api/openapi.ts';
import { startReceiver, type Receiver } from './kit/receiver.ts';
import { call, startService, until, type Answer, type Service } from './kit/service.ts';

let limited: Service;
let unlimited: Service;
let receiver: Receiver;
beforeAll(async () => {
  [limited, unlimited, receiver] = await Promise.all([
    startService({ FLTR_API_REQUESTS_PER_MINUTE: '5', FLTR_PUBLISH_REQUESTS_PER_MINUTE: '3' }),
    startService({ FLTR_API_REQUESTS_PER_MINUTE: '0' }, 'api'),
    startReceiver(),
  ]);
});
afterAll(async () => {
  await Promise.all([limited.stop(), unlimited.stop()]);
  await receiver.close();
});

type Problem = { code: string; status: number; request_id: string };
const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
const ask = (key: string, method = 'GET', path = '/v1/webhooks', body?: unknown) =>
  call<Problem>(limited.apiUrl, key, method, path, body);
const countOf = (answers: Answer<unknown>[], status: number) =>
  answers.filter((answer) => answer.status === status).length;
const left = ({ headers }: Answer<unknown>) => /; r=(\d+); t=\d+$/.exec(headers.get('ratelimit') ?? '')?.[1];

test('of twelve calls at once with one key exactly five pass, and no other key is touched', async () => {
  const { accountId, key } = await limited.newAccount();
  const answers = await Promise.all(Array.from({ length: 12 }, () => ask(key)));
  expect([countOf(answers, 200), countOf(answers, 429)]).toEqual([5, 7]);
  const passed = answers.filter(({ status }) => status === 200).map((answer) => Number(left(answer)));
  expect(passed.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4]);
  for (const { headers } of answers) {
    expect(headers.get('ratelimit')).toMatch(/^"api"; r=\d; t=\d+$/);
    expect(headers.get('ratelimit-policy')).toMatch(/^"api"; q=5; w=60; pk=:[\w=]+:$/);
    expect(headers.get('x-ratelimit-limit')).toBeNull();
  }
  const refused = answers.filter(({ status }) => status === 429);
  for (const { body, headers } of refused) {
    expect(headers.get('content-type')).toContain('application/problem+json');
    expect(body).toMatchObject({ status: 429, code: 'rate_limited' });
    expect(body.request_id).toBe(headers.get('x-request-id'));
    const seconds = Number(headers.get('retry-after'));
    expect(seconds).toBeGreaterThanOrEqual(1);
    expect(seconds).toBeLessThanOrEqual(60);
  }
  // Another key, of the same account even, has its own five.
  const sibling = await ask(await limited.newKey({ accountId }));
  expect([sibling.status, left(sibling)]).toEqual([200, '4']);
  // What is refused for lack of a scope is counted too: so is every call of a known key.
  const narrow = await limited.newKey({ accountId, scopes: ['events:write'] });
  const others = await Promise.all(Array.from({ length: 7 }, () => ask(narrow)));
  expect([countOf(others, 403), countOf(others, 429)]).toEqual([5, 2]);
});

test('publishing has a limit of its own, which events and batches share', async () => {
  const { accountId, key } = await limited.newAccount();
  await Promise.all(Array.from({ length: 5 }, () => ask(key)));
  expect((await ask(key)).status).toBe(429);
  const published = await ask(key, 'POST', '/v1/events', event);
  expect([published.status, left(published)]).toEqual([202, '2']);
  expect(published.headers.get('ratelimit-policy')).toMatch(/^"publish"; q=3; w=60/);
  expect((await ask(key, 'POST', '/v1/events/batch', { events: [event] })).status).toBe(207);
  // One that is refused is counted as well.
  expect((await ask(key, 'POST', '/v1/events', { event: 'nothing' })).status).toBe(422);
  for (const [path, body] of [
    ['/v1/events', event],
    ['/v1/events/batch', { events: [event] }],
  ] as const) {
    const refused = await ask(key, 'POST', path, body);
    expect([refused.status, refused.body.code]).toEqual([429, 'rate_limited']);
  }
  const { rows } = await limited.pool.query(
    `select count(*)::int as count from events where account_id = $1`,
    [accountId],
  );
  expect(rows).toEqual([{ count: 2 }]);
});

test('deliveries are not counted', async () => {
  const { key } = await limited.newAccount();
  const created = await ask(key, 'POST', '/v1/webhooks', { url: receiver.url, events: ['*'] });
  expect([created.status, left(created)]).toEqual([201, '4']);
  const batch = { events: Array.from({ length: 20 }, () => event) };
  expect((await ask(key, 'POST', '/v1/events/batch', batch)).status).toBe(207);
  await until(
    () => receiver.requests.length,
    (count) => count === 20,
  );
  expect(left(await ask(key))).toBe('3');
  for (const wanted of [2, 1]) expect(left(await ask(key))).toBe(String(wanted));
  // Nor does the receiver of a delivery learn of anybody's limit.
  expect(Object.keys(receiver.requests[0]?.headers ?? {}).join()).not.toContain('ratelimit');
});

test('0 is no limit', async () => {
  const statuses = new Map<number, number>();
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (let index = 0; index < 32; index += 1) {
        const { status, headers } = await unlimited.call('GET', '/v1/webhooks');
        expect(headers.get('ratelimit')).toBeNull();
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    }),
  );
  // More than the default of the one, and of the other.
  expect([...statuses]).toEqual([[200, 640]]);
});

test('calls without a valid key: 300 a minute from one address are told so, more are told to wait; a valid key goes on', async () => {
  const statuses: number[] = [];
  let last: Answer<Problem> | undefined;
  for (let index = 0; index < 301; index += 1) {
    // The address is the connection's: a header that names another one changes nothing.
    const headers = {
      'x-forwarded-for': `198.51.100.${index % 250}`,
      forwarded: `for=192.0.2.${index % 250}`,
    };
    const key = index % 2 === 0 ? null : `fltr_guess_${index}`;
    last = await call<Problem>(unlimited.apiUrl, key, 'GET', '/v1/webhooks', undefined, headers);
    statuses.push(last.status);
  }
  expect(statuses.slice(0, 300).every((status) => status === 401)).toBe(true);
  expect([last?.status, last?.body.code]).toEqual([429, 'rate_limited']);
  expect(Number(last?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect((await unlimited.call('GET', '/v1/webhooks')).status).toBe(200);
  expect((await call(unlimited.apiUrl, null, 'GET', '/healthz')).status).toBe(200);
});

test('what is counted takes bounded memory, and begins anew with each window', () => {
  const store = createHitStore(60_000, 3);
  for (const client of ['a', 'b', 'a', 'c', 'd', 'd']) store.increment(client);
  // The window of `a` began first.
  expect(['a', 'b', 'c', 'd'].map((client) => store.get(client)?.totalHits)).toEqual([undefined, 1, 1, 2]);
  for (let index = 0; index < 100_000; index += 1) store.increment(`stranger ${index}`);
  expect(store.get('stranger 99996')).toBeUndefined();
  expect(store.get('stranger 99997')?.totalHits).toBe(1);

  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const short = createHitStore(100, 3);
  expect([short.increment('a').totalHits, short.increment('a').totalHits]).toEqual([1, 2]);
  vi.advanceTimersByTime(100);
  expect(short.get('a')).toBeUndefined();
  expect(short.increment('a').totalHits).toBe(1);
});

test('each call that wants a key documents its 429', () => {
  const operations = Object.entries(openApiDocument().paths ?? {})
    .filter(([path]) => path.startsWith('/v1/'))
    .flatMap(([, item]) => Object.values(item as Record<string, { responses: Record<string, unknown> }>));
  expect(operations.length).toBeGreaterThan(10);
  for (const { responses } of operations) {
    expect(responses['429']).toMatchObject({
      description: '`rate_limited`: Too many requests',
      headers: { 'Retry-After': {}, RateLimit: {}, 'RateLimit-Policy': {} },
      content: { 'application/problem+json': {} },
    });
  }
});
