import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { asAdmin } from '../kit/database.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { startPublishers, type Publishers } from '../kit/publishers.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, until, untilReady, type Service } from '../kit/service.ts';

let service: Service;
let processes: ServiceProcess[];
beforeEach(async () => {
  processes = [];
  service = await startService({ LOG_LEVEL: 'warn' }, null);
});
afterEach(async () => {
  for (const child of processes) child.kill('SIGTERM');
  await Promise.all(processes.map((child) => child.exited()));
  await service.stop();
});

async function receive(): Promise<Receiver> {
  const receiver = await startReceiver();
  onTestFinished(() => receiver.close());
  return receiver;
}

async function up(env: Record<string, string> = service.env): Promise<ServiceProcess> {
  const child = startProcess(['up'], env);
  processes.push(child);
  await untilReady(`http://127.0.0.1:${env['PORT']}`, child);
  return child;
}

const databaseName = () => new URL(service.databaseUrl).pathname.slice(1);

const cutConnections = () =>
  asAdmin(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${databaseName()}'`);

/** Every call had a response that its producer can rely on, and accepted events have arrived. */
async function expectNothingLost(publishers: Publishers, receiver: Receiver): Promise<void> {
  const refused = publishers.responses.filter(({ status }) => status !== 202);
  expect(new Set(refused.map(({ status, code }) => `${status} ${code}`))).toEqual(
    new Set(refused.length > 0 ? ['503 unavailable'] : []),
  );
  expect(refused.filter(({ retryAfter }) => retryAfter === null)).toEqual([]);
  const accepted = publishers.accepted();
  const missing = () => {
    const received = new Set(receiver.requests.map(({ headers }) => headers['webhook-id']));
    return accepted.filter((id) => !received.has(id));
  };
  try {
    await until(missing, (ids) => ids.length === 0);
  } catch (error) {
    const log = processes.map((child) => child.output().slice(-20_000)).join('\n');
    throw new Error(`${missing().length} of ${accepted.length} events have not arrived. The log:\n${log}`, {
      cause: error,
    });
  }
}

test('cutting connections under publishers ends no process and loses nothing that was accepted', async () => {
  const receiver = await receive();
  const child = await up();
  await service.newWebhook(receiver.url);
  const publishers = startPublishers(service.apiUrl, service.key);
  for (let cut = 0; cut < 6; cut += 1) {
    await publishers.untilMore(10);
    await cutConnections();
    await delay(100);
  }
  await publishers.untilMore(10);
  await publishers.stop();
  expect(child.isRunning(), child.output()).toBe(true);
  await expectNothingLost(publishers, receiver);
});

test('embedded PostgreSQL, restarted and killed under load, comes back, and nothing is lost', async () => {
  const receiver = await receive();
  const dataDir = mkdtempSync(join(tmpdir(), 'fltr-database-lost-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const key = 'database_lost_development_key';
  const { DATABASE_URL: _shared, ...rest } = service.env;
  const child = await up({ ...rest, FLTR_DATA_DIR: dataDir, FLTR_DEV_KEY: key });
  const created = await call(service.apiUrl, key, 'POST', '/v1/webhooks', {
    url: receiver.url,
    events: ['*'],
  });
  expect(created.status).toBe(201);
  const state = JSON.parse(readFileSync(join(dataDir, 'postgres.json'), 'utf8')) as { location: string };
  const postmaster = () =>
    Number(readFileSync(join(dataDir, state.location, 'postmaster.pid'), 'utf8').split('\n')[0]);
  const publishers = startPublishers(service.apiUrl, key);
  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    await publishers.untilMore(10);
    const restarts = child.output().split('PostgreSQL was restarted').length;
    process.kill(postmaster(), signal);
    await until(
      () => child.output().split('PostgreSQL was restarted').length,
      (count) => count > restarts || !child.isRunning(),
    );
    expect(child.isRunning(), child.output()).toBe(true);
  }
  await publishers.untilMore(10);
  await publishers.stop();
  expect(child.isRunning(), child.output()).toBe(true);
  expect(child.output()).toContain('PostgreSQL ended unexpectedly');
  await expectNothingLost(publishers, receiver);
  child.kill('SIGTERM');
  expect(await child.exited()).toBe(0);
});

const publish = (headers: Record<string, string> = {}) =>
  service.call<{ code?: string }>(
    'POST',
    '/v1/events',
    { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } },
    headers,
  );

test('with a read-only database the response is 503 and the service not ready, until it accepts writes again', async () => {
  const receiver = await receive();
  await up();
  await service.newWebhook(receiver.url);
  await asAdmin(`alter database ${databaseName()} set default_transaction_read_only = on`);
  await cutConnections();
  const ready = async () => {
    const response = await fetch(`${service.apiUrl}/readyz`);
    const body = (await response.json()) as { status: string; checks: { postgresql: string } };
    return [response.status, body.status, body.checks.postgresql];
  };
  // For a moment it may be that the connections are gone.
  const read = await until(ready, ([, , postgresql]) => postgresql === 'read_only');
  expect(read).toEqual([503, 'not ready', 'read_only']);
  const create = () =>
    service.call<{ code?: string }>('POST', '/v1/webhooks', { url: receiver.url, events: ['*'] });
  for (const send of [publish, () => publish({ 'idempotency-key': 'read-only' }), create]) {
    const response = await send();
    expect([response.status, response.body.code]).toEqual([503, 'unavailable']);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  }

  // Without a restart: sessions that began read-only are not kept.
  await asAdmin(`alter database ${databaseName()} reset default_transaction_read_only`);
  await until(ready, ([status]) => status === 200);
  for (const send of [publish, () => publish({ 'idempotency-key': 'read-only' }), create]) {
    await until(
      () => send().then(({ status }) => status),
      (status) => status < 300,
    );
  }
});

test('batches of the same events at two processes, webhooks that keep changing, a cut connection: each is written once', async () => {
  const ports = [service.env['PORT'], String(await reservePort())];
  await Promise.all(ports.map((port) => up({ ...service.env, PORT: port ?? '' })));
  const receiver = await receive();
  await service.newWebhook(receiver.url);
  const ids = Array.from({ length: 120 }, (_, index) => `evt_batch_${index}`);
  const changes = { areGoing: true };
  // An event whose webhooks change in every round is refused alone, with 503.
  const change = async () => {
    while (changes.areGoing)
      await service.pool
        .query(`update accounts set webhooks_version = webhooks_version + 1`)
        .catch(() => undefined);
  };
  const statuses = new Set<number>();
  const publish = async (port: string | undefined, order: readonly string[]) => {
    let open = order;
    await until(
      async () => {
        const events = open.map((id) => ({
          id,
          event: 'document.deleted',
          data: { document_id: 'd', dataset_id: 's' },
        }));
        const { status, body } = await call<{ data?: { status: number }[] }>(
          `http://127.0.0.1:${port}`,
          service.key,
          'POST',
          '/v1/events/batch',
          { events },
        );
        const results = body.data?.map((result) => result.status) ?? open.map(() => status);
        for (const each of results) statuses.add(each);
        open = open.filter((_, index) => results[index] !== 202);
        return open.length;
      },
      (count) => count === 0,
    );
  };
  const changing = [change(), change()];
  const published = ports.flatMap((port) => [publish(port, ids), publish(port, ids.toReversed())]);
  await delay(100);
  await cutConnections();
  await delay(1000);
  changes.areGoing = false;
  await Promise.all([...published, ...changing]);
  expect([...statuses].filter((status) => status !== 202 && status !== 503)).toEqual([]);
  const received = () => new Set(receiver.requests.map(({ headers }) => headers['webhook-id'])).size;
  await until(received, (count) => count === ids.length);
  const { rows } = await service.pool.query<{ events: number; deliveries: number }>(
    `select (select count(*)::int from events) as events, (select count(*)::int from deliveries) as deliveries`,
  );
  expect(rows).toEqual([{ events: ids.length, deliveries: ids.length }]);
});
