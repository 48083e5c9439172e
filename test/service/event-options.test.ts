import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AcceptedEvent, EventSummary } from '../../src/contracts/event.ts';
import type { OtherWebhook } from '../../src/contracts/webhook-match.ts';
import { startSecondApi } from '../kit/second-api.ts';
import { call, startService, stopAll, type Service } from '../kit/service.ts';

let service: Service;
let other: Awaited<ReturnType<typeof startSecondApi>>;
beforeAll(async () => {
  service = await startService({}, 'api');
  other = await startSecondApi(service);
});
afterAll(() => stopAll(other, service));

type Result = AcceptedEvent & { code: string; errors: { pointer: string; message: string }[] };
type Shown = EventSummary & { other_webhooks: OtherWebhook[] };

async function open() {
  const { accountId, key } = await service.newAccount();
  const send = <T>(method: string, path: string, body?: unknown, headers = {}, url = service.apiUrl) =>
    call<T>(url, key, method, path, body, headers);
  return {
    accountId,
    send,
    newWebhook: async (more: Record<string, unknown> = {}) => {
      const body = { url: 'https://example.com/', events: ['*'], ...more };
      const response = await send<{ webhook_id: string }>('POST', '/v1/webhooks', body);
      if (response.status !== 201) throw new Error(response.text);
      return response.body.webhook_id;
    },
    publish: (more: Record<string, unknown> = {}, headers = {}, url = service.apiUrl) =>
      send<Result>('POST', '/v1/events', toEvent(more), headers, url),
    read: async (id: string) => (await send<Shown>('GET', `/v1/events/${id}`)).body,
  };
}

const toEvent = (more: Record<string, unknown>) => ({
  event: 'document.deleted',
  data: { document_id: 'd', dataset_id: 's' },
  ...more,
});
const webhooksOf = ({ deliveries }: Pick<AcceptedEvent, 'deliveries'>) =>
  deliveries.map(({ webhook_id: id }) => id).sort();
const fromNow = (ms: number) => new Date(Date.now() + ms).toISOString();
const dayMs = 86_400_000;

test('an event that names webhooks goes to these alone, with any types and filters', async () => {
  const account = await open();
  const filter = { path: '/data/document_id', op: 'eq', value: 'another' };
  const filtered = await account.newWebhook({ filter });
  const ofOthers = await account.newWebhook({ events: ['webhook.disabled'] });
  const paused = await account.newWebhook({ active: false });
  const plain = await account.newWebhook();
  const names = [paused, filtered, ofOthers];

  for (const headers of [{}, { 'Idempotency-Key': 'named' }]) {
    const { status, body } = await account.publish({ webhook_ids: names }, headers);
    expect({ status, ids: webhooksOf(body) }).toEqual({ status: 202, ids: names.toSorted() });
    const states = Object.fromEntries(
      body.deliveries.map(({ webhook_id: id, status: state }) => [id, state]),
    );
    expect(states).toEqual({ [paused]: 'held', [filtered]: 'pending', [ofOthers]: 'pending' });
    const shown = await account.read(body.id);
    expect(shown.webhook_ids).toEqual(names);
    expect(shown.other_webhooks).toMatchObject([
      { webhook_id: plain, because: { reason: 'not_named', condition: null }, matches_now: false },
    ]);
  }
  const batch = await account.send<{ data: Result[] }>('POST', '/v1/events/batch', {
    events: [toEvent({ webhook_ids: [plain] }), toEvent({ webhook_ids: ['wh_unknown'] }), toEvent({})],
  });
  expect(batch.body.data.map(({ deliveries }) => deliveries && webhooksOf({ deliveries }))).toEqual([
    [plain],
    undefined,
    [paused, plain].toSorted(),
  ]);
  expect(batch.body.data[1]).toMatchObject({
    status: 422,
    error: { errors: [{ pointer: '/webhook_ids/0' }] },
  });
});

