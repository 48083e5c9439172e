import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { checkEncryptionKeys } from '../../src/db/encryption-keys.ts';
import { insertEvents } from '../../src/db/insert-events.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { findEvent } from '../../src/db/event-log.ts';
import { listAttempts } from '../../src/db/attempts.ts';
import { reencrypt } from '../../src/db/reencrypt-secrets.ts';
import { reencryptPayloads } from '../../src/db/reencrypt-payloads.ts';
import { newId } from '../../src/domain/ids.ts';
import { createLog } from '../../src/observability/log.ts';
import { createPayloadBox, type PayloadBox } from '../../src/security/payload-box.ts';
import { createSecretBox } from '../../src/security/secret-box.ts';
import { createMigratedDatabase } from '../kit/database.ts';
import { publishOne, readDelivery, waitForAll, waitForStatus } from '../kit/delivery-steps.ts';
import { tablesWith } from '../kit/find-text.ts';
import { install, publishInto } from '../kit/outbox.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

let marker = '';
let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService({
      FLTR_ENCRYPT_PAYLOADS: 'true',
      FLTR_OUTBOX_URLS: 'service',
      FLTR_RETRY_SCHEDULE_SECONDS: '3600',
    }),
    startReceiver((request, response) => {
      response.setHeader('x-note', marker);
      response.writeHead(request.path === '/refuses' ? 400 : 200).end(marker);
    }),
  ]);
});
afterAll(() => stopAll(service, receiver));
beforeEach(async () => {
  marker = `marker-${randomUUID()}`;
  receiver.requests.length = 0;
  const { body } = await service.call<{ data: { webhook_id: string }[] }>('GET', '/v1/webhooks');
  for (const { webhook_id: id } of body.data) await service.call('DELETE', `/v1/webhooks/${id}`);
});

const newEvent = (more: Record<string, unknown> = {}) => ({
  event: 'document.deleted',
  data: { document_id: marker, dataset_id: 'ds_1' },
  ...more,
});

test('bodies and responses are not in the database as text, and are read and sent as ever', async () => {
  await service.newWebhook(receiver.url);
  const id = newId('evt');
  const deliveryId = await publishOne(service, newEvent({ id }));
  const batch = await service.call<{ data: { id: string; deliveries: { id: string }[] }[] }>(
    'POST',
    '/v1/events/batch',
    { events: [newEvent(), newEvent()] },
    { 'idempotency-key': newId('evt') },
  );
  const ids = batch.body.data.flatMap(({ deliveries }) => deliveries.map((each) => each.id));
  await waitForStatus(service, deliveryId, 'delivered');
  await waitForAll(service, ids, 'delivered', 1);

  expect(await tablesWith(service.pool, [marker])).toEqual([]);
  const { rows } = await service.pool.query<{ first: number }>(
    `select get_byte(body, 0) as first from events union all select get_byte(response_body, 0) from attempts`,
  );
  expect(rows).toHaveLength(6);
  expect(new Set(rows.map(({ first }) => first))).toEqual(new Set([1]));

  const sent = receiver.requests.find(({ headers }) => headers['webhook-id'] === id);
  const shown = await service.call<{ body: string }>('GET', `/v1/events/${id}`);
  expect(shown.body).toMatchObject({ data: { document_id: marker }, body: sent?.body.toString() });
  const delivery = await readDelivery(service, deliveryId);
  expect(delivery.attempts).toMatchObject([
    {
      response: { body: marker, truncated: false, headers: { 'x-note': marker } },
      request: { body_bytes: sent?.body.length },
    },
  ]);
  const signed = await service.call('POST', `/v1/deliveries/${deliveryId}/signed-request`);
  expect(signed.body).toMatchObject({ body: sent?.body.toString() });
  const found = await service.call('GET', `/v1/search?q=${marker}`);
  expect(found.text).toContain(id);

  expect(await service.publish(newEvent({ id }))).toMatchObject({ duplicate: true });
  const other = newEvent({ id, data: { document_id: 'other', dataset_id: 'ds_1' } });
  expect((await service.call('POST', '/v1/events', other)).status).toBe(409);
  const retried = await service.call('POST', `/v1/deliveries/${deliveryId}/retry?force=true`);
  expect(retried.status).toBe(202);
  await waitForStatus(service, deliveryId, 'delivered', 2);
  const bodies = receiver.requests.filter(({ headers }) => headers['webhook-id'] === id);
  expect(bodies[1]?.body).toEqual(bodies[0]?.body);
});

