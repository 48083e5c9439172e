import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Delivery } from '../../src/contracts/delivery.ts';
import { keptTables, nextStep, removeOld, tablesWithRemoval } from '../../src/db/retention.ts';
import { idFloor, type IdPrefix } from '../../src/domain/ids.ts';
import { packageRoot } from '../../src/package-root.ts';
import { ensureSchedules } from '../../src/temporal/schedules.ts';
import { taskQueue } from '../../workflows/contract.ts';
import { publishOne, waitForStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService({ FLTR_AUTO_DISABLE_EVERY_SECONDS: '86400' }),
    startReceiver(),
  ]);
});
afterAll(() => stopAll(service, receiver));
afterEach(async () => {
  for (const table of tablesWithRemoval) await service.pool.query(`delete from ${table}`);
});

const dayMs = 86_400_000;
const daysAgo = (days: number) => new Date(Date.now() - days * dayMs);
let made = 0;
/** An id as if it had been made then. */
function idOf(prefix: IdPrefix, at: Date): string {
  made += 1;
  return idFloor(prefix, at).slice(0, -8) + String(made).padStart(8, '0');
}

async function insert(table: string, row: Record<string, unknown>): Promise<void> {
  const names = Object.keys(row);
  await service.pool.query(
    `insert into ${table} (${names.map((name) => `"${name}"`).join(', ')})
     values (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
    Object.values(row),
  );
}

async function insertEvent(at: Date): Promise<string> {
  const id = idOf('evt', at);
  await insert('events', {
    account_id: service.accountId,
    id,
    type: 'document.deleted',
    timestamp: at.toISOString(),
    body: Buffer.from('{"data":{}}'),
    created_at: at,
  });
  return id;
}

/** One attempt with a response, a year old or as old as the delivery. */
async function insertDelivery(
  eventId: string,
  at: Date,
  status: string,
  endedAt: Date | null,
  webhookId = 'wh_1',
): Promise<string> {
  const id = idOf('dlv', at);
  await insert('deliveries', {
    id,
    account_id: service.accountId,
    webhook_id: webhookId,
    event_id: eventId,
    event_type: 'document.deleted',
    status,
    created_at: at,
    ended_at: endedAt,
    owner_id: id,
    next_attempt_at: status === 'retrying' ? new Date(Date.now() + 86_400_000) : null,
    wait_reason: status === 'retrying' ? 'retry' : null,
    held_until: status === 'held' ? new Date(Date.now() + 86_400_000) : null,
    reconcile_at: endedAt === null ? new Date(Date.now() + 86_400_000) : null,
  });
  await insert('attempts', {
    url: 'https://your-app.com/webhooks/fltr',
    format: 'fltr',
    body_bytes: 100,
    id: idOf('att', at),
    delivery_id: id,
    webhook_id: webhookId,
    number: 1,
    started_at: at,
    duration_ms: 1,
    status_code: 200,
    outcome: 'delivered',
    response_headers: '{}',
    response_body: Buffer.from('ok'),
  });
  return id;
}

async function insertWebhook(deletedAt: Date | null): Promise<string> {
  const id = idOf('wh', new Date());
  await insert('webhooks', {
    id,
    account_id: service.accountId,
    url: 'https://example.com/',
    events: ['*'],
    active: false,
    sealed_secret: deletedAt ? null : 'sealed',
    deleted_at: deletedAt,
  });
  await insert('rate_limit_queues', { webhook_id: id, check_at: new Date(Date.now() + 86_400_000) });
  return id;
}

/** As the schedule runs it. */
async function removeOldRows(): Promise<number> {
  const { removed } = (await service.temporal.client.workflow.execute('removeOldRows', {
    taskQueue,
    workflowId: `remove-${randomUUID()}`,
    args: [{ step: null, removed: 0 }],
  })) as { removed: number };
  return removed;
}

const idsIn = async (table: string, column = 'id') =>
  (await service.pool.query<{ id: string }>(`select ${column} as id from ${table} order by 1`)).rows.map(
    ({ id }) => id,
  );

test('each table of the schema has a rule: rows go, or a reason why they stay', async () => {
  const { rows } = await service.pool.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = 'public' order by 1`,
  );
  const ruled = [...tablesWithRemoval, ...Object.keys(keptTables)];
  // A new table belongs to src/db/retention.ts.
  expect(ruled.toSorted()).toEqual(rows.map(({ name }) => name));
  expect(new Set(ruled).size).toBe(ruled.length);
});

