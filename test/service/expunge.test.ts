import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { AuditRecord } from '../../src/contracts/audit.ts';
import type { DeliverySummary } from '../../src/contracts/delivery.ts';
import type { ExpungedEvents } from '../../src/contracts/expunge.ts';
import { connectionOptions } from '../../src/db/pool.ts';
import { newId } from '../../src/domain/ids.ts';
import { readDelivery, waitForStatus, workflowStatus } from '../kit/delivery-steps.ts';
import { historiesText, tablesWith } from '../kit/find-text.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { call, startService, stopAll, until, untilReady, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import pg from 'pg';

/** In data, labels and responses; long data, so that PostgreSQL stores it apart. */
let marker = '';
let traceId = '';
const makeEvent = () => ({
  event: 'document.uploaded',
  data: {
    document_id: 'doc_1',
    dataset_id: 'ds_1',
    metadata: { note: marker, long: Array.from({ length: 2000 }, () => newId('evt')).join('') },
  },
  labels: [marker],
  order_key: marker,
  traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
});
let event: ReturnType<typeof makeEvent>;
beforeEach(() => {
  marker = `marker-${randomUUID()}`;
  traceId = randomUUID().replaceAll('-', '');
  event = makeEvent();
});

let service: Service;
let receiver: Receiver;
/** Requests to `/slow`: responded to by the test. */
let slow: ServerResponse[];
beforeAll(async () => {
  slow = [];
  [service, receiver] = await Promise.all([
    startService({ FLTR_RETRY_SCHEDULE_SECONDS: '3600', FLTR_ATTEMPT_TIMEOUT_MS: '10000' }),
    startReceiver((request, response) => {
      response.setHeader('x-note', marker);
      if (request.path === '/slow') slow.push(response);
      else
        response
          .writeHead(request.path === '/fails' ? 503 : request.path === '/refuses' ? 400 : 200)
          .end(marker);
    }),
  ]);
});
afterAll(() => stopAll(service, receiver));
afterEach(async () => {
  const { body } = await service.call<{ data: { webhook_id: string }[] }>('GET', '/v1/webhooks');
  for (const { webhook_id: id } of body.data) await service.call('DELETE', `/v1/webhooks/${id}`);
  for (const response of slow.splice(0)) response.destroy();
  receiver.requests.length = 0;
});

const expunge = (...ids: string[]) => service.call<ExpungedEvents>('POST', '/v1/events/expunge', { ids });

/** Publishes the event to the only webhook; the ids of both. */
async function publish(more: Record<string, unknown> = {}) {
  const { id, deliveries } = await service.publish({ ...event, ...more });
  const [delivery] = deliveries;
  if (!delivery || deliveries.length !== 1) throw new Error('Exactly one webhook must match');
  return { id, deliveryId: delivery.id };
}