test('a burst that groups deliver, and a recovery by a filter that reads the data', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  const events = Array.from({ length: 300 }, (_, index) =>
    newEvent({ data: { document_id: marker, dataset_id: `ds_burst_${index % 3}` } }),
  );
  const batch = await service.call<{ data: { deliveries: { id: string }[] }[] }>('POST', '/v1/events/batch', {
    events,
  });
  const ids = batch.body.data.flatMap(({ deliveries }) => deliveries.map((each) => each.id));
  await waitForAll(service, ids, 'delivered', 1);
  expect(new Set(receiver.requests.map(({ headers }) => headers['webhook-id'])).size).toBe(300);
  for (const { body } of receiver.requests) expect(body.toString()).toContain(marker);
  const filter = { path: '/data/dataset_id', op: 'eq', value: 'ds_burst_1' };
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { filter });
  await service.pool.query(`delete from deliveries where webhook_id = $1`, [webhookId]);
  const recovery = await service.call<{ total: number }>('POST', `/v1/webhooks/${webhookId}/recover`, {
    since: new Date(Date.now() - 3_600_000).toISOString(),
    only: 'missed',
    dry_run: true,
  });
  expect([recovery.status, recovery.body.total]).toEqual([200, 100]);
});

test('events of the outbox and of the service itself are sealed too', async () => {
  await service.newWebhook(receiver.url, { events: ['*', 'delivery.failed'] });
  await service.newWebhook(`${receiver.url}/refuses`, { events: ['document.*'] });
  await install(service.pool);
  const id = await publishInto(service.pool, service.accountId, {
    data: JSON.stringify({ document_id: marker, dataset_id: 'ds_1' }),
  });
  await until(
    () => receiver.requests.filter(({ body }) => body.includes(id)),
    // To both, and `delivery.failed` about the one that refuses.
    (requests) => requests.length === 3,
  );
  await until(
    () => tablesWith(service.pool, [marker]),
    (tables) => tables.length === 0,
  );
  expect((await service.call('GET', `/v1/events/${id}`)).body).toMatchObject({
    data: { document_id: marker },
  });
  const { rows } = await service.pool.query<{ sealed: boolean }>(
    `select get_byte(body, 0) = 1 as sealed from events where type = 'delivery.failed'`,
  );
  expect(rows).toEqual([{ sealed: true }]);
});

test('a body of another row, or a changed one, is neither shown nor sent', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url, { active: false });
  const [mine, other] = [newId('evt'), newId('evt')];
  const waiting = await publishOne(service, newEvent({ id: mine }));
  const deliverable = await publishOne(service, newEvent({ id: other }));
  const { rows } = await service.pool.query<{ body: Buffer }>(`select body from events where id = $1`, [
    mine,
  ]);
  await service.pool.query(`update events set body = (select body from events where id = $2) where id = $1`, [
    mine,
    other,
  ]);
  const shown = await service.call('GET', `/v1/events/${mine}`);
  expect([shown.status, shown.body]).toMatchObject([500, { code: 'internal_error' }]);
  expect(shown.text).not.toContain(marker);
  expect((await service.call('GET', `/v1/events/${other}`)).status).toBe(200);
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: true });
  await waitForStatus(service, deliverable, 'delivered');
  const idsSent = () => receiver.requests.map(({ headers }) => headers['webhook-id']);
  expect(idsSent()).toEqual([other]);
  // It waits until its body can be read, and is then delivered.
  await service.pool.query(`update events set body = $2 where id = $1`, [mine, rows[0]?.body]);
  await waitForStatus(service, waiting, 'delivered');
  expect(idsSent()).toEqual([other, mine]);
});

const keys = { old: { id: 'old', key: randomBytes(32) }, new: { id: 'new', key: randomBytes(32) } };

