import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventTypeExamples, builtInEventTypes } from '../../src/contracts/event-types.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { atOnce, call, startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
});
afterAll(() => stopAll(service, receiver));

type Accepted = {
  id: string;
  duplicate: boolean;
  deliveries: { id: string; webhook_id: string; status: string }[];
  code: string;
  errors: { pointer: string }[];
};
const data = { document_id: 'doc_1', dataset_id: 'ds_1' };
const inAccount = (key: string) => (body: unknown, headers?: Record<string, string>) =>
  call<Accepted>(service.apiUrl, key, 'POST', '/v1/events', body, headers);

test('each of the seven types is accepted with its example and reaches the webhooks that subscribed to it', async () => {
  const { key } = await service.newAccount();
  const publish = inAccount(key);
  const webhook = async (events: string[]) =>
    (
      await call<{ webhook_id: string }>(service.apiUrl, key, 'POST', '/v1/webhooks', {
        url: receiver.url,
        events,
      })
    ).body.webhook_id;
  const [all, documents, deleted] = [
    await webhook(['*']),
    await webhook(['document.*']),
    await webhook(['dataset.deleted']),
  ];
  for (const event of builtInEventTypes) {
    const { status, body } = await publish({
      event,
      data: eventTypeExamples[event].data,
      timestamp: eventTypeExamples[event].timestamp,
    });
    expect(status).toBe(202);
    expect(body.id).toMatch(/^evt_[0-9a-z]{26}$/);
    const expected = [
      all,
      ...(event.startsWith('document.') ? [documents] : []),
      ...(event === 'dataset.deleted' ? [deleted] : []),
    ];
    expect(body.deliveries.map(({ webhook_id }) => webhook_id).sort()).toEqual(expected.sort());
    const stored = await call<{ event: string; data: unknown; timestamp: string }>(
      service.apiUrl,
      key,
      'GET',
      `/v1/events/${body.id}`,
    );
    expect(stored.body).toMatchObject({
      event,
      data: eventTypeExamples[event].data,
      timestamp: eventTypeExamples[event].timestamp,
    });
  }
});

test('50 posts of one id at once leave one event and one delivery for each webhook', async () => {
  const { accountId, key } = await service.newAccount();
  for (const _ of [1, 2])
    await call(service.apiUrl, key, 'POST', '/v1/webhooks', { url: receiver.url, events: ['*'] });
  const responses = await atOnce(50, () =>
    inAccount(key)({ event: 'document.deleted', data, id: 'evt_same' }),
  );
  expect(responses.every(({ status }) => status === 202)).toBe(true);
  expect(responses.filter(({ body }) => !body.duplicate)).toHaveLength(1);
  const ids = new Set(responses.flatMap(({ body }) => body.deliveries.map(({ id }) => id)));
  expect(ids.size).toBe(2);
  const { rows } = await service.pool.query(`select id from deliveries where account_id = $1`, [accountId]);
  expect(rows).toHaveLength(2);
});

test('the same id with another content is a conflict; with another account it is another event', async () => {
  const [one, two] = [await service.newAccount(), await service.newAccount()];
  const id = 'order-42';
  const timestamp = '2024-01-10T12:05:00Z';
  expect((await inAccount(one.key)({ event: 'document.deleted', data, id, timestamp })).status).toBe(202);
  const same = await inAccount(one.key)({
    id,
    event: 'document.deleted',
    data: { dataset_id: 'ds_1', document_id: 'doc_1' },
  });
  expect([same.status, same.body.duplicate]).toEqual([202, true]);
  for (const change of [{ data: { ...data, deleted_by: 'me' } }, { timestamp: '2024-01-10T12:05:01Z' }]) {
    const other = await inAccount(one.key)({ event: 'document.deleted', data, id, timestamp, ...change });
    expect([other.status, other.body.code]).toEqual([409, 'event_id_conflict']);
  }
  const elsewhere = await inAccount(two.key)({
    event: 'document.deleted',
    data: { ...data, deleted_by: 'them' },
    id,
  });
  expect([elsewhere.status, elsewhere.body.duplicate]).toEqual([202, false]);
});

test('an Idempotency-Key raced by 50 calls makes one event', async () => {
  const { accountId, key } = await service.newAccount();
  const responses = await atOnce(50, () =>
    inAccount(key)({ event: 'document.deleted', data }, { 'Idempotency-Key': 'k-1' }),
  );
  expect(new Set(responses.map(({ text }) => text)).size).toBe(1);
  const { rows } = await service.pool.query(`select id from events where account_id = $1`, [accountId]);
  expect(rows).toHaveLength(1);
});