test('nothing of an event and its responses is left in the database or in Temporal; its rows stay', async () => {
  const webhooks: string[] = [];
  for (const path of ['', '/fails', '/refuses'])
    webhooks.push((await service.newWebhook(receiver.url + path)).webhook_id);
  const held = await service.newWebhook(`${receiver.url}/held`, { active: false });
  const response = await service.call<{ id: string; deliveries: { id: string; webhook_id: string }[] }>(
    'POST',
    '/v1/events',
    event,
    { 'idempotency-key': newId('evt') },
  );
  const { id, deliveries } = response.body;
  const deliveryTo = (webhookId = '') => deliveries.find((each) => each.webhook_id === webhookId)?.id ?? '';
  const [delivered, retrying, failed] = webhooks.map(deliveryTo);
  await waitForStatus(service, delivered ?? '', 'delivered');
  await waitForStatus(service, retrying ?? '', 'retrying');
  await waitForStatus(service, failed ?? '', 'failed');
  // The parts that have read it, and so could have kept it.
  await service.call('POST', `/v1/deliveries/${delivered}/signed-request`);
  await service.call('GET', '/v1/events', undefined, { accept: 'application/x-ndjson' });
  await service.call('GET', `/v1/search?q=doc_1`);
  await service.pool.query(`update attempts set error_detail = $1 where delivery_id = $2`, [marker, failed]);
  expect(await tablesWith(service.pool, [marker])).toEqual(['public.attempts', 'public.events']);
  expect(await tablesWith(service.pool, [traceId])).toEqual(['public.events']);

  const done = await expunge(id);
  expect([done.status, done.body]).toEqual([200, { expunged: [id], not_found: [] }]);

  expect(await tablesWith(service.pool, [marker, traceId])).toEqual([]);
  expect((await waitForStatus(service, retrying ?? '', 'canceled')).reason).toBe('expunged');
  expect((await waitForStatus(service, deliveryTo(held.webhook_id), 'canceled')).reason).toBe('expunged');
  // Its workflow has read its row and ended by itself.
  expect(await workflowStatus(service, retrying ?? '')).toBe('COMPLETED');
  const histories = await historiesText(service.temporal);
  expect(histories).toContain(retrying);
  expect(histories).not.toContain(marker);
  expect(histories).not.toContain(traceId);

  const shown = await service.call('GET', `/v1/events/${id}`);
  expect(shown.body).toMatchObject({
    id,
    event: 'document.uploaded',
    data: null,
    body: null,
    labels: [],
    traceparent: null,
    expunged_at: expect.any(String),
  });
  expect(await readDelivery(service, delivered ?? '')).toMatchObject({
    status: 'delivered',
    reason: null,
    attempts: [{ status_code: 200, response: null, request: { url: receiver.url } }],
  });
  expect((await readDelivery(service, failed ?? '')).status).toBe('failed');
  const { timeline } = await readDelivery(service, retrying ?? '');
  expect(timeline.slice(-2)).toMatchObject([
    { type: 'signal', name: 'expunge', by: expect.stringMatching(/^key_/) },
    { type: 'ended', status: 'canceled', reason: 'expunged' },
  ]);
  const found = await service.call<{ data: unknown[] }>('GET', `/v1/events?label=${marker}`);
  expect(found.body.data).toEqual([]);
  const audit = await service.call<{ data: AuditRecord[] }>('GET', `/v1/audit-records?target=${id}`);
  expect(audit.body.data).toMatchObject([{ action: 'event.expunged', actor: { type: 'key' } }]);
});

test('a second call gives the same response and changes nothing; unknown ids and those of others are reported', async () => {
  await service.newWebhook(`${receiver.url}/fails`);
  const { id, deliveryId } = await publish();
  await waitForStatus(service, deliveryId, 'retrying');
  const stranger = await service.newAccount();
  const theirs = await call<{ id: string }>(service.apiUrl, stranger.key, 'POST', '/v1/events', event);
  const ids = ['evt_unknown', id, theirs.body.id, id];
  const first = await expunge(...ids);
  expect(first.body).toEqual({ expunged: [id], not_found: ['evt_unknown', theirs.body.id] });
  const row = () =>
    service.pool.query(
      `select e.*, d.status, d.reason, d.ended_at, d.expunged_at as marked_at,
         (select count(*) from audit_records where target = e.id) as audits
       from events e join deliveries d on d.event_id = e.id where e.id = $1`,
      [id],
    );
  const { rows: before } = await row();
  const again = await expunge(...ids);
  expect(again.body).toEqual(first.body);
  expect((await row()).rows).toEqual(before);
  expect(before).toMatchObject([{ audits: '1', status: 'canceled' }]);
  const untouched = await call(service.apiUrl, stranger.key, 'GET', `/v1/events/${theirs.body.id}`);
  expect(untouched.body).toMatchObject({ expunged_at: null, data: event.data });
});

test('an expunged id that is published again is a duplicate and sends nothing, also at the same moment', async () => {
  await service.newWebhook(receiver.url);
  const { id, deliveryId } = await publish();
  await waitForStatus(service, deliveryId, 'delivered');
  const publishAgain = (more = {}) =>
    service.call<{ duplicate: boolean; deliveries: unknown[] }>('POST', '/v1/events', {
      ...event,
      id,
      ...more,
    });
  const [, ...during] = await Promise.all([expunge(id), ...Array.from({ length: 20 }, () => publishAgain())]);
  for (const { status, body } of [
    ...during,
    await publishAgain(),
    await publishAgain({ labels: [], data: { ...event.data, document_id: 'doc_2' } }),
  ])
    expect([status, body.duplicate, body.deliveries.length]).toEqual([202, true, 1]);
  const conflict = await publishAgain({
    event: 'document.deleted',
    data: { document_id: 'd', dataset_id: 'd' },
  });
  expect(conflict.status).toBe(409);
  const batch = await service.call<{ data: unknown[] }>('POST', '/v1/events/batch', {
    events: [{ ...event, id }],
  });
  expect(batch.body.data).toMatchObject([{ status: 202, duplicate: true }]);
  await delay(500);
  expect(receiver.requests).toHaveLength(1);
  expect(await tablesWith(service.pool, [marker])).toEqual([]);
});