test('docs/privacy.md names each table that holds more than ids, numbers, names of types and times', async () => {
  const page = readFileSync(join(packageRoot, 'docs/privacy.md'), 'utf8');
  const { rows } = await service.pool.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = 'public' order by 1`,
  );
  const unnamed = rows
    .map(({ name }) => name)
    .filter((name) => !new RegExp(`[\x60.]${name}[\x60.]`).test(page));
  expect(unnamed).toEqual([
    'applied_settings',
    'encryption_keys',
    'event_type_stats',
    'event_types',
    'event_types_version',
    'failure_counts',
    'migrations',
    'rate_limit_grants',
    'rate_limit_queues',
    'webhook_stats',
    'webhook_stats_hours',
  ]);
});

test('exactly the old rows of each table are removed', async () => {
  const [old, young] = [daysAgo(91), daysAgo(89)];
  const oldEvent = await insertEvent(old);
  await insertDelivery(oldEvent, old, 'delivered', old);
  await insertDelivery(oldEvent, old, 'failed', old, 'wh_2');
  await insertDelivery(oldEvent, old, 'canceled', old, 'wh_3');
  // Began long ago, ended lately.
  const lateEvent = await insertEvent(old);
  const late = await insertDelivery(lateEvent, old, 'failed', young);
  await insertDelivery(lateEvent, old, 'delivered', old, 'wh_2');
  const [youngEvent, lonelyYoungEvent] = [await insertEvent(young), await insertEvent(young)];
  const kept = await insertDelivery(youngEvent, young, 'delivered', young);
  await insertEvent(old);

  const recovery = (endedAt: Date | null, webhookId: string) => {
    const id = idOf('rec', old);
    return insert('operations', {
      action: 'recover',
      per_second: 50,
      id,
      account_id: service.accountId,
      webhook_id: webhookId,
      requested_by: 'key_1',
      status: endedAt ? 'completed' : 'paused',
      dry_run: false,
      since: old,
      until: old,
      filters: ['*'],
      total: 0,
      created_at: old,
      ended_at: endedAt,
    }).then(() => id);
  };
  await insertWebhook(old);
  const [lately, stillThere, recovered] = [
    await insertWebhook(young),
    await insertWebhook(null),
    await insertWebhook(old),
  ];
  await recovery(old, recovered);
  const recoveries = [await recovery(young, recovered), await recovery(null, recovered)];
  const stats = { activation: 0, attempts: 1, delivered: 1, failed: 0, durations: [1] };
  await insert('webhook_stats', { webhook_id: 'wh_1', minute: daysAgo(3), ...stats });
  await insert('webhook_stats', { webhook_id: 'wh_2', minute: daysAgo(1), ...stats });
  const audit = async (at: Date) => {
    const id = idOf('aud', at);
    await insert('audit_records', { id, actor: 'a', action: 'b', target: 'c', created_at: at });
    return id;
  };
  await audit(old);
  const audited = await audit(young);
  const key = (name: string, at: Date) =>
    insert('idempotency_keys', {
      account_id: 'acc_1',
      api_key_id: 'key_1',
      route: 'publishEvent',
      key: name,
      request_digest: Buffer.from('x'),
      created_at: at,
    });
  await key('old', daysAgo(1.1));
  await key('young', daysAgo(0.9));

  await removeOldRows();
  expect(await idsIn('deliveries')).toEqual([late, kept].sort());
  expect(await idsIn('attempts', 'delivery_id')).toEqual([late, kept].sort());
  expect(await idsIn('events')).toEqual([lateEvent, youngEvent, lonelyYoungEvent].sort());
  expect(await idsIn('operations')).toEqual(recoveries.toSorted());
  expect(await idsIn('webhooks')).toEqual([lately, stillThere, recovered].sort());
  expect(await idsIn('rate_limit_queues', 'webhook_id')).toEqual([lately, stillThere, recovered].sort());
  expect(await idsIn('webhook_stats', 'webhook_id')).toEqual(['wh_2']);
  expect(await idsIn('audit_records')).toEqual([audited]);
  expect(await idsIn('idempotency_keys', 'key')).toEqual(['young']);
  expect(await removeOldRows()).toBe(0);
});

test('waiting deliveries stay, with their bodies, however old they are', async () => {
  const old = daysAgo(400);
  for (const status of ['pending', 'retrying', 'held']) {
    const event = await insertEvent(old);
    await insertDelivery(event, old, status, null);
  }
  await removeOldRows();
  expect(await idsIn('deliveries')).toHaveLength(3);
  const { rowCount } = await service.pool.query(`select 1 from events where body is not null`);
  expect(rowCount).toBe(3);
});

test('a retention of 0 keeps rows for ever, except those without use after their time', async () => {
  const old = daysAgo(4000);
  const event = await insertEvent(old);
  await insertDelivery(event, old, 'delivered', old);
  await insert('audit_records', {
    id: idOf('aud', old),
    actor: 'a',
    action: 'b',
    target: 'c',
    created_at: old,
  });
  await insert('idempotency_keys', {
    account_id: 'acc_1',
    api_key_id: 'key_1',
    route: 'publishEvent',
    key: 'old',
    request_digest: Buffer.from('x'),
    created_at: old,
  });
  const removed: string[] = [];
  for (let step = nextStep(null); step !== null; step = nextStep(step))
    if ((await removeOld(service.pool, step, { payloadDays: 0, days: 0 }, 100)) > 0) removed.push(step);
  expect(removed).toEqual(['idempotency keys']);
});

test('2,500 old rows are removed in batches, and locked ones are skipped', async () => {
  await service.pool.query(
    `insert into events (account_id, id, type, "timestamp", body, created_at)
     select $1, 'evt_' || n, 'document.deleted', '', '{}', $2 from generate_series(1, 2500) as n`,
    [service.accountId, daysAgo(91)],
  );
  await service.pool.query(
    `insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at, ended_at, owner_id)
     select $3 || lpad(n::text, 8, '0'), $1, 'wh_1', 'evt_' || n, 'document.deleted', 'delivered', $2, $2, null
     from generate_series(1, 2500) as n`,
    [service.accountId, daysAgo(91), idFloor('dlv', daysAgo(91)).slice(0, -8)],
  );
  const client = await service.pool.connect();
  await client.query('begin');
  await client.query(`select 1 from deliveries where event_id = 'evt_7' for update`);
  // Bodies, deliveries, events: each 2,500, less the one that is in use.
  expect(await removeOldRows()).toBe(2500 + 2499 + 2499);
  await client.query('commit');
  client.release();
  expect(await removeOldRows()).toBe(2);
});

test('an event whose body was removed is shown so, is not sent again, and its id stays in use', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  const data = { document_id: 'doc_1', dataset_id: 'ds_1' };
  const id = await publishOne(service, { id: 'evt_aged', timestamp: '2024-01-10T12:00:00Z', data });
  const before = await waitForStatus(service, id, 'delivered');
  expect(before.attempts[0]?.response?.body).toBe('ok');
  await service.pool.query(`update events set created_at = $1`, [daysAgo(31)]);
  await service.pool.query(`update attempts set started_at = $1`, [daysAgo(31)]);
  expect(await removeOldRows()).toBe(2);

  const event = await service.call<{ data: unknown; event: string }>('GET', '/v1/events/evt_aged');
  expect([event.status, event.body.event, event.body.data]).toEqual([200, 'document.deleted', null]);
  expect((await service.call<{ data: unknown[] }>('GET', '/v1/events')).body.data).toHaveLength(1);
  const after = (await service.call<Delivery>('GET', `/v1/deliveries/${id}`)).body;
  expect(after.timeline).toEqual(before.timeline);
  expect(after.attempts).toEqual(before.attempts.map((attempt) => ({ ...attempt, response: null })));

  const retried = await service.call<{ code: string; detail: string }>(
    'POST',
    `/v1/deliveries/${id}/retry?force=true`,
  );
  expect([retried.status, retried.body.code]).toEqual([409, 'payload_removed']);
  expect(retried.body.detail).toMatch(/past its retention/);
  const again = { event: 'document.deleted', id: 'evt_aged', data };
  expect(await service.publish(again)).toMatchObject({ duplicate: true, deliveries: [{ id }] });
  expect((await service.publish({ ...again, timestamp: '2024-01-10T12:00:00Z' })).duplicate).toBe(true);
  for (const other of [
    { ...again, timestamp: '2024-01-10T12:00:01Z' },
    { ...again, event: 'dataset.deleted', data: { dataset_id: 'ds_1' } },
  ])
    expect((await service.call('POST', '/v1/events', other)).status).toBe(409);

  await service.pool.query(`update deliveries set status = 'failed'`);
  const recovery = await service.call<{ total: number }>('POST', `/v1/webhooks/${webhookId}/recover`, {
    since: '2020-01-01T00:00:00Z',
    dry_run: true,
  });
  expect(recovery.body.total).toBe(0);
  expect(receiver.requests).toHaveLength(1);
});

test('a delivery whose body is gone all the same ends canceled, with the reason', async () => {
  const failing = await startReceiver((_request, response) => {
    response.writeHead(503).end();
  });
  onTestFinished(() => failing.close());
  await service.newWebhook(failing.url, { events: ['dataset.deleted'] });
  const { deliveries } = await service.publish({ event: 'dataset.deleted', data: { dataset_id: 'ds_1' } });
  const id = deliveries.at(-1)?.id ?? '';
  await waitForStatus(service, id, 'retrying');
  await service.pool.query(`update events set body = null`);
  await service.temporal.client.workflow.getHandle(id).signal('retryNow');
  expect(await waitForStatus(service, id, 'canceled')).toMatchObject({ reason: 'payload_removed' });
  expect(failing.requests).toHaveLength(1);
});

test('the schedule is there, runs the workflow, and ten processes at once leave it as one wants it', async () => {
  const handle = service.temporal.client.schedule.getHandle('remove-old-rows');
  const description = await until(
    () => handle.describe().catch(() => null),
    (found) => found !== null,
  );
  expect(description).toMatchObject({
    spec: { intervals: [{ every: 3_600_000 }] },
    action: { type: 'startWorkflow', workflowType: 'removeOldRows' },
    policies: { overlap: 'SKIP' },
  });
  const old = daysAgo(91);
  await insertEvent(old);
  await handle.trigger();
  await until(
    () => idsIn('events'),
    (ids) => ids.length === 0,
  );
  await handle.pause('by an operator');
  const wanted = [
    {
      id: 'remove-old-rows',
      workflowType: 'removeOldRows',
      args: [{ step: null, removed: 0 }],
      everySeconds: 60,
    },
    { id: `other-${randomUUID()}`, workflowType: 'removeOldRows', args: [], everySeconds: 86_400 },
  ];
  await Promise.all(Array.from({ length: 10 }, () => ensureSchedules(service.temporal, wanted)));
  const changed = await until(
    () => handle.describe(),
    ({ spec }) => spec.intervals?.[0]?.every === 60_000,
  );
  expect(changed.state).toMatchObject({ paused: true, note: 'by an operator' });
});
