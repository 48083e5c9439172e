import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { outboxLocks } from '../../src/db/outbox-schema.ts';
import { openClient } from '../kit/database-client.ts';
import { runInProcess } from '../kit/command.ts';
import { countOf, deletedDocument, install, logged, newRole, publishInto, refusals } from '../kit/outbox.ts';
import { parseMetrics, sumOf } from '../kit/read-metrics.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

/** The outbox in the service's own database. */
let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService({ FLTR_OUTBOX_URLS: 'service' }), startReceiver()]);
  await install(service.pool);
});
afterAll(() => stopAll(service, receiver));

const untilLogged = (accountId: string, count: number) =>
  until(
    () => logged(service.pool, accountId),
    ({ length }) => length >= count,
  );

const untilEmpty = () =>
  until(
    () => countOf(service.pool, 'events'),
    (count) => count === 0,
  );

async function newAccount({ hasWebhook = false } = {}) {
  const account = await service.newAccount();
  const webhook = { url: receiver.url, events: ['*'] };
  if (hasWebhook)
    expect((await call(service.apiUrl, account.key, 'POST', '/v1/webhooks', webhook)).status).toBe(201);
  return account;
}

async function connect() {
  const client = await openClient(service.databaseUrl);
  onTestFinished(() => client.end());
  return client;
}

test('an event that is published in a transaction is delivered after its commit, as it was written', async () => {
  const { accountId } = await newAccount({ hasWebhook: true });
  const client = await connect();
  await client.query('begin');
  const data = '{"document_id" : "doc_1",  "dataset_id":"\\u00e9"}';
  const id = await publishInto(client, accountId, { data });
  expect(id).toMatch(/^evt_0[0-9a-hjkmnp-tv-z]{25}$/);
  await client.query('commit');
  const request = await until(
    () => receiver.requests.find(({ headers }) => headers['webhook-id'] === id),
    (found) => found !== undefined,
  );
  expect(request?.body.toString()).toContain('"data":{"document_id":"doc_1","dataset_id":"\\u00e9"}');
  expect(await logged(service.pool, accountId)).toEqual([id]);
  await untilEmpty();
});

test('a transaction that rolls back, wholly or to a savepoint, sends nothing', async () => {
  const { accountId } = await newAccount({ hasWebhook: true });
  const client = await connect();
  await client.query('begin');
  await publishInto(client, accountId);
  await client.query('rollback');
  await client.query('begin');
  const kept = await publishInto(client, accountId);
  await client.query('savepoint here');
  await publishInto(client, accountId);
  await client.query('rollback to here; commit');
  const last = await publishInto(client, accountId);
  expect(await untilLogged(accountId, 2)).toEqual([kept, last]);
});

test('the options of a delivery reach the event, and are judged as those of a call', async () => {
  const { accountId, key } = await newAccount({ hasWebhook: true });
  const webhooks = await call<{ data: { webhook_id: string }[] }>(service.apiUrl, key, 'GET', '/v1/webhooks');
  const webhookId = webhooks.body.data[0]?.webhook_id ?? '';
  const publish = async (webhookIds: string[], deliverAt: string, expiresAt: string) => {
    const { rows } = await service.pool.query<{ id: string }>(
      `select fltr_outbox.publish('document.deleted', $2, account => $1, webhook_ids => $3, order_key => 'order_1',
         deliver_at => $4, expires_at => $5) as id`,
      [accountId, JSON.stringify(deletedDocument), webhookIds, deliverAt, expiresAt],
    );
    return rows[0]?.id ?? '';
  };
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
  const [deliverAt, expiresAt] = [inDays(1), inDays(2)];
  const id = await publish([webhookId], deliverAt, expiresAt);
  const refused = await publish(['wh_none'], deliverAt, expiresAt);
  const tooLate = await publish([webhookId], inDays(31), expiresAt);
  await untilLogged(accountId, 1);
  const { body } = await call(service.apiUrl, key, 'GET', `/v1/events/${id}`);
  expect(body).toMatchObject({
    webhook_ids: [webhookId],
    order_key: 'order_1',
    deliver_at: deliverAt,
    expires_at: expiresAt,
    deliveries: [{ webhook_id: webhookId, status: 'pending' }],
  });
  expect((await refusals(service.pool, [refused, tooLate])).map(({ problem }) => problem.detail)).toEqual([
    expect.stringContaining('is not a webhook of the account'),
    expect.stringContaining('must be at most 30 days ahead'),
  ]);
});