test.each([
  [200, 'delivered', null],
  [503, 'canceled', 'expunged'],
  [400, 'canceled', 'expunged'],
])('a response of %i to a request that was under way is not stored: %s', async (code, status, reason) => {
  await service.newWebhook(`${receiver.url}/slow`);
  const { id, deliveryId } = await publish();
  await until(
    () => slow.length,
    (length) => length === 1,
  );
  await expunge(id);
  expect(await readDelivery(service, deliveryId)).toMatchObject({ status: 'canceled', reason: 'expunged' });
  slow[0]?.writeHead(code).end(marker);
  await until(
    () => readDelivery(service, deliveryId),
    ({ attempts }) => attempts.length === 1,
  );
  const ended = await readDelivery(service, deliveryId);
  expect(ended).toMatchObject({ status, reason, attempts: [{ status_code: code, response: null }] });
  expect(await tablesWith(service.pool, [marker])).toEqual([]);
  await until(
    () => workflowRuns(deliveryId),
    (isRunning) => !isRunning,
  );
});

const workflowRuns = async (deliveryId: string) => {
  const { workflow } = await readDelivery(service, deliveryId);
  const { status } = await service.temporal.client.workflow.getHandle(workflow.id).describe();
  return status.name === 'RUNNING';
};

test('a response is not stored either where the delivery was canceled before', async () => {
  await service.newWebhook(`${receiver.url}/slow`);
  const { id, deliveryId } = await publish();
  await until(
    () => slow.length,
    (length) => length === 1,
  );
  await service.pool.query(
    `update deliveries set status = 'canceled', reason = 'canceled', ended_at = now(), reconcile_at = now() where id = $1`,
    [deliveryId],
  );
  await expunge(id);
  slow[0]?.writeHead(200).end(marker);
  await until(
    () => readDelivery(service, deliveryId),
    ({ attempts }) => attempts.length === 1,
  );
  expect(await tablesWith(service.pool, [marker])).toEqual([]);
});

test('an expunged event is not sent again: by retry, resend, recovery or a signed request', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(`${receiver.url}/refuses`);
  const { id, deliveryId } = await publish();
  const missed = await service.publish({ ...event, id: newId('evt') });
  await waitForStatus(service, deliveryId, 'failed');
  await waitForStatus(service, missed.deliveries[0]?.id ?? '', 'failed');
  await service.pool.query(`delete from deliveries where event_id = $1`, [missed.id]);
  await expunge(id, missed.id);

  for (const path of ['retry', 'retry?force=true', 'signed-request']) {
    const refused = await service.call('POST', `/v1/deliveries/${deliveryId}/${path}`);
    expect([refused.status, refused.body]).toMatchObject([409, { code: 'payload_removed' }]);
  }
  const resend = await service.call<{ id: string }>('POST', '/v1/deliveries/actions', {
    action: 'resend',
    filter: { ids: [deliveryId], since: '2020-01-01T00:00:00Z' },
  });
  const operation = await until(
    () => service.call<{ status: string }>('GET', `/v1/operations/${resend.body.id}`),
    ({ body }) => body.status === 'completed',
  );
  expect(operation.body).toMatchObject({
    done: 0,
    failed: 1,
    failures: [{ reason: 'payload_removed', count: 1 }],
  });
  const recovery = await service.call('POST', `/v1/webhooks/${webhookId}/recover`, {
    since: '2020-01-01T00:00:00Z',
    dry_run: true,
  });
  expect(recovery.body).toMatchObject({ total: 0 });
  expect(receiver.requests).toHaveLength(2);
});

test('a delivery that waited, and one that is released: neither goes', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url, { active: false });
  const { id, deliveryId } = await publish();
  await expunge(id);
  const refused = await service.call('POST', `/v1/deliveries/${deliveryId}/retry`);
  expect([refused.status, refused.body]).toMatchObject([409, { code: 'payload_removed' }]);
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: true });
  const next = await publish({ id: newId('evt') });
  await waitForStatus(service, next.deliveryId, 'delivered');
  expect(await readDelivery(service, deliveryId)).toMatchObject({ status: 'canceled', attempts: [] });
  expect(receiver.requests).toHaveLength(1);
});