test('an event may only name webhooks of its account that exist at that moment', async () => {
  const [account, stranger] = [await open(), await open()];
  const own = await account.newWebhook();
  const foreign = await stranger.newWebhook();
  const deleted = await account.newWebhook();
  expect((await account.publish({ id: 'evt_before', webhook_ids: [deleted] })).status).toBe(202);
  await account.send('DELETE', `/v1/webhooks/${deleted}`, undefined, {}, other.apiUrl);
  for (const headers of [{}, { 'Idempotency-Key': 'refused' }]) {
    const refused = await account.publish(
      { id: 'evt_refused', webhook_ids: [foreign, own, deleted] },
      headers,
    );
    expect(refused).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
    expect(refused.body.errors).toEqual([
      { pointer: '/webhook_ids/0', message: 'webhook_ids[0] is not a webhook of the account' },
      { pointer: '/webhook_ids/2', message: 'webhook_ids[2] is not a webhook of the account' },
    ]);
  }
  expect((await account.send('GET', '/v1/events/evt_refused')).status).toBe(404);
  // An event that was accepted before is still a duplicate.
  const again = await account.publish({ id: 'evt_before', webhook_ids: [deleted] });
  expect(again).toMatchObject({
    status: 202,
    body: { duplicate: true, deliveries: [{ webhook_id: deleted }] },
  });
  expect((await account.publish({ id: 'evt_before', webhook_ids: [own, deleted] })).status).toBe(409);

  // Each process knows at once which webhooks the other one creates and deletes.
  for (const [here, there] of [
    [service.apiUrl, other.apiUrl],
    [other.apiUrl, service.apiUrl],
  ] as const) {
    await account.publish({}, {}, there);
    const body = { url: 'https://example.com/', events: ['document.deleted'] };
    const created = await account.send<{ webhook_id: string }>('POST', '/v1/webhooks', body, {}, here);
    const { webhook_id: id } = created.body;
    expect((await account.publish({ webhook_ids: [id] }, {}, there)).body.deliveries).toHaveLength(1);
    await account.send('DELETE', `/v1/webhooks/${id}`, undefined, {}, here);
    expect((await account.publish({ webhook_ids: [id] }, {}, there)).status).toBe(422);
  }
});

test('a webhook that sends e-mails cannot be named', async () => {
  const account = await open();
  const id = await account.newWebhook();
  await service.pool.query(
    `update webhooks set format = 'email', url = 'mailto:a@example.com', rate_limit = '{"attempts": 1, "seconds": 1}'
     where id = $1`,
    [id],
  );
  await service.pool.query(
    `update accounts set webhooks_version = nextval('webhooks_versions') where id = $1`,
    [account.accountId],
  );
  expect((await account.publish({ webhook_ids: [id] })).body.errors).toMatchObject([
    { pointer: '/webhook_ids/0', message: expect.stringContaining('sends e-mails') as string },
  ]);
});

test('the options of an event are checked, and shown as they were given', async () => {
  const account = await open();
  const webhook = await account.newWebhook();
  const many = Array.from({ length: 101 }, (_, index) => `wh_${index}`);
  const faults: [Record<string, unknown>, string][] = [
    [{ webhook_ids: [] }, '/webhook_ids'],
    [{ webhook_ids: many }, '/webhook_ids'],
    [{ webhook_ids: [webhook, webhook] }, '/webhook_ids'],
    [{ webhook_ids: [7] }, '/webhook_ids/0'],
    [{ webhook_ids: webhook }, '/webhook_ids'],
    [{ deliver_at: fromNow(30 * dayMs + 60_000) }, '/deliver_at'],
    [{ deliver_at: 'tomorrow' }, '/deliver_at'],
    [{ expires_at: fromNow(-1000) }, '/expires_at'],
    [{ deliver_at: fromNow(60_000), expires_at: fromNow(30_000) }, '/expires_at'],
    [{ expires_at: '9999-12-31T23:59:59-01:00' }, '/expires_at'],
    [{ order_key: '' }, '/order_key'],
    [{ order_key: 'k'.repeat(201) }, '/order_key'],
    [{ order_key: 'two\nlines' }, '/order_key'],
    [{ order_key: 42 }, '/order_key'],
  ];
  for (const [more, pointer] of faults) {
    const { status, body } = await account.publish(more);
    expect({ more, status, errors: body.errors }).toMatchObject({ status: 422, errors: [{ pointer }] });
  }
  const limits = {
    webhook_ids: [webhook],
    deliver_at: fromNow(30 * dayMs - 60_000),
    expires_at: '9999-12-31T23:59:59.999Z',
    order_key: '\u{1F980}'.repeat(100),
  };
  const { body } = await account.publish(limits);
  expect(await account.read(body.id)).toMatchObject(limits);
  expect((await account.send<{ data: Shown[] }>('GET', '/v1/events?limit=1')).body.data[0]).toMatchObject(
    limits,
  );
  const past = { deliver_at: '0000-01-01T00:00:00.000Z', expires_at: fromNow(dayMs) };
  const now = await account.publish(past);
  expect(await account.read(now.body.id)).toMatchObject({
    ...past,
    deliver_at: null,
    webhook_ids: null,
    order_key: null,
  });
  const rows = await service.pool.query(
    `select start_after, deliver_at is not null as "isScheduled", expires_at is not null as "isExpiring",
       owner_id is not null as "hasOwner"
     from deliveries where account_id = $1 order by id`,
    [account.accountId],
  );
  expect(rows.rows).toMatchObject([
    { start_after: 'deliver_at', isScheduled: true, isExpiring: true, hasOwner: false },
    { start_after: null, isScheduled: false, isExpiring: true, hasOwner: true },
  ]);
});

