import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { openApiDocument } from '../../src/api/openapi.ts';
import { createCallCounter } from '../../src/call-counter.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { atOnce, call, startService, until, type ApiResponse, type Service } from '../kit/service.ts';

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
const countOf = (responses: ApiResponse<unknown>[], status: number) =>
  responses.filter((response) => response.status === status).length;
/** Of the key's own limit, or of the one that is named. */
const left = ({ headers }: ApiResponse<unknown>, name = '\\w+') =>
  new RegExp(`"${name}"; r=(\\d+); t=\\d+`).exec(headers.get('ratelimit') ?? '')?.[1];

test('of twelve calls at once with one key exactly five pass, and no other key is touched', async () => {
  const { accountId, key } = await limited.newAccount();
  const responses = await atOnce(12, () => ask(key));
  expect([countOf(responses, 200), countOf(responses, 429)]).toEqual([5, 7]);
  const passed = responses.filter(({ status }) => status === 200).map((response) => Number(left(response)));
  expect(passed.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4]);
  for (const { headers } of responses) {
    expect(headers.get('ratelimit')).toMatch(/^"api"; r=\d; t=\d+(, "api-account"; r=\d+; t=\d+)?$/);
    expect(headers.get('ratelimit-policy')).toMatch(
      /^"api"; q=5; w=60; pk=:[\w=]+:(, "api-account"; q=50; w=60; pk=:[\w=]+:)?$/,
    );
    expect(headers.get('x-ratelimit-limit')).toBeNull();
  }
  const refused = responses.filter(({ status }) => status === 429);
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
  // A call that is refused for lack of a scope is counted too, like every call of a known key.
  const narrow = await limited.newKey({ accountId, scopes: ['events:write'] });
  const others = await atOnce(7, () => ask(narrow));
  expect([countOf(others, 403), countOf(others, 429)]).toEqual([5, 2]);
});

