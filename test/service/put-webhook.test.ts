import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { countByStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { atOnce, call, startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
});
afterAll(() => stopAll(service, receiver));

type Body = Webhook & {
  secret?: string;
  code: string;
  detail: string;
  errors: { pointer: string }[];
};

async function newCaller() {
  const { accountId, key } = await service.newAccount();
  const as = <T = Body>(method: string, path: string, body?: unknown) =>
    call<T>(service.apiUrl, key, method, path, body);
  const pathOf = (name: string) => `/v1/webhooks/${encodeURIComponent(name)}`;
  const put = (name: string, more: Record<string, unknown> = {}) =>
    as('PUT', pathOf(name), { url: receiver.url, events: ['*'], ...more });
  const count = async () => (await as<{ data: Webhook[] }>('GET', '/v1/webhooks')).body.data.length;
  return { accountId, key, as, put, pathOf, count };
}

test('PUT creates a webhook with its secret, and then replaces it and keeps the secret', async () => {
  const { as, put, pathOf, count } = await newCaller();
  const all = { description: 'first', active: false, format: 'slack', metadata: { plan: 'pro' } };
  const created = await put('customer/42', all);
  expect([created.status, created.body]).toMatchObject([201, { ...all, external_id: 'customer/42' }]);
  const { webhook_id: id, secret } = created.body;
  expect(secret).toMatch(/^whsec_/);
  expect(Object.keys(created.body).slice(0, 4)).toEqual(['webhook_id', 'url', 'events', 'secret']);

  // Fields that the body leaves out get their defaults.
  const replaced = await put('customer/42', { events: ['document.*'] });
  expect([replaced.status, replaced.body]).toMatchObject([
    200,
    {
      webhook_id: id,
      events: ['document.*'],
      external_id: 'customer/42',
      description: null,
      active: true,
      format: 'fltr',
      metadata: {},
    },
  ]);
  expect(replaced.text).not.toContain('whsec_');
  const again = await put('customer/42', { events: ['document.*'] });
  expect(again.status).toBe(200);
  expect({ ...again.body, updated_at: '' }).toEqual({ ...replaced.body, updated_at: '' });
  expect((await as('GET', `${pathOf(id)}/secret`)).body.secret).toBe(secret);
  expect(await count()).toBe(1);
});

test('PUT keeps a secret that is the same, and refuses another one', async () => {
  const { as, put, pathOf } = await newCaller();
  const [mine, other] = ['m', 'o'].map((letter) => `whsec_${Buffer.alloc(24, letter).toString('base64')}`);
  expect((await put('own', { secret: mine })).body.secret).toBe(mine);
  const same = await put('own', { secret: mine });
  expect([same.status, same.body.secret]).toEqual([200, undefined]);
  const refused = await put('own', { secret: other, description: 'changed' });
  expect([refused.status, refused.body.errors.map(({ pointer }) => pointer)]).toEqual([422, ['/secret']]);
  expect(refused.body.detail).toContain('rotate-secret');
  expect(refused.text).not.toContain('whsec_');
  expect((await as('GET', pathOf('own'))).body.description).toBeNull();
  // After a rotation the old one is another one.
  await as('POST', `${pathOf('own')}/rotate-secret`, {});
  expect((await put('own', { secret: mine })).status).toBe(422);
  expect((await put('own')).status).toBe(200);
});

test('an id of the service, and text that is no external id, are refused with the remedy', async () => {
  const { as, put, pathOf, count } = await newCaller();
  const { body } = await put('mine');
  for (const id of [body.webhook_id, 'wh_new']) {
    const refused = await put(id);
    expect([refused.status, refused.body.code]).toEqual([404, 'not_found']);
    expect(refused.body.detail).toContain('PATCH');
  }
  for (const name of ['x'.repeat(201), 'a\nb', 'a\0b', ' a']) {
    const refused = await put(name);
    expect([refused.status, refused.body.errors[0]?.pointer]).toEqual([422, '#path/id']);
  }
  for (const [more, pointer] of [
    [{ url: 'https://10.0.0.1/' }, '/url'],
    [{ events: [] }, '/events'],
    [{ external_id: 'other' }, '/external_id'],
    [{ held: 'discard' }, '/held'],
    [{ secret: 'whsec_short' }, '/secret'],
  ] as const)
    expect((await put('mine', more)).body.errors.map((fault) => fault.pointer)).toEqual([pointer]);
  expect((await as('PUT', '/v1/webhooks', {})).status).toBe(405);
  expect((await as('GET', pathOf('mine'))).body).toEqual({
    ...body,
    secret: undefined,
    hourly_cap: expect.anything(),
  });
  expect(await count()).toBe(1);
});

test('external ids that look like a path of the API are external ids', async () => {
  const { as, put, pathOf } = await newCaller();
  for (const name of ['test', 'secret', 'test/stats', 'rotate-secret/finish']) {
    const { status, body } = await put(name);
    expect(status).toBe(201);
    expect((await as('GET', pathOf(name))).body.webhook_id).toBe(body.webhook_id);
  }
  // The call of that path is still there.
  const sent = await as<{ attempt: { outcome: string } }>('POST', '/v1/webhooks/test', {
    webhook_id: 'test',
    event: 'document.deleted',
  });
  expect([sent.status, sent.body.attempt.outcome]).toEqual([200, 'delivered']);
  expect((await as('GET', '/v1/webhooks/test/stats')).status).toBe(200);
});