test('a delivery that waits for its time ends, and one that was added or begun again meanwhile is not sent', async () => {
  await service.newWebhook(receiver.url);
  const deliverAt = new Date(Date.now() + 3_600_000).toISOString();
  const { id, deliveryId } = await publish({ deliver_at: deliverAt });
  await expunge(id);
  expect(await readDelivery(service, deliveryId)).toMatchObject({ status: 'canceled', reason: 'expunged' });

  await service.newWebhook(`${receiver.url}/fails`, { events: ['dataset.deleted'] });
  const late = await service.publish({ event: 'dataset.deleted', data: { dataset_id: marker } });
  const ids = late.deliveries.map((each) => each.id);
  for (const each of ids)
    await until(
      () => readDelivery(service, each),
      ({ attempts }) => attempts.length === 1,
    );
  const retrying =
    late.deliveries.find((each) => each.webhook_id !== late.deliveries[0]?.webhook_id)?.id ?? '';
  // As where the row of the delivery is written by a statement that began before.
  await service.pool.query(`update events set body = null, expunged_at = now() where id = $1`, [late.id]);
  await service.temporal.client.workflow.getHandle(retrying).signal('retryNow');
  expect((await waitForStatus(service, retrying, 'canceled')).reason).toBe('expunged');
  expect(receiver.requests.filter(({ path }) => path === '/fails')).toHaveLength(1);
});

test('two processes: the one that makes an attempt is killed after the other has expunged its event', async () => {
  const own = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '1' }, null);
  const processes: ServiceProcess[] = [];
  onTestFinished(async () => {
    for (const child of processes) child.kill('SIGKILL');
    await Promise.all(processes.map((child) => child.exited()));
    await own.stop();
  });
  const start = (command: string) => {
    const child = startProcess([command], own.env);
    processes.push(child);
    return child;
  };
  start('api');
  const worker = start('worker');
  await untilReady(own.apiUrl);
  await own.newWebhook(`${receiver.url}/slow`);
  const { id, deliveries } = await own.publish(event);
  const deliveryId = deliveries[0]?.id ?? '';
  await until(
    () => slow.length,
    (length) => length === 1,
  );
  const done = await own.call('POST', '/v1/events/expunge', { ids: [id] });
  expect(done.body).toEqual({ expunged: [id], not_found: [] });
  worker.kill('SIGKILL');
  await worker.exited();
  start('worker');
  await until(
    async () =>
      (
        await own.pool.query(`select 1 from deliveries where id = $1 and reconcile_at is not null`, [
          deliveryId,
        ])
      ).rowCount,
    (count) => count === 0,
  );
  expect(await readDelivery(own, deliveryId)).toMatchObject({
    status: 'canceled',
    reason: 'expunged',
    attempts: [],
  });
  expect(slow).toHaveLength(1);
  expect(await tablesWith(own.pool, [marker])).toEqual([]);
});

test('a line continues without its expunged deliveries: head under way, waiting, or failed and blocking', async () => {
  const ordered = { ordering: 'by_key', on_failure: 'block' };
  const { webhook_id: webhookId } = await service.newWebhook(`${receiver.url}/slow`, ordered);
  const [first, second, third] = [await publish(), await publish(), await publish()];
  await until(
    () => slow.length,
    (length) => length === 1,
  );
  await expunge(first.id, second.id);
  // The request of the head is under way: the next one waits for its end.
  slow[0]?.writeHead(503).end(marker);
  await until(
    () => slow.length,
    (length) => length === 2,
  );
  slow[1]?.end();
  await waitForStatus(service, third.deliveryId, 'delivered');
  for (const { deliveryId } of [first, second])
    expect(await readDelivery(service, deliveryId)).toMatchObject({ status: 'canceled', reason: 'expunged' });

  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { url: `${receiver.url}/refuses` });
  const [failing, next] = [await publish(), await publish()];
  await waitForStatus(service, failing.deliveryId, 'failed');
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { url: receiver.url });
  expect((await readDelivery(service, next.deliveryId)).attempts).toEqual([]);
  await expunge(failing.id);
  await waitForStatus(service, next.deliveryId, 'delivered');
  expect((await readDelivery(service, failing.deliveryId)).status).toBe('failed');

  await expunge(third.id, next.id);
  await until(
    () => tablesWith(service.pool, [marker]),
    (tables) => tables.length === 0,
  );
});

