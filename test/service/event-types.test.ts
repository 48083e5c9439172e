import { afterAll, beforeAll, expect, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { maxEventTypes } from '../../src/db/event-types-table.ts';
import type { EventTypeInfo } from '../../src/contracts/event-types.ts';
import { scopes } from '../../src/security/api-keys.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, untilReady, type Service } from '../kit/service.ts';

// The types are defined at one process, and used at another one.
let service: Service;
let receiver: Receiver;
let other: ServiceProcess;
let otherUrl: string;
let serviceKey: string;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
  const port = await reservePort();
  otherUrl = `http://127.0.0.1:${port}`;
  other = startProcess(['api'], { ...service.env, PORT: String(port) });
  await untilReady(otherUrl);
  serviceKey = await service.newKey({ accountId: null, scopes });
});
afterAll(async () => {
  other.kill('SIGTERM');
  await other.exited();
  await stopAll(service, receiver);
});

type Problem = { code: string; detail: string; errors: { pointer: string; message: string }[] };
type Accepted = { id: string; deliveries: { id: string; webhook_id: string }[] } & Problem;
type Batch = { data: { status: number; error?: Problem }[] };

/** At the other process. */
const put = (name: string, definition: object) =>
  call<EventTypeInfo & Problem>(otherUrl, serviceKey, 'PUT', `/v1/event-types/${name}`, {
    description: 'A test.',
    ...definition,
  });
const remove = (name: string) => call<Problem>(otherUrl, serviceKey, 'DELETE', `/v1/event-types/${name}`);
const publish = (event: string, data: object, headers: Record<string, string> = {}) =>
  service.call<Accepted>('POST', '/v1/events', { event, data }, headers);
const create = (events: string[]) =>
  service.call<{ webhook_id: string } & Problem>('POST', '/v1/webhooks', { url: receiver.url, events });

const orderSchema = {
  type: 'object',
  required: ['order_id'],
  properties: { order_id: { type: 'string' }, total: { type: 'number' } },
};

test('a type of its own is defined, subscribed to, published, delivered, and found in the log', async () => {
  const example = { order_id: 'ord_42', total: 19.5 };
  const definition = { description: 'An order was paid.', schema: orderSchema, example };
  const created = await put('order.paid', definition);
  const info = { event: 'order.paid', ...definition, validation: 'open', deprecated: false, source: 'api' };
  expect([created.status, created.body]).toEqual([201, info]);
  expect((await put('order.paid', definition)).status).toBe(200);
  expect((await service.call('GET', '/v1/event-types/order.paid')).body).toEqual(info);

  const ids: string[] = [];
  for (const filter of ['order.paid', 'order.*', '*']) {
    const { status, body } = await create([filter]);
    expect(status).toBe(201);
    ids.push(body.webhook_id);
  }
  const others = (await create(['document.*', 'webhook.*'])).body.webhook_id;
  const { status, body } = await publish('order.paid', { order_id: 'ord_1', colour: 'red' });
  expect(status).toBe(202);
  expect(body.deliveries.map(({ webhook_id: id }) => id).sort()).toEqual(ids.toSorted());
  for (const { id } of body.deliveries) await waitForStatus(service, id, 'delivered');
  const sent = receiver.requests.find(({ headers }) => headers['webhook-id'] === body.id);
  expect(sent?.headers['x-fltr-event']).toBe('order.paid');
  expect(JSON.parse(sent?.body.toString() ?? '')).toMatchObject({
    event: 'order.paid',
    data: { colour: 'red' },
  });
  const log = await service.call<{ data: object[] }>(
    'GET',
    '/v1/deliveries?event=order.paid&status=delivered',
  );
  expect(log.body.data).toHaveLength(3);

  const tested = await service.call<{ attempt: { outcome: string } }>('POST', '/v1/webhooks/test', {
    webhook_id: others,
    event: 'order.paid',
  });
  expect(tested.body.attempt.outcome).toBe('delivered');
  const test = receiver.requests.find(({ headers }) => headers['x-fltr-test'] === 'true');
  expect(JSON.parse(test?.body.toString() ?? '')).toMatchObject({ event: 'order.paid', data: example });

  const document = await service.call<{
    components: { schemas: { PublishEvent: { oneOf: { title: string; properties: { data: object } }[] } } };
  }>('GET', '/openapi.json');
  const published = document.body.components.schemas.PublishEvent.oneOf.find(
    ({ title }) => title === 'order.paid',
  );
  expect(published?.properties.data).toEqual(orderSchema);
  for (const id of [...ids, others]) await service.call('DELETE', `/v1/webhooks/${id}`);
});