test('data is given as text, json or jsonb, and every option reaches the event', async () => {
  const { accountId, key } = await newAccount();
  const client = await connect();
  const { rows } = await client.query<{ id: string }>(
    `select fltr_outbox.publish('document.deleted', jsonb_build_object('document_id', 'd', 'dataset_id', 's'), account => $1,
       id => 'evt_own', event_time => '2024-01-10T13:01:30.25+01:00', labels => array['region:eu'],
       traceparent => '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01') as id
     union all
     select fltr_outbox.publish('document.deleted', '{"dataset_id":"s",  "document_id":"d"}'::json, account => $1)
     union all
     select fltr_outbox.publish('document.deleted', '{"dataset_id":"s",  "document_id":"d"}', account => $1)`,
    [accountId],
  );
  const ids = await untilLogged(accountId, 3);
  expect(ids.toSorted()).toEqual(rows.map(({ id }) => id).toSorted());
  const read = async (id: string) =>
    (await call<Record<string, unknown>>(service.apiUrl, key, 'GET', `/v1/events/${id}`)).body;
  expect(await read('evt_own')).toMatchObject({
    timestamp: '2024-01-10T12:01:30.25Z',
    labels: ['region:eu'],
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    data: { document_id: 'd', dataset_id: 's' },
  });
  for (const { id } of rows.slice(1))
    expect((await read(id))['body']).toContain('"data":{"dataset_id":"s","document_id":"d"}');
});

test('data that is no JSON fails in the transaction, and cannot name another account', async () => {
  const { accountId } = await newAccount();
  const client = await connect();
  for (const data of ['', 'nothing', '{"a":1', '{}, "account_id": "acc_other"', '{} {}'])
    await expect(publishInto(client, accountId, { data })).rejects.toMatchObject({ code: '22P02' });
  const sneaky = await publishInto(client, accountId, { data: '{"a":{"account_id":"acc_other"}}' });
  expect(await refusals(service.pool, [sneaky])).toMatchObject([{ problem: { status: 422 } }]);
});

test('a refused event goes to fltr_outbox.refused with the problem of a call, and does not delay those behind it', async () => {
  const { accountId } = await newAccount({ hasWebhook: true });
  const client = await connect();
  const known = await publishInto(client, accountId, { id: 'evt_known' });
  await untilLogged(accountId, 1);
  await client.query('begin');
  const ids = [
    await publishInto(client, accountId, { event: 'order.unknown' }),
    await publishInto(client, accountId, { data: '{"document_id":"doc_1"}' }),
    await publishInto(client, accountId, { data: 'null' }),
    await publishInto(client, 'acc_unknown'),
    await publishInto(client, null),
    await publishInto(client, accountId, { id: 'evt_failed_1' }),
    await publishInto(client, accountId, { id: known, data: '{"document_id":"other","dataset_id":"d"}' }),
    await publishInto(client, accountId, { data: '{"document_id":"d","document_id":"e","dataset_id":"s"}' }),
    await publishInto(client, accountId, {
      data: JSON.stringify({ ...deletedDocument, x: 'x'.repeat(300_000) }),
    }),
  ];
  const good = await publishInto(client, accountId);
  // The same event again is a duplicate.
  await publishInto(client, accountId, { id: known });
  await client.query('commit');
  expect(await untilLogged(accountId, 2)).toEqual([known, good]);
  await untilEmpty();
  const found = await refusals(service.pool, ids);
  expect(found.map(({ problem }) => [problem.code, problem.detail])).toEqual([
    ['validation_failed', expect.stringContaining('event is not a known type')],
    ['validation_failed', expect.stringContaining('dataset_id is missing')],
    ['validation_failed', expect.stringContaining('data must be an object')],
    ['validation_failed', expect.stringContaining('account_id is not a known account')],
    ['validation_failed', expect.stringContaining('account_id is missing: publish with account => …')],
    ['validation_failed', expect.stringContaining('must not begin with evt_failed_')],
    ['event_id_conflict', expect.stringContaining('evt_known')],
    ['validation_failed', expect.stringContaining('document_id is given more than once')],
    ['body_too_large', expect.stringContaining('262144')],
  ]);
  const samples = parseMetrics(await (await fetch(`${service.apiUrl}/metrics`)).text());
  expect(sumOf(samples, 'fltr_outbox_events_refused_total', { outbox: 'service' })).toBeGreaterThanOrEqual(9);
  expect(sumOf(samples, 'fltr_outbox_events_relayed_total', { outbox: 'service' })).toBeGreaterThanOrEqual(3);
});

