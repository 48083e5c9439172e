import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Found, SearchResult } from '../../src/contracts/search.ts';
import { publishOne, waitForStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let ids: { webhook: string; delivery: string; attempt: string; recovery: string; operation: string };
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
  const { webhook_id: webhook } = await service.newWebhook(`${receiver.url}/a`, {
    external_id: 'customer/42',
  });
  const delivery = await publishOne(service, { id: 'evt_mine' });
  const { attempts } = await waitForStatus(service, delivery, 'delivered');
  const recovery = await service.call<{ id: string }>('POST', `/v1/webhooks/${webhook}/recover`, {
    since: '2020-01-01T00:00:00Z',
    dry_run: true,
  });
  const operation = await service.call<{ id: string }>('POST', '/v1/deliveries/actions', {
    action: 'resend',
    filter: { ids: [delivery] },
    dry_run: true,
  });
  ids = {
    webhook,
    delivery,
    attempt: attempts[0]?.id ?? '',
    recovery: recovery.body.id,
    operation: operation.body.id,
  };
});
afterAll(() => stopAll(service, receiver));

const find = async (text: string, key = service.key): Promise<Found[]> => {
  const path = `/v1/search?q=${encodeURIComponent(text)}`;
  const { status, body } = await call<SearchResult>(service.apiUrl, key, 'GET', path);
  expect(status, JSON.stringify(body)).toBe(200);
  return body.data;
};

test('each id finds its object', async () => {
  expect(receiver.requests[0]?.headers['x-fltr-delivery']).toBe(ids.attempt);
  expect(await find('evt_mine')).toMatchObject([
    { type: 'event', id: 'evt_mine', event: 'document.deleted' },
  ]);
  expect(await find(ids.delivery)).toMatchObject([
    {
      type: 'delivery',
      id: ids.delivery,
      event_id: 'evt_mine',
      webhook_id: ids.webhook,
      status: 'delivered',
    },
  ]);
  expect(await find(ids.attempt)).toMatchObject([
    { type: 'attempt', id: ids.attempt, delivery_id: ids.delivery, number: 1, status_code: 200 },
  ]);
  expect(await find(ids.recovery)).toMatchObject([{ type: 'operation', action: 'recover' }]);
  expect(await find(ids.operation)).toMatchObject([
    { type: 'operation', id: ids.operation, action: 'resend', status: 'completed' },
  ]);
  const webhook = { type: 'webhook', id: ids.webhook, external_id: 'customer/42', active: true };
  for (const text of [ids.webhook, 'customer/42']) expect(await find(text)).toMatchObject([webhook]);
  for (const text of ['evt_', 'evt_MINE', ids.attempt.slice(0, -1), 'req_1', '%', ' '])
    expect(await find(text), text).toEqual([]);
});

test('webhooks are found by how their URL begins, 20 at most, an id before them', async () => {
  const host = receiver.url.replace('http://', '');
  for (const text of [receiver.url, host, `${host}/a`])
    expect(await find(text)).toMatchObject([{ type: 'webhook', id: ids.webhook }]);
  expect(await find(`${host}/b`)).toEqual([]);
  for (let number = 0; number < 21; number += 1)
    await service.newWebhook(`${receiver.url}/many`, { active: false });
  const many = await find(`${host}/many`);
  expect(many).toHaveLength(20);
  const order = many.map(({ id }) => id);
  expect(order).toEqual(order.toSorted().toReversed());
  // An external id, and the beginning of the URL of the others.
  await service.call('PATCH', `/v1/webhooks/${ids.webhook}`, { external_id: `${host}/many` });
  expect((await find(`${host}/many`))[0]).toMatchObject({ id: ids.webhook });
});