test('publishing has a limit of its own, which events and batches share', async () => {
  const { accountId, key } = await limited.newAccount();
  await atOnce(5, () => ask(key));
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

test('an account that makes keys has ten times the calls of one key, and no more', async () => {
  const { accountId, key } = await limited.newAccount();
  const quiet = await limited.newKey({ accountId });
  const scopes = ['webhooks:read', 'webhooks:write'];
  const make = (from: string) =>
    call<{ key: string }>(limited.apiUrl, from, 'POST', '/v1/keys', { name: 'next', scopes });
  // A key makes the next one and uses up the rest of its own calls.
  const responses: ApiResponse<unknown>[] = [];
  let current = key;
  for (let generation = 0; generation < 12; generation += 1) {
    const made = await make(current);
    responses.push(made, ...(await atOnce(5, () => ask(current))));
    current = made.body.key ?? current;
  }
  expect([countOf(responses, 200) + countOf(responses, 201), countOf(responses, 200)]).toEqual([50, 40]);
  // A key that has made no call has none left either, and no new window begins with it.
  const refused = await ask(quiet);
  expect([refused.status, refused.body.code, left(refused)]).toEqual([429, 'rate_limited', '4']);
  expect(left(refused, 'api-account')).toBe('0');
  expect(refused.headers.get('ratelimit-policy')).toContain('"api-account"; q=50; w=60');
  const seconds = Number(refused.headers.get('retry-after'));
  expect(seconds).toBeGreaterThanOrEqual(1);
  expect(seconds).toBeLessThanOrEqual(60);
  // Publishing is counted apart, other accounts are not touched, and a service key is counted by itself.
  expect((await ask(quiet, 'POST', '/v1/events', event)).status).toBe(202);
  expect((await ask((await limited.newAccount()).key)).status).toBe(200);
  const serviceKey = await limited.newKey({ accountId: null });
  const published = await ask(serviceKey, 'POST', '/v1/events', { ...event, account_id: accountId });
  expect(published.status).toBe(202);
});

test('calls that the limit of a key refuses do not use up the calls of its account', async () => {
  const { accountId, key } = await limited.newAccount();
  const responses = await atOnce(80, () => ask(key));
  expect([countOf(responses, 200), countOf(responses, 429)]).toEqual([5, 75]);
  const sibling = await ask(await limited.newKey({ accountId }));
  expect([sibling.status, left(sibling, 'api-account')]).toEqual([200, '44']);
});

test('the publishing limit of an account is ten times that of a key', async () => {
  const { accountId } = await limited.newAccount();
  const keys = await atOnce(12, () => limited.newKey({ accountId }));
  const responses = await Promise.all(
    keys.flatMap((each) => [
      ask(each, 'POST', '/v1/events', event),
      ask(each, 'POST', '/v1/events', event),
      ask(each, 'POST', '/v1/events/batch', { events: [event] }),
    ]),
  );
  expect([countOf(responses, 202) + countOf(responses, 207), countOf(responses, 429)]).toEqual([30, 6]);
  const { rows } = await limited.pool.query(
    `select count(*)::int as count from events where account_id = $1`,
    [accountId],
  );
  expect(rows).toEqual([{ count: 30 }]);
});

test('an account sends 60 test events a minute, with all its keys and without another limit', async () => {
  const { accountId, key } = await unlimited.newAccount();
  const as = (each: string, path: string, body: unknown) =>
    call<Problem & { webhook_id: string }>(unlimited.apiUrl, each, 'POST', path, body);
  const newTest = async (each: string) => {
    const { body } = await as(each, '/v1/webhooks', { url: receiver.url, events: ['*'] });
    return { webhook_id: body.webhook_id, event: 'document.deleted' };
  };
  const test = await newTest(key);
  const before = receiver.requests.length;
  // Who may not send one uses none up.
  const reader = await unlimited.newKey({ accountId, scopes: ['webhooks:read'] });
  for (let index = 0; index < 5; index += 1)
    expect((await as(reader, '/v1/webhooks/test', test)).status).toBe(403);
  const keys = [key, await unlimited.newKey({ accountId }), await unlimited.newKey({ accountId })];
  const responses: ApiResponse<unknown>[] = [];
  for (let index = 0; index < 66; index += 1)
    responses.push(await as(keys[index % 3] ?? '', '/v1/webhooks/test', test));
  expect([countOf(responses, 200), countOf(responses, 429)]).toEqual([60, 6]);
  expect(receiver.requests.length - before).toBe(60);
  const refused = await as(key, '/v1/webhooks/test', test);
  expect([refused.status, refused.body.code, left(refused, 'test-events')]).toEqual([
    429,
    'rate_limited',
    '0',
  ]);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  const other = (await unlimited.newAccount()).key;
  expect((await as(other, '/v1/webhooks/test', await newTest(other))).status).toBe(200);
});

test("deliveries do not count toward the API's rate limit", async () => {
  const { key } = await limited.newAccount();
  const url = `${receiver.url}/counted`;
  const created = await ask(key, 'POST', '/v1/webhooks', { url, events: ['*'] });
  expect([created.status, left(created)]).toEqual([201, '4']);
  const batch = { events: Array.from({ length: 20 }, () => event) };
  expect((await ask(key, 'POST', '/v1/events/batch', batch)).status).toBe(207);
  const requests = await until(
    () => receiver.requests.filter(({ path }) => path === '/counted'),
    ({ length }) => length === 20,
  );
  expect(left(await ask(key))).toBe('3');
  for (const wanted of [2, 1]) expect(left(await ask(key))).toBe(String(wanted));
  // Nor does the receiver of a delivery learn of anybody's limit.
  expect(Object.keys(requests[0]?.headers ?? {}).join()).not.toContain('ratelimit');
});

test('a rate limit of 0 is no limit', async () => {
  const statuses = new Map<number, number>();
  await atOnce(20, async () => {
    for (let index = 0; index < 32; index += 1) {
      const { status, headers } = await unlimited.call('GET', '/v1/webhooks');
      expect(headers.get('ratelimit')).toBeNull();
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  });
  // More than the default of the one, and of the other.
  expect([...statuses]).toEqual([[200, 640]]);
});

test('calls without a valid key: 300 a minute from one address get 401, more get 429; a valid key still works', async () => {
  const statuses: number[] = [];
  let last: ApiResponse<Problem> | undefined;
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

test("the rate limit's counts take bounded memory, and begin again with each window", () => {
  const count = createCallCounter(60_000, 3);
  const callsOf = (clients: string[]) => clients.map((client) => count(client).calls);
  expect(callsOf(['a', 'b', 'a', 'c', 'd', 'd'])).toEqual([1, 1, 2, 1, 1, 2]);
  // The window of `a` began first. The others continue, and `a` takes the place of `b`.
  expect(callsOf(['b', 'c', 'd', 'a'])).toEqual([2, 2, 3, 1]);
  expect(callsOf(['c', 'd', 'a', 'b'])).toEqual([3, 4, 2, 1]);
  for (let index = 0; index < 100_000; index += 1) count(`stranger ${index}`);
  expect(callsOf(['stranger 99997', 'stranger 99996'])).toEqual([2, 1]);

  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const short = createCallCounter(100, 3);
  expect([short('a').calls, short('a').calls]).toEqual([1, 2]);
  vi.advanceTimersByTime(99);
  expect(short('a').calls).toBe(3);
  vi.advanceTimersByTime(1);
  expect(short('a').calls).toBe(1);
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