test('a call that is cut off half-way is repeated, and then all is done', async () => {
  await service.newWebhook(`${receiver.url}/fails`, { events: ['document.uploaded'] });
  const published = await service.call<{ data: { id: string; deliveries: { id: string }[] }[] }>(
    'POST',
    '/v1/events/batch',
    {
      events: Array.from({ length: 60 }, () => ({
        ...event,
        data: { document_id: marker, dataset_id: 'ds_1' },
      })),
    },
  );
  const ids = published.body.data.map(({ id }) => id);
  // Another transaction holds the last one, so that the call waits there.
  const client = new pg.Client(connectionOptions(service.databaseUrl));
  await client.connect();
  onTestFinished(() => client.end());
  await client.query('begin');
  await client.query(`select 1 from events where id = $1 for update`, [ids.at(-1)]);
  const cut = expunge(...ids);
  const waiting = await until(
    async () =>
      (
        await service.pool.query<{ pid: number }>(
          `select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()
             and query like '%from events where account_id%for update'`,
        )
      ).rows,
    (rows) => rows.length === 1,
  );
  await service.pool.query(`select pg_terminate_backend($1)`, [waiting[0]?.pid]);
  expect((await cut).status).toBe(503);
  await client.query('rollback');
  const countLeft = async () =>
    (
      await service.pool.query<{ count: number }>(
        `select count(*)::int as count from events where id = any($1) and body is not null`,
        [ids],
      )
    ).rows[0]?.count;
  expect(await countLeft()).toBe(20);
  expect((await expunge(...ids)).body).toEqual({ expunged: ids, not_found: [] });
  expect(await countLeft()).toBe(0);
  expect(await tablesWith(service.pool, [marker])).toEqual([]);
  const { rows } = await service.pool.query<{ count: number }>(
    `select count(*)::int as count from audit_records where target = any($1)`,
    [ids],
  );
  expect(rows[0]?.count).toBe(60);
  for (const { deliveries } of published.body.data.slice(-3))
    await waitForStatus(service, deliveries[0]?.id ?? '', 'canceled');
});

test('who may: a key that only publishes or reads may not, a portal session neither; a service key for its account', async () => {
  await service.newWebhook(receiver.url);
  const { id } = await publish();
  const request = ['POST', '/v1/events/expunge', { ids: [id] }] as const;
  for (const scopes of [['events:write'], ['webhooks:read']] as const) {
    const key = await service.newKey({ accountId: service.accountId, scopes });
    expect((await call(service.apiUrl, key, ...request)).body).toMatchObject({ code: 'missing_scope' });
  }
  const serviceKey = await service.newKey({ accountId: null });
  const without = await call(service.apiUrl, serviceKey, ...request);
  expect(without.body).toMatchObject({ code: 'account_key_required' });
  const other = await service.newAccount();
  const asOther = await call<ExpungedEvents>(service.apiUrl, serviceKey, ...request, {
    'fltr-account': other.accountId,
  });
  expect(asOther.body).toEqual({ expunged: [], not_found: [id] });
  const asOwner = await call<ExpungedEvents>(service.apiUrl, serviceKey, ...request, {
    'fltr-account': service.accountId,
  });
  expect(asOwner.body).toEqual({ expunged: [id], not_found: [] });
});

test.each([
  ['no ids', { ids: [] }, '/ids'],
  ['501 ids', { ids: Array.from({ length: 501 }, (_, index) => `evt_${index}`) }, '/ids'],
  ['an id that cannot be one', { ids: ['evt_1', 'a b'] }, '/ids/1'],
  ['an unknown field', { ids: ['evt_1'], id: 'evt_2' }, '/id'],
])('%s: 422 with its pointer', async (_name, body, pointer) => {
  const response = await service.call<{ errors: { pointer: string }[] }>('POST', '/v1/events/expunge', body);
  expect([response.status, response.body.errors.map((each) => each.pointer)]).toEqual([422, [pointer]]);
});

test('500 of the longest ids are allowed', async () => {
  const ids = Array.from({ length: 500 }, (_, index) => String(index).padStart(100, 'x'));
  const response = await expunge(...ids);
  expect([response.status, response.body.not_found.length]).toEqual([200, 500]);
});

test('an expunge beside deliveries under way: none is left waiting or with a response', async () => {
  await service.newWebhook(receiver.url);
  const published = Array.from({ length: 100 }, () => service.publish(event));
  const ids: string[] = [];
  for (const each of published) ids.push((await each).id);
  await expunge(...ids);
  const { rows } = await service.pool.query<DeliverySummary>(
    `select status, reason from deliveries where event_id = any($1)`,
    [ids],
  );
  expect(rows).toHaveLength(100);
  for (const row of rows) expect(['delivered', 'canceled']).toContain(row.status);
  await until(
    async () =>
      (
        await service.pool.query(
          `select 1 from deliveries where event_id = any($1) and reconcile_at is not null`,
          [ids],
        )
      ).rowCount,
    (count) => count === 0,
  );
  expect(await tablesWith(service.pool, [marker])).toEqual([]);
});