test('a batch has a result for each event, in order', async () => {
  const { key } = await service.newAccount();
  const events = [
    { event: 'document.deleted', data, id: 'one' },
    { event: 'document.deleted', data: { document_id: 'doc_1' }, id: 'two' },
    { event: 'document.deleted', data, id: 'one' },
    { event: 'document.deleted', data: { ...data, deleted_by: 'x' }, id: 'one' },
    'no event',
    {
      event: 'dataset.created',
      data: { dataset_id: 'ds', description: 'x'.repeat(9000) },
      id: 'six',
      extra: 'x'.repeat(262_144),
    },
    { event: 'dataset.deleted', data: { dataset_id: 'ds_2' } },
  ];
  const response = await call<{
    data: {
      status: number;
      id?: string;
      duplicate?: boolean;
      error?: { code: string; errors?: { pointer: string }[] };
    }[];
  }>(service.apiUrl, key, 'POST', '/v1/events/batch', { events });
  expect(response.status).toBe(207);
  expect(response.body.data.map(({ status }) => status)).toEqual([202, 422, 202, 409, 422, 413, 202]);
  expect(response.body.data[0]).toMatchObject({ id: 'one', duplicate: false });
  expect(response.body.data[1]?.error?.errors).toMatchObject([{ pointer: '/data/dataset_id' }]);
  expect(response.body.data[2]).toMatchObject({ id: 'one', duplicate: true });
});

test('a batch of 500 is accepted, the 501st event is 422, more than 8 MiB are 413', async () => {
  const { key, accountId } = await service.newAccount();
  const batch = (count: number, text = '') =>
    call(service.apiUrl, key, 'POST', '/v1/events/batch', {
      events: Array.from({ length: count }, () => ({
        event: 'dataset.created',
        data: { dataset_id: 'ds', ...(text ? { description: text } : {}) },
      })),
    });
  expect((await batch(500)).status).toBe(207);
  expect((await batch(501)).status).toBe(422);
  expect((await batch(0)).status).toBe(422);
  const tooLarge = await call<{ code: string }>(
    service.apiUrl,
    key,
    'POST',
    '/v1/events/batch',
    Buffer.alloc(8 * 1024 * 1024 + 1, ' '),
  );
  expect([tooLarge.status, tooLarge.body.code]).toEqual([413, 'body_too_large']);
  const { rows } = await service.pool.query(
    `select count(*)::int as count from events where account_id = $1`,
    [accountId],
  );
  expect(rows).toEqual([{ count: 500 }]);
});

test('a body of exactly 256 KiB is accepted, one byte more is 413', async () => {
  const { key, accountId } = await service.newAccount();
  const bodyOf = (bytes: number) => {
    const empty = JSON.stringify({ event: 'document.uploaded', data: { ...data, metadata: { fill: '' } } });
    return empty.replace('"fill":""', `"fill":"${'x'.repeat(bytes - empty.length)}"`);
  };
  expect((await inAccount(key)(bodyOf(262_144))).status).toBe(202);
  expect((await inAccount(key)(bodyOf(262_145))).body.code).toBe('body_too_large');
  expect((await inAccount(key)(bodyOf(300 * 1024))).status).toBe(413);
  const { rows } = await service.pool.query(
    `select count(*)::int as count from events where account_id = $1`,
    [accountId],
  );
  expect(rows).toEqual([{ count: 1 }]);
});