test('each fault of data is named by its pointer, also in a batch and with an Idempotency-Key', async () => {
  await put('order.checked', { schema: orderSchema, validation: 'strict' });
  const wrong = { total: 'much', colour: 'red' };
  const pointers = ['/data/order_id', '/data/total', '/data/colour'];
  for (const headers of [{}, { 'idempotency-key': 'checked' }]) {
    const { status, body } = await publish('order.checked', wrong, headers);
    expect([status, body.code]).toEqual([422, 'validation_failed']);
    expect(body.errors.map(({ pointer }) => pointer).sort()).toEqual(pointers.toSorted());
    expect(body.detail).toContain('order_id is missing');
    const batch = await service.call<Batch>(
      'POST',
      '/v1/events/batch',
      {
        events: [
          { event: 'order.checked', data: { order_id: 'o' } },
          { event: 'order.checked', data: wrong },
          { event: 'order.unknown', data: {} },
        ],
      },
      headers,
    );
    expect(batch.body.data.map((item) => item.status)).toEqual([202, 422, 422]);
    expect(batch.body.data[2]?.error?.detail).toMatch(/event is not a known type/);
  }
});

test('a change at one process counts in the next call to another one', async () => {
  const data = { order_id: 7 };
  const batch = async () => {
    const { body } = await service.call<Batch>('POST', '/v1/events/batch', {
      events: [
        { event: 'order.changed', data },
        { event: 'document.deleted', data: { document_id: 'd', dataset_id: 's' } },
      ],
    });
    return body.data.map(({ status }) => status);
  };
  const statuses = async () => [(await publish('order.changed', data)).status, await batch()];
  expect(await statuses()).toEqual([422, [422, 202]]);
  for (let round = 0; round < 3; round += 1) {
    await put('order.changed', {});
    expect(await statuses()).toEqual([202, [202, 202]]);
    await put('order.changed', { schema: orderSchema });
    expect(await statuses()).toEqual([422, [422, 202]]);
    await put('order.changed', { schema: orderSchema, validation: 'none' });
    expect(await statuses()).toEqual([202, [202, 202]]);
    expect((await remove('order.changed')).status).toBe(204);
    expect(await statuses()).toEqual([422, [422, 202]]);
  }
});

test('while types change all the time, every event is accepted or refused, and none by an old schema', async () => {
  const stop = new AbortController();
  await put('order.busy', {});
  const changes = (async () => {
    while (!stop.signal.aborted) {
      await put('order.busy', { schema: orderSchema });
      for (let count = 0; count < 5; count += 1) expect((await publish('order.busy', {})).status).toBe(422);
      await put('order.busy', {});
      for (let count = 0; count < 5; count += 1) expect((await publish('order.busy', {})).status).toBe(202);
    }
  })();
  const producers = Array.from({ length: 8 }, async () => {
    const seen = new Set<number>();
    for (let count = 0; count < 60; count += 1) {
      seen.add((await publish('order.busy', {})).status);
      // Data that matches both schemas may only meet a change of the types in each of three rounds.
      const { status } = await publish('order.busy', { order_id: 'o' });
      expect([202, 503]).toContain(status);
    }
    return seen;
  });
  const seen = new Set((await Promise.all(producers)).flatMap((each) => [...each]));
  stop.abort();
  await changes;
  expect([...seen].filter((status) => status !== 202 && status !== 422 && status !== 503)).toEqual([]);
});

test('a webhook names known types and families only', async () => {
  await put('shop.cart.filled', {});
  for (const filter of ['shop.cart.filled', 'shop.cart.*', 'shop.*', 'webhook.*', 'delivery.failed', '*']) {
    const { status, body } = await create([filter]);
    expect([filter, status]).toEqual([filter, 201]);
    await service.call('DELETE', `/v1/webhooks/${body.webhook_id}`);
  }
  for (const filter of [
    'shop.cart',
    'shop.cart.gone',
    'cart.*',
    'shop.cart.filled.*',
    'Shop.*',
    'shop',
    '**',
    '',
  ]) {
    const { status, body } = await create(['document.*', filter]);
    expect([filter, status, body.errors[0]?.pointer]).toEqual([filter, 422, '/events/1']);
  }
});

test('a type that a webhook names stays; a family does not hold it', async () => {
  await put('shop.item.sold', {});
  const named = (await create(['shop.item.sold'])).body.webhook_id;
  await create(['shop.item.*']);
  const refused = await remove('shop.item.sold');
  expect([refused.status, refused.body.code]).toEqual([409, 'event_type_in_use']);
  await service.call('PATCH', `/v1/webhooks/${named}`, { events: ['document.*'] });
  expect((await remove('shop.item.sold')).status).toBe(204);
  expect((await remove('shop.item.sold')).status).toBe(404);
});