/** A database of its own, with pools that store as a process with those keys and that setting does. */
async function openDatabase() {
  const database = await createMigratedDatabase();
  const pools: Pool[] = [];
  onTestFinished(async () => {
    for (const pool of pools) await pool.end();
    await database.drop();
  });
  const as = (payloads: PayloadBox) => {
    const pool = createPool({
      databaseUrl: database.url,
      maxConnections: 2,
      onError: () => undefined,
      payloads,
    });
    pools.push(pool);
    return pool;
  };
  await database.pool.query(`insert into accounts (id, name) values ('acc_1', 'one')`);
  return { pool: database.pool, as };
}

const boxes = {
  old: createPayloadBox([keys.old], true),
  plain: createPayloadBox([keys.old], false),
  both: createPayloadBox([keys.new, keys.old], true),
  bothOff: createPayloadBox([keys.new, keys.old], false),
  new: createPayloadBox([keys.new], true),
};
const bodyOf = (id: string) => Buffer.from(JSON.stringify({ id, data: { marker } }));

async function insert(pool: Pool, ids: readonly string[]): Promise<void> {
  const { rows } = await pool.query<{ version: string }>(`select webhooks_version as version from accounts`);
  await insertEvents(pool, {
    accounts: [{ id: 'acc_1', webhooksVersion: rows[0]?.version ?? '' }],
    apiKeyIds: [],
    typesVersion: null,
    events: ids.map((id) => ({
      event: {
        accountId: 'acc_1',
        id,
        type: 'a.b',
        timestamp: null,
        acceptedTimestamp: 'now',
        body: bodyOf(id),
      },
      accountNumber: 1,
      keyNumber: null,
    })),
    deliveries: [],
  });
}

const keysIn = async (pool: Pool) =>
  (
    await pool.query<{ key: string; count: number }>(
      `select case when get_byte(body, 0) = 1 then convert_from(substring(body from 3 for 3), 'utf8') else 'plain' end as key,
         count(*)::int as count from events where body is not null group by 1 order by 1`,
    )
  ).rows.map(({ key, count }) => `${key} ${count}`);

const idsOf = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => `evt_${name}_${index}`);

test('payloads are sealed again with the new key, in batches; the setting decides about those that are not sealed', async () => {
  const { pool, as } = await openDatabase();
  await insert(as(boxes.old), idsOf('old', 250));
  await insert(as(boxes.plain), idsOf('plain', 120));
  await insert(as(boxes.new), idsOf('new', 30));
  await pool.query(`update events set body = null, expunged_at = now() where id = 'evt_old_7'`);
  const off = await reencryptPayloads(pool, boxes.bothOff);
  expect(off.bodies).toEqual({ other: 249, replaced: 249 });
  expect(await keysIn(pool)).toEqual(['new 279', 'plain 120']);
  const on = await reencryptPayloads(pool, boxes.both);
  expect(on.bodies).toEqual({ other: 0, replaced: 120 });
  expect(await keysIn(pool)).toEqual(['new 399']);
  expect((await reencryptPayloads(pool, boxes.both)).bodies).toEqual({ other: 0, replaced: 0 });
  expect(await tablesWith(pool, [marker])).toEqual([]);
  const reader = as(boxes.new);
  for (const id of ['evt_old_0', 'evt_plain_119', 'evt_new_3'])
    expect((await findEvent(reader, 'acc_1', id))?.body).toEqual(bodyOf(id));
  expect((await findEvent(reader, 'acc_1', 'evt_old_7'))?.body).toBeNull();
});