const event = 'document.deleted';
const bad: [string, unknown, number, string, string | null][] = [
  ['wrong data', { event, data: { ...data, document_id: 7 } }, 422, 'validation_failed', '/data/document_id'],
  ['missing data', { event, data: { dataset_id: 'ds_1' } }, 422, 'validation_failed', '/data/document_id'],
  ['unknown data', { event, data: { ...data, colour: 'red' } }, 422, 'validation_failed', '/data/colour'],
  ['an unknown type', { event: 'document.exploded', data }, 422, 'validation_failed', '/event'],
  ['an unknown field', { event, data, 'a/b': 1 }, 422, 'validation_failed', '/a~1b'],
  ['an id with a full stop', { event, data, id: 'a.b' }, 422, 'validation_failed', '/id'],
  ['a time that is none', { event, data, timestamp: 'yesterday' }, 422, 'validation_failed', '/timestamp'],
  ['no object', [1, 2], 422, 'validation_failed', ''],
  ['malformed JSON', '{"event": ', 400, 'malformed_json', null],
  ['an empty body', '', 400, 'malformed_json', null],
  ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 400, 'malformed_json', null],
  [
    'data nested 100,000 deep',
    `{"event":"document.uploaded","data":{"document_id":"d","dataset_id":"s","metadata":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}}`,
    422,
    'validation_failed',
    '/data',
  ],
  [
    'an account with an account key',
    { event, data, account_id: 'acc_x' },
    403,
    'service_key_required',
    '/account_id',
  ],
];
test.each(bad)('%s is refused and leaves nothing behind', async (_name, body, status, code, pointer) => {
  const { accountId, key } = await service.newAccount();
  const response = await inAccount(key)(body);
  expect([response.status, response.body.code]).toEqual([status, code]);
  if (pointer !== null) expect(response.body.errors.map((error) => error.pointer)).toContain(pointer);
  const { rows } = await service.pool.query(`select 1 from events where account_id = $1`, [accountId]);
  expect(rows).toEqual([]);
});

test('free-form metadata and unusual names in it arrive as they were sent', async () => {
  const metadata = JSON.parse(
    '{"__proto__":{"x":1},"constructor":null,"emoji":"✅","lone":"\\ud800","deep":[[[{"a":1.5e300}]]]}',
  ) as unknown;
  const { key } = await service.newAccount();
  await call(service.apiUrl, key, 'POST', '/v1/webhooks', {
    url: receiver.url,
    events: ['document.uploaded'],
  });
  const { body } = await inAccount(key)({ event: 'document.uploaded', data: { ...data, metadata } });
  const [got] = await until(
    () => receiver.requests.filter(({ headers }) => headers['webhook-id'] === body.id),
    (found) => found.length > 0,
  );
  expect(JSON.parse(got?.body.toString() ?? '')).toMatchObject({ id: body.id, event: 'document.uploaded' });
  expect(
    JSON.stringify((JSON.parse(got?.body.toString() ?? '') as { data: { metadata: unknown } }).data.metadata),
  ).toBe(JSON.stringify(metadata));
});

test('a service key publishes for any account, and must name one', async () => {
  const { accountId, key } = await service.newAccount();
  const serviceKey = await service.newKey({
    accountId: null,
    scopes: ['events:write', 'webhooks:read', 'webhooks:write'],
  });
  const publish = inAccount(serviceKey);
  const { body } = await publish({ event, data, account_id: accountId });
  expect((await call(service.apiUrl, key, 'GET', `/v1/events/${body.id}`)).status).toBe(200);
  expect((await publish({ event, data })).body.errors[0]?.pointer).toBe('/account_id');
  expect((await publish({ event, data, account_id: 'acc_none' })).body.errors[0]?.pointer).toBe(
    '/account_id',
  );
  const list = await call<{ code: string }>(service.apiUrl, serviceKey, 'GET', '/v1/deliveries');
  expect([list.status, list.body.code]).toEqual([403, 'account_key_required']);
});

test('events are listed newest first with their deliveries, page by page', async () => {
  const { key } = await service.newAccount();
  await call(service.apiUrl, key, 'POST', '/v1/webhooks', { url: receiver.url, events: ['*'] });
  const ids: string[] = [];
  for (let index = 0; index < 5; index += 1) ids.unshift((await inAccount(key)({ event, data })).body.id);
  const seen: string[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const page: { data: Accepted[]; next_cursor: string | null } = (
      await call<{ data: Accepted[]; next_cursor: string | null }>(
        service.apiUrl,
        key,
        'GET',
        `/v1/events?limit=2${cursor && `&cursor=${cursor}`}`,
      )
    ).body;
    expect(page.data.every(({ deliveries }) => deliveries.length === 1)).toBe(true);
    seen.push(...page.data.map(({ id }) => id));
    cursor = page.next_cursor;
  }
  expect(seen).toEqual(ids);
});

test('event types come with their schema and example', async () => {
  const { body } = await service.call<{
    data: { event: string; schema: { properties: object }; example: object }[];
  }>('GET', '/v1/event-types');
  expect(body.data.map((type) => type.event)).toEqual(builtInEventTypes);
  for (const type of body.data)
    expect(Object.keys(type.schema.properties)).toEqual(expect.arrayContaining(Object.keys(type.example)));
});