test('of deleting a type and naming it at the same moment, one is refused', async () => {
  const { webhook_id: id } = await service.newWebhook(receiver.url, { events: ['document.*'] });
  for (let round = 0; round < 15; round += 1) {
    const name = `race.round${round}`;
    await put(name, {});
    const [deleted, created, changed] = await Promise.all([
      remove(name),
      create([name]),
      service.call<Problem>('PATCH', `/v1/webhooks/${id}`, { events: [name] }),
    ]);
    expect([204, 409]).toContain(deleted.status);
    expect([created.status, changed.status].every((status) => [200, 201, 422].includes(status))).toBe(true);
    const isGone = (await service.call('GET', `/v1/event-types/${name}`)).status === 404;
    expect(isGone).toBe(deleted.status === 204);
    if (isGone) expect([created.status, changed.status]).toEqual([422, 422]);
    await service.call('PATCH', `/v1/webhooks/${id}`, { events: ['document.*'] });
  }
});

test("the service's own types cannot be defined, and names have a form", async () => {
  for (const name of ['document.processed', 'webhook.disabled', 'webhook.anything', 'delivery.lost']) {
    for (const { status, body } of [await put(name, {}), await remove(name)])
      expect([name, status, body.code]).toEqual([name, 409, 'event_type_reserved']);
  }
  const longest = `${'a'.repeat(49)}.${'b'.repeat(50)}`;
  for (const name of [longest, 'a.b', '1.2.3.4.5.6', 'mail_box.sent']) {
    expect([name, (await put(name, {})).status]).toEqual([name, 201]);
    await remove(name);
  }
  for (const name of [
    `${longest}b`,
    'order',
    'order.',
    '1.2.3.4.5.6.7',
    'Order.paid',
    'order-x.paid',
    'order.%2e',
    '%20',
  ]) {
    const { status, body } = await put(name, {});
    expect([name, status, body.errors[0]?.pointer]).toEqual([name, 422, '#path/name']);
  }
});

test('a definition that cannot be used is refused, and nothing changes', async () => {
  await put('order.kept', { schema: orderSchema });
  const wrong: [object, string][] = [
    [{ schema: { type: 'objekt' } }, '/schema/type'],
    [{ schema: { properties: { a: { pattern: '(?<=a)b' } } } }, '/schema/properties/a/pattern'],
    [{ schema: { $ref: 'https://example.com/a.json' } }, '/schema/$ref'],
    [{ schema: orderSchema, example: { total: 1 } }, '/example/order_id'],
    [{ schema: true }, '/schema'],
    [{ validation: 'some' }, '/validation'],
    [{ descripton: 'x' }, '/descripton'],
    [{ description: 'two\nlines' }, '/description'],
  ];
  for (const [definition, pointer] of wrong) {
    const { status, body } = await put('order.kept', definition);
    expect([status, body.errors.map((each) => each.pointer)]).toEqual([422, [pointer]]);
  }
  expect((await service.call<EventTypeInfo>('GET', '/v1/event-types/order.kept')).body.schema).toEqual(
    orderSchema,
  );
});

test('types are for service keys with the scope, and are read with any key', async () => {
  const path = '/v1/event-types/order.keys';
  const body = { description: '' };
  const narrow = await service.newKey({ accountId: null, scopes: ['events:write', 'accounts:write'] });
  for (const [key, code] of [
    [service.key, 'service_key_required'],
    [narrow, 'missing_scope'],
  ] as const) {
    for (const method of ['PUT', 'DELETE']) {
      const refused = await call<Problem>(service.apiUrl, key, method, path, body);
      expect([refused.status, refused.body.code]).toEqual([403, code]);
    }
  }
  expect((await call(service.apiUrl, null, 'PUT', path, body)).status).toBe(401);
  for (const key of [service.key, narrow])
    expect((await call(service.apiUrl, key, 'GET', '/v1/event-types')).status).toBe(200);
  expect((await call(service.apiUrl, null, 'GET', '/v1/event-types')).status).toBe(401);
});

test('there are at most 1,000 types', async () => {
  const fill = `insert into event_types (name, description, validation, deprecated, revision)
    select 'filled.t' || n, '', 'open', false, 1 from generate_series(1, $1 - (select count(*) from event_types)) as n`;
  await service.pool.query(fill, [maxEventTypes - 1]);
  try {
    expect((await put('order.last', {})).status).toBe(201);
    const { status, body } = await put('order.more', {});
    expect([status, body.code]).toEqual([409, 'event_type_limit_reached']);
    expect((await put('order.last', { deprecated: true })).status).toBe(200);
  } finally {
    await service.pool.query(`delete from event_types where name like 'filled.%'`);
  }
});

test('each change has an audit record', async () => {
  await put('order.audited', {});
  await remove('order.audited');
  const { rows } = await service.pool.query<{ action: string }>(
    `select action from audit_records where target = 'order.audited' order by id`,
  );
  expect(rows.map(({ action }) => action)).toEqual(['event_type.put', 'event_type.deleted']);
});
