import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { call, startService, stopAll, type Service } from '../kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({}, 'api');
});
afterAll(() => stopAll(service));

type Page = { data: Webhook[]; next_cursor: string | null; errors: { pointer: string }[] };

/** An account with seven webhooks: four of plan pro, two of plan free, one without metadata. */
async function newCaller() {
  const { key } = await service.newAccount();
  const list = (query: Record<string, string>) =>
    call<Page>(service.apiUrl, key, 'GET', `/v1/webhooks?${new URLSearchParams(query).toString()}`);
  const put = (name: string, more: Record<string, unknown>) =>
    call(service.apiUrl, key, 'PUT', `/v1/webhooks/${encodeURIComponent(name)}`, {
      url: 'https://your-app.example/',
      events: ['*'],
      ...more,
    });
  for (let index = 0; index < 6; index += 1)
    await put(`customer/${index}`, {
      metadata: { plan: index % 3 === 0 ? 'free' : 'pro', [`only${index}`]: '' },
    });
  await put('plain', {});
  const namesOf = async (query: Record<string, string>) => {
    const { status, body } = await list(query);
    expect(status).toBe(200);
    return body.data.map(({ external_id }) => external_id);
  };
  return { key, list, put, namesOf };
}

test('the list is filtered by external id, by a name in metadata and by its value', async () => {
  const { namesOf } = await newCaller();
  const pro = ['customer/5', 'customer/4', 'customer/2', 'customer/1'];
  expect(await namesOf({ external_id: 'customer/2' })).toEqual(['customer/2']);
  expect(await namesOf({ external_id: 'customer/9' })).toEqual([]);
  expect(await namesOf({ metadata_key: 'plan', metadata_value: 'pro' })).toEqual(pro);
  expect(await namesOf({ metadata_key: 'plan' })).toHaveLength(6);
  expect(await namesOf({ metadata_key: 'only3' })).toEqual(['customer/3']);
  expect(await namesOf({ metadata_key: 'only3', metadata_value: '' })).toEqual(['customer/3']);
  expect(await namesOf({ metadata_key: 'only3', metadata_value: 'x' })).toEqual([]);
  expect(await namesOf({ metadata_key: 'Plan' })).toEqual([]);
  expect(await namesOf({ metadata_key: 'constructor' })).toEqual([]);
  // All filters hold together.
  const both = { metadata_key: 'plan', metadata_value: 'pro', external_id: 'customer/4' };
  expect(await namesOf(both)).toEqual(['customer/4']);
  expect(await namesOf({ ...both, external_id: 'customer/3' })).toEqual([]);
});

test('pages of a filtered list have each webhook once, with the cursor of the page before', async () => {
  const { list } = await newCaller();
  const query = { metadata_key: 'plan', metadata_value: 'pro', limit: '3' };
  const first = await list(query);
  expect(first.body.data.map(({ external_id }) => external_id)).toEqual([
    'customer/5',
    'customer/4',
    'customer/2',
  ]);
  const second = await list({ ...query, cursor: first.body.next_cursor ?? '' });
  expect(second.body.data.map(({ external_id }) => external_id)).toEqual(['customer/1']);
  expect(second.body.next_cursor).toBeNull();
});

test("another account's webhooks, and deleted ones, are in no filtered list", async () => {
  const { key, namesOf } = await newCaller();
  const { key: other } = await service.newAccount();
  for (const query of ['external_id=customer%2F1', 'metadata_key=plan']) {
    const response = await call<Page>(service.apiUrl, other, 'GET', `/v1/webhooks?${query}`);
    expect([response.status, response.body.data]).toEqual([200, []]);
  }
  await call(service.apiUrl, key, 'DELETE', '/v1/webhooks/customer%2F1');
  expect(await namesOf({ external_id: 'customer/1' })).toEqual([]);
  expect(await namesOf({ metadata_key: 'only1' })).toEqual([]);
});

test.each([
  [{ metadata_value: 'pro' }, '#query/metadata_value'],
  [{ metadata_key: 'a\0' }, '#query/metadata_key'],
  [{ metadata_key: 'a', metadata_value: '\0' }, '#query/metadata_value'],
  [{ external_id: '' }, '#query/external_id'],
  [{ external_id: 'wh_1' }, '#query/external_id'],
  [{ metadata: 'plan' }, '#query/metadata'],
])('the filter %j is refused with 422', async (query, pointer) => {
  const { list } = await newCaller();
  const { status, body } = await list(query);
  expect([status, body.errors.map((fault) => fault.pointer)]).toEqual([422, [pointer]]);
});