test('20 calls at once for a new external id create one webhook', async () => {
  const { put, count } = await newCaller();
  const responses = await atOnce(20, () => put('raced'));
  expect(responses.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(responses.filter(({ status }) => status === 200)).toHaveLength(19);
  expect(new Set(responses.map(({ body }) => body.webhook_id)).size).toBe(1);
  expect(await count()).toBe(1);
});

test('calls beside those that delete, create and rename leave one webhook at most, and no fault', async () => {
  const { as, put, pathOf, accountId } = await newCaller();
  const { body: other } = await put('other');
  const counts: Record<number, number> = {};
  for (let round = 0; round < 8; round += 1) {
    const responses = await Promise.all([
      put('raced'),
      as('DELETE', pathOf('raced')),
      put('raced', { active: false }),
      as('POST', '/v1/webhooks', { url: receiver.url, events: ['*'], external_id: 'raced' }),
      as('PATCH', pathOf(other.webhook_id), { external_id: round % 2 === 0 ? 'raced' : 'other' }),
      put('raced', { events: ['document.*'] }),
    ]);
    for (const { status } of responses) counts[status] = (counts[status] ?? 0) + 1;
    for (const [index, { status }] of responses.entries())
      expect([index, status, [200, 201, 204, 404, 409].includes(status)]).toEqual([index, status, true]);
    // PUT gives up only where the external id was taken again and again.
    for (const index of [0, 2, 5]) expect(responses[index]?.status).toBeLessThan(300);
    const { rows } = await service.pool.query<{ count: number }>(
      `select count(*)::int as count from webhooks
       where account_id = $1 and external_id = 'raced' and deleted_at is null`,
      [accountId],
    );
    expect(rows[0]?.count).toBeLessThanOrEqual(1);
  }
  expect(counts[200]).toBeGreaterThan(0);
});

test('50 calls race for the last of 100 webhooks: exactly 100 exist afterwards, and those are replaced', async () => {
  const { accountId, put } = await newCaller();
  await service.pool.query(
    `insert into webhooks (id, account_id, url, events, active, sealed_secret)
     select 'wh_put' || n, $1, $2, '{*}', true, 'x' from generate_series(1, 99) as n`,
    [accountId, receiver.url],
  );
  let next = 0;
  const responses = await atOnce(50, () => put(`customer-${(next += 1)}`));
  expect(responses.filter(({ status }) => status === 201)).toHaveLength(1);
  for (const { status, body } of responses.filter((response) => response.status !== 201))
    expect([status, body.code]).toEqual([409, 'webhook_limit_reached']);
  const made = responses.find(({ status }) => status === 201)?.body.external_id ?? '';
  expect((await put(made)).status).toBe(200);
  expect((await put('another')).status).toBe(409);
  const { rows } = await service.pool.query<{ count: number }>(
    `select count(*)::int as count from webhooks where account_id = $1`,
    [accountId],
  );
  expect(rows[0]?.count).toBe(100);
});

test('20 calls for the same new external id and the last of 100 webhooks all succeed', async () => {
  const { accountId, put } = await newCaller();
  await service.pool.query(
    `insert into webhooks (id, account_id, url, events, active, sealed_secret)
     select 'wh_last' || n, $1, $2, '{*}', true, 'x' from generate_series(1, 99) as n`,
    [accountId, receiver.url],
  );
  const responses = await atOnce(20, () => put('last'));
  expect(responses.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(responses.filter(({ status }) => status === 200)).toHaveLength(19);
});

test('PUT holds and releases deliveries as PATCH does', async () => {
  const own = await startService();
  try {
    const put = (more = {}) =>
      own.call<Webhook>('PUT', '/v1/webhooks/held', { url: receiver.url, events: ['*'], ...more });
    await put({ active: false });
    for (let index = 0; index < 3; index += 1) await own.publish();
    expect(await countByStatus(own.pool)).toEqual({ held: 3 });
    expect((await put()).body.active).toBe(true);
    await until(
      () => countByStatus(own.pool),
      (counts) => counts['delivered'] === 3,
    );
    // It counts as a new activation, by which it is judged.
    const { rows } = await own.pool.query(`select activation from webhooks`);
    expect(rows).toEqual([{ activation: 1 }]);
  } finally {
    await own.stop();
  }
});

test("another account's external id is free, and its webhook stays as it is", async () => {
  const [one, other] = [await newCaller(), await newCaller()];
  const mine = await one.put('shared', { description: 'mine' });
  const theirs = await other.put('shared', { description: 'theirs' });
  expect([mine.status, theirs.status]).toEqual([201, 201]);
  expect(theirs.body.webhook_id).not.toBe(mine.body.webhook_id);
  expect((await one.as('GET', one.pathOf('shared'))).body.description).toBe('mine');
  const reader = await service.newKey({
    accountId: one.accountId,
    scopes: ['webhooks:read', 'events:write'],
  });
  const refused = await call<{ code: string }>(service.apiUrl, reader, 'PUT', one.pathOf('shared'), {
    url: receiver.url,
    events: ['*'],
  });
  expect([refused.status, refused.body.code]).toEqual([403, 'missing_scope']);
});