test('a request that is repeated after its event has expired is a duplicate; a new one is refused', async () => {
  const account = await open();
  await account.newWebhook();
  const expired = { id: 'evt_1', expires_at: fromNow(1000) };
  expect(await account.publish(expired)).toMatchObject({ status: 202, body: { duplicate: false } });
  await delay(1100);
  expect(await account.publish(expired)).toMatchObject({ status: 202, body: { duplicate: true } });
  expect((await account.publish({ ...expired, order_key: 'k' })).status).toBe(409);
  const refused = { status: 422, errors: [{ pointer: '/expires_at' }] };
  const { status, body } = await account.publish({ ...expired, id: 'evt_2' });
  expect({ status, errors: body.errors }).toMatchObject(refused);
  const batch = await account.send<{ data: { status: number; duplicate?: boolean }[] }>(
    'POST',
    '/v1/events/batch',
    {
      events: [
        toEvent({ ...expired, id: 'evt_2' }),
        toEvent(expired),
        toEvent({ id: 'evt_2' }),
        toEvent({ ...expired, id: 'evt_2' }),
      ],
    },
  );
  // The last two are of one id and content: the times of the first one count.
  expect(batch.body.data.map(({ status: each, duplicate }) => [each, duplicate])).toEqual([
    [202, true],
    [202, true],
    [202, false],
    [202, true],
  ]);
});

test('a repeated id: the named webhooks and the order key are a part of the event, its times are not', async () => {
  const account = await open();
  const [one, two] = [await account.newWebhook(), await account.newWebhook()];
  const first = { id: 'evt_1', webhook_ids: [one, two], order_key: 'k', deliver_at: fromNow(dayMs) };
  expect((await account.publish(first)).body.duplicate).toBe(false);
  const repeated = {
    ...first,
    webhook_ids: [two, one],
    deliver_at: fromNow(2 * dayMs),
    expires_at: fromNow(3 * dayMs),
  };
  expect(await account.publish(repeated)).toMatchObject({ status: 202, body: { duplicate: true } });
  expect((await account.publish({ ...first, deliver_at: undefined })).body.duplicate).toBe(true);
  expect(await account.read('evt_1')).toMatchObject({ deliver_at: first.deliver_at, expires_at: null });
  for (const changed of [
    { webhook_ids: [one] },
    { webhook_ids: undefined },
    { order_key: 'K' },
    { order_key: undefined },
  ])
    expect((await account.publish({ ...first, ...changed })).status).toBe(409);

  // Of one statement, and after the retention of the data.
  const twins = await account.send<{ data: (Result & { status: number })[] }>('POST', '/v1/events/batch', {
    events: [
      toEvent({ id: 'evt_2', webhook_ids: ['wh_unknown'] }),
      toEvent({ id: 'evt_2', webhook_ids: [one] }),
      toEvent({ id: 'evt_2', webhook_ids: [one] }),
      toEvent({ id: 'evt_2' }),
    ],
  });
  expect(twins.body.data.map(({ status, duplicate }) => [status, duplicate])).toEqual([
    [409, undefined],
    [202, false],
    [202, true],
    [409, undefined],
  ]);
  await service.pool.query('update events set body = null where account_id = $1', [account.accountId]);
  expect((await account.publish(repeated)).body.duplicate).toBe(true);
  expect((await account.publish({ ...first, webhook_ids: [two] })).status).toBe(409);
});

test('a recovery of missed events leaves out those that name other webhooks, and keeps the times of the others', async () => {
  const account = await open();
  const first = await account.newWebhook();
  const since = fromNow(-60_000);
  await account.publish({ id: 'evt_named', webhook_ids: [first] });
  await account.publish({ id: 'evt_later', deliver_at: fromNow(dayMs), expires_at: fromNow(2 * dayMs) });
  await account.publish({ id: 'evt_expired', expires_at: fromNow(dayMs) });
  await service.pool.query(
    `update events set expires_at = now() where account_id = $1 and id = 'evt_expired'`,
    [account.accountId],
  );
  const late = await account.newWebhook();
  for (const [webhook, filter] of [
    [late, undefined],
    [first, undefined],
    [late, { path: '/data/document_id', op: 'eq', value: 'd' }],
  ] as const) {
    if (filter) await account.send('PATCH', `/v1/webhooks/${webhook}`, { filter });
    const { body } = await account.send<{ total: number }>('POST', `/v1/webhooks/${webhook}/recover`, {
      since,
      only: 'missed',
      dry_run: true,
    });
    expect(body.total).toBe(webhook === late ? 1 : 0);
  }
});