test('an event of 262,144 bytes is relayed, one of 262,145 is refused', async () => {
  const { accountId } = await newAccount();
  const request = (data: object) => ({ event: 'document.deleted', id: 'evt_1', account_id: accountId, data });
  const size = 262_144 - JSON.stringify(request({ ...deletedDocument, x: '' })).length;
  const put = (id: string, x: string) =>
    publishInto(service.pool, accountId, { id, data: JSON.stringify({ ...deletedDocument, x }) });
  await put('evt_1', 'x'.repeat(size));
  await put('evt_2', 'x'.repeat(size + 1));
  const found = await refusals(service.pool, ['evt_1', 'evt_2']);
  // The type allows no other fields: the first one was read, and judged by them.
  expect(found.map(({ problem }) => problem.code)).toEqual(['validation_failed', 'body_too_large']);
});

test('a refused event can be sent again once it is right', async () => {
  const { accountId } = await newAccount();
  const id = await publishInto(service.pool, accountId, { event: 'order.paid' });
  await refusals(service.pool, [id]);
  const env = { DATABASE_URL: service.databaseUrl };
  const listed = await runInProcess(['outbox', 'refused', '--database', service.databaseUrl], env);
  expect(listed).toEqual({
    code: 0,
    output: expect.stringMatching(new RegExp(`${id} +order.paid +${accountId} .*known type`)),
  });
  const key = await service.newKey({ accountId: null });
  const type = { description: 'paid' };
  expect((await call(service.apiUrl, key, 'PUT', '/v1/event-types/order.paid', type)).status).toBe(201);
  expect(await runInProcess(['outbox', 'retry', id], env)).toEqual({ code: 0, output: 'Put back: 1.\n' });
  expect(await untilLogged(accountId, 1)).toEqual([id]);
  expect(await runInProcess(['outbox', 'retry', id], env)).toMatchObject({ code: 3 });
  expect(await runInProcess(['outbox', 'retry'], env)).toMatchObject({ code: 2 });
});

test('transactions that follow each other keep their order, and so do the events of one', async () => {
  const { accountId } = await newAccount({ hasWebhook: true });
  const client = await connect();
  const expected: string[] = [];
  for (let number = 0; number < 40; number += 1) {
    await client.query('begin');
    // Neither the ids nor the numbers of the rows ascend with the transactions.
    for (const part of ['b', 'a'])
      expected.push(await publishInto(client, accountId, { id: `evt_${99 - number}_${part}` }));
    await client.query('commit');
  }
  expect(await untilLogged(accountId, 80)).toEqual(expected);
});

test('an event whose transaction commits after later ones were relayed is relayed too', async () => {
  const { accountId } = await newAccount();
  const [slow, other] = [await connect(), await connect()];
  await slow.query('begin');
  const late = await publishInto(slow, accountId);
  const early: string[] = [];
  for (let count = 1; count <= 3; count += 1) {
    early.push(await publishInto(other, accountId));
    await untilLogged(accountId, count);
  }
  await slow.query('commit');
  expect(await untilLogged(accountId, 4)).toEqual([...early, late]);
});

test('producers notify a relay that waits, and only such a one', async () => {
  const { accountId } = await newAccount();
  const [client, listener] = [await connect(), await connect()];
  await listener.query('listen fltr_outbox');
  let notified = 0;
  listener.on('notification', () => (notified += 1));
  const isAsleep = async () =>
    (
      await client.query<{ is: boolean }>(
        `select exists (select from pg_locks where locktype = 'advisory' and (classid, objid) = (${outboxLocks.idle})
         and mode = 'ExclusiveLock' and database = (select oid from pg_database where datname = current_database())) as is`,
      )
    ).rows[0]?.is === true;
  await until(isAsleep, Boolean);
  // Two that are open at once: the relay was asleep for both, and both notify it.
  const other = await connect();
  await client.query('begin');
  await publishInto(client, accountId);
  await other.query('begin');
  await publishInto(other, accountId);
  await client.query('commit');
  await untilLogged(accountId, 1);
  await other.query('commit');
  await untilLogged(accountId, 2);
  // A notification comes before the response to a later statement.
  await listener.query('select 1');
  expect(notified).toBe(2);
  // While somebody is open who did not have to notify, the relay does not fall asleep: it would miss that commit.
  await client.query('begin');
  const isAwake = async () => {
    await publishInto(other, accountId);
    const tried = `select pg_try_advisory_xact_lock_shared(${outboxLocks.idle}) as is`;
    return (await client.query<{ is: boolean }>(tried)).rows[0]?.is === true;
  };
  await until(isAwake, Boolean);
  await listener.query('select 1');
  const before = notified;
  const id = await publishInto(other, accountId);
  await until(
    () => logged(service.pool, accountId),
    (ids) => ids.includes(id),
  );
  await listener.query('select 1');
  expect(notified).toBe(before);
  await client.query('commit');
  await until(isAsleep, Boolean);
});