test('events are found by an id in their data, newest first, 20 at most', async () => {
  const publish = (id: string, document: string, account = service.key) =>
    call(service.apiUrl, account, 'POST', '/v1/events', {
      id,
      event: 'document.deleted',
      data: { document_id: document, dataset_id: 'ds_many' },
    });
  await publish('evt_a', 'doc_a');
  await publish('evt_b', 'doc_b');
  await publish('doc_b', 'doc_b');
  expect(await find('doc_a')).toMatchObject([{ type: 'event', id: 'evt_a' }]);
  // The event that has the id itself is first, and there once.
  expect((await find('doc_b')).map(({ id }) => id)).toEqual(['doc_b', 'evt_b']);
  for (let number = 0; number < 20; number += 1) await publish(`evt_many_${number}`, 'doc_many');
  const many = (await find('ds_many')).map(({ id }) => id);
  expect(many).toHaveLength(20);
  expect(many[0]).toBe('evt_many_19');
  const { key } = await service.newAccount();
  expect(await find('doc_a', key)).toEqual([]);
  await publish('evt_theirs', 'doc_a', key);
  expect((await find('doc_a', key)).map(({ id }) => id)).toEqual(['evt_theirs']);
  expect((await find('doc_a')).map(({ id }) => id)).toEqual(['evt_a']);
  // Also once the data is past its retention.
  await service.pool.query(`update events set body = null where id = 'evt_a'`);
  expect((await find('doc_a')).map(({ id }) => id)).toEqual(['evt_a']);
  for (const text of ['doc', 'document.deleted', 'DOC_A']) expect(await find(text), text).toEqual([]);
});

test('events are found by the request that published them', async () => {
  const { key } = await service.newAccount();
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  const publish = (path: string, body: object, headers = {}) =>
    call(service.apiUrl, key, 'POST', path, body, headers);
  const single = await publish('/v1/events', { ...event, id: 'evt_single' });
  const batch = await publish('/v1/events/batch', {
    events: [
      { ...event, id: 'evt_first' },
      { ...event, id: 'evt_second' },
    ],
  });
  const once = { 'Idempotency-Key': 'once' };
  const kept = await publish('/v1/events', { ...event, id: 'evt_kept' }, once);
  await publish('/v1/events', { ...event, id: 'evt_named' }, { 'X-Request-Id': 'order-77' });
  const found = async (id: string | null) => (await find(id ?? '', key)).map((each) => each.id).sort();
  expect(single.headers.get('x-request-id')).toMatch(/^req_/);
  expect(await found(single.headers.get('x-request-id'))).toEqual(['evt_single']);
  expect(await found(batch.headers.get('x-request-id'))).toEqual(['evt_first', 'evt_second']);
  expect(await found(kept.headers.get('x-request-id'))).toEqual(['evt_kept']);
  expect(await found('order-77')).toEqual(['evt_named']);
  // A repeated event is still found by the request that published it, and not by the one that repeated it.
  const again = await publish('/v1/events', { ...event, id: 'evt_single' });
  expect(await found(again.headers.get('x-request-id'))).toEqual([]);
  // Another account may choose the same id of a request.
  expect(await find('order-77')).toEqual([]);
  await service.call('POST', '/v1/events', { ...event, id: 'evt_theirs' }, { 'X-Request-Id': 'order-77' });
  expect(await found('order-77')).toEqual(['evt_named']);
});

test("another account's key finds nothing, and a deleted webhook is not found", async () => {
  const { key } = await service.newAccount();
  for (const text of ['evt_mine', ...Object.values(ids), receiver.url])
    expect(await find(text, key)).toEqual([]);
  const { webhook_id: deleted } = await service.newWebhook(`${receiver.url}/deleted`);
  await service.call('DELETE', `/v1/webhooks/${deleted}`);
  for (const text of [deleted, `${receiver.url}/deleted`]) expect(await find(text)).toEqual([]);
});

test('text that cannot be searched for is refused', async () => {
  for (const query of [
    '',
    'q=',
    'q=%00',
    'q=a%0A',
    'q=%E2%80%AEa',
    `q=${'x'.repeat(2049)}`,
    'q=a&type=event',
  ]) {
    const { status, body } = await service.call<{ code: string }>('GET', `/v1/search?${query}`);
    expect([status, body.code], query.slice(0, 10)).toEqual([422, 'validation_failed']);
  }
  expect(await find('x'.repeat(2048))).toEqual([]);
});

test('characters with a meaning in SQL or in a pattern are plain text', async () => {
  const { webhook_id: webhook } = await service.newWebhook(`${receiver.url}/100%25_a/b`, {
    external_id: "it's 100%_\\",
  });
  for (const text of ["it's 100%_\\", `${receiver.url}/100%25_a`])
    expect(await find(text)).toMatchObject([{ type: 'webhook', id: webhook }]);
  const meant = [
    '%',
    '_',
    '\\',
    "'",
    '%25',
    'http%',
    'http_//',
    'it_s 100%_\\',
    "' or true --",
    '$1',
    '{}',
    '*',
    '(',
    'NULL',
  ];
  for (const text of meant) expect(await find(text), text).toEqual([]);
  for (const text of ['\u{1F600}', '\uFFFF']) expect(await find(text), text).toEqual([]);
});