test('responses too, with their headers', async () => {
  const { pool, as } = await openDatabase();
  const insertAttempt = (number: number, headers: string | null, body: Buffer | null) =>
    pool.query(
      `insert into attempts (id, delivery_id, webhook_id, number, started_at, duration_ms, outcome, url, format, body_bytes,
         response_headers, response_body) values ('att_' || $1::int, 'dlv_1', 'wh_1', $1, now(), 1, 'failed', 'https://e.com', 'fltr', 1, $2, $3)`,
      [number, headers, body],
    );
  const headers = JSON.stringify({ 'x-note': marker });
  await insertAttempt(1, headers, Buffer.from(marker));
  await insertAttempt(2, null, null);
  const sealed = boxes.old.seal(Buffer.from(headers), 'response-headers:dlv_1:3').toString('base64');
  await insertAttempt(
    3,
    JSON.stringify(sealed),
    boxes.old.seal(Buffer.from(marker), 'response-body:dlv_1:3'),
  );
  expect((await reencryptPayloads(pool, boxes.both)).responses).toEqual({ other: 1, replaced: 2 });
  expect(await tablesWith(pool, [marker])).toEqual([]);
  const attempts = await listAttempts(as(boxes.new), 'dlv_1');
  const response = { headers: { 'x-note': marker }, body: Buffer.from(marker), truncated: false };
  expect(attempts.map((each) => each.response)).toEqual([response, null, response]);
});

test('two runs at once, and one that was interrupted: in the end all are sealed with the new key', async () => {
  const { pool, as } = await openDatabase();
  await insert(as(boxes.old), idsOf('old', 300));
  let calls = 0;
  const interrupted: PayloadBox = {
    ...boxes.both,
    seal(plain, context) {
      calls += 1;
      if (calls > 150) throw new Error('killed');
      return boxes.both.seal(plain, context);
    },
  };
  await expect(reencryptPayloads(pool, interrupted)).rejects.toThrow('killed');
  expect(await keysIn(pool)).toEqual(['new 100', 'old 200']);
  await Promise.all([reencryptPayloads(pool, boxes.both), reencryptPayloads(pool, boxes.both)]);
  expect(await keysIn(pool)).toEqual(['new 300']);
});

test('a start without the key of the newest payloads is refused, also where the table of keys no longer has it', async () => {
  const { pool, as } = await openDatabase();
  const [oldOnly, newOnly] = [createSecretBox([keys.old]), createSecretBox([keys.new])];
  await checkEncryptionKeys(pool, oldOnly);
  await expect(checkEncryptionKeys(pool, newOnly)).rejects.toThrow('lacks the key "old"');
  await reencrypt(pool, createSecretBox([keys.new, keys.old]), boxes.both, 'test');
  await checkEncryptionKeys(pool, newOnly);
  // A process that still has the old key first.
  await insert(as(boxes.old), idsOf('late', 1));
  await expect(checkEncryptionKeys(pool, newOnly)).rejects.toThrow('lacks the key "old"');
  await reencrypt(pool, createSecretBox([keys.new, keys.old]), boxes.both, 'test');
  await checkEncryptionKeys(pool, newOnly);
  expect(await keysIn(pool)).toEqual(['new 1']);
});

test('a duplicate that one process stored sealed and another compares plain, both ways', async () => {
  const env = { ...service.env, PORT: String(await reservePort()), FLTR_ENCRYPT_PAYLOADS: 'false' };
  const app = await startApp({
    config: readConfig(env),
    role: 'up',
    log: createLog('silent'),
    report: () => undefined,
    onFatal(error) {
      throw error;
    },
  });
  onTestFinished(() => app.stop());
  const plainUrl = app.apiUrl ?? '';
  await service.newWebhook(receiver.url);
  const ids = Array.from({ length: 20 }, () => newId('evt'));
  const publish = (url: string, id: string) =>
    call<{ duplicate: boolean; deliveries: { id: string }[] }>(
      url,
      service.key,
      'POST',
      '/v1/events',
      newEvent({ id }),
    );
  const deliveries: string[] = [];
  for (const [index, id] of ids.entries()) {
    const [first, second] = index % 2 === 0 ? [service.apiUrl, plainUrl] : [plainUrl, service.apiUrl];
    const { body } = await publish(first, id);
    deliveries.push(...body.deliveries.map((each) => each.id));
    expect((await publish(second, id)).body).toMatchObject({ duplicate: true });
  }
  await waitForAll(service, deliveries, 'delivered', 1);
  for (const id of ids)
    for (const url of [service.apiUrl, plainUrl])
      expect((await call(url, service.key, 'GET', `/v1/events/${id}`)).body).toMatchObject({
        data: { document_id: marker },
      });
  await until(
    () => receiver.requests.length,
    (count) => count === 20,
  );
});