test('an event that cannot be written is refused alone', async () => {
  const { accountId } = await newAccount({ hasWebhook: true });
  await service.pool.query(
    `create function fail() returns trigger language plpgsql as $$ begin raise 'this event cannot be written'; end $$`,
  );
  await service.pool.query(
    `create trigger fail before insert on events for each row when (new.id = 'evt_poison') execute function fail()`,
  );
  onTestFinished(
    async () => void (await service.pool.query('drop trigger fail on events; drop function fail()')),
  );
  const client = await connect();
  await client.query('begin');
  const first = await publishInto(client, accountId);
  await publishInto(client, accountId, { id: 'evt_poison' });
  const last = await publishInto(client, accountId);
  await client.query('commit');
  expect(await untilLogged(accountId, 2)).toEqual([first, last]);
  expect(await refusals(service.pool, ['evt_poison'])).toMatchObject([
    { problem: { code: 'internal_error' } },
  ]);
  await untilEmpty();
});

test('a producer needs the function only, reads nothing, and cannot make it do anything else', async () => {
  const { accountId } = await newAccount();
  const role = await newRole(service.databaseUrl);
  onTestFinished(role.end);
  await expect(publishInto(role.client, accountId)).rejects.toThrow(/permission denied for schema/);
  const { output } = await runInProcess(['outbox', 'install'], { DATABASE_URL: service.databaseUrl });
  const [usage = '', execute = ''] = [...output.matchAll(/^ +(grant .*);$/gm)].map(
    ([, statement = '']) => statement,
  );
  await service.pool.query(usage.replace('ROLE', role.name));
  await expect(publishInto(role.client, accountId)).rejects.toThrow(/permission denied for function/);
  await service.pool.query(execute.replace('ROLE', role.name));

  // Objects of its own that hide those that the function uses.
  await role.client.query(`create temp table events (id text); set search_path = pg_temp, public`);
  await role.client.query(
    `create function pg_temp.pg_notify(text, text) returns void language sql as $$ select pg_sleep(60) $$`,
  );
  const id = await publishInto(role.client, accountId);
  expect(await untilLogged(accountId, 1)).toEqual([id]);
  for (const statement of [
    'select * from fltr_outbox.events',
    'select * from fltr_outbox.refused',
    `insert into fltr_outbox.events (id, request, bytes) values ('evt_1', '{}', 2)`,
    'delete from fltr_outbox.events',
    'delete from fltr_outbox.refused',
    'drop function fltr_outbox.publish',
    'create table fltr_outbox.own ()',
    'select * from public.events',
  ])
    await expect(role.client.query(statement), statement).rejects.toThrow(
      /permission denied|must be owner|is not unique/,
    );
});

test('readiness and metrics show the outbox', async () => {
  const state = async () => {
    const response = await fetch(`${service.apiUrl}/readyz`);
    return [response.status, ((await response.json()) as { checks: object }).checks];
  };
  await until(state, ([status]) => status === 200);
  expect(await state()).toEqual([200, { postgresql: 'ok', temporal: 'ok', outboxes: { service: 'ok' } }]);
  const samples = parseMetrics(await (await fetch(`${service.apiUrl}/metrics`)).text());
  expect(sumOf(samples, 'fltr_outbox_up', { outbox: 'service' })).toBe(1);
  expect(sumOf(samples, 'fltr_outbox_lag_seconds', { outbox: 'service' })).toBeLessThan(60);
  const { rows } = await service.pool.query<{ refused: number }>(
    'select count(*)::int as refused from fltr_outbox.refused',
  );
  expect(rows[0]?.refused).toBeGreaterThan(0);
  await until(
    async () => parseMetrics(await (await fetch(`${service.apiUrl}/metrics`)).text()),
    (now) => sumOf(now, 'fltr_outbox_refused', { outbox: 'service' }) === rows[0]?.refused,
  );
});
