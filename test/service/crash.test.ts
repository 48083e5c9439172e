import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, inject, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { findTemporal, userCacheDir } from '../../src/embedded/find-temporal.ts';
import { startEmbeddedTemporal } from '../../src/embedded/temporal.ts';
import { searchAttributes } from '../../workflows/contract.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, until, untilReady, type Service } from '../kit/service.ts';

let service: Service;
let processes: ServiceProcess[];
beforeEach(async () => {
  processes = [];
  service = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '4,600', LOG_LEVEL: 'warn' }, null);
});
afterEach(async () => {
  for (const child of processes) child.kill('SIGKILL');
  await Promise.all(processes.map((child) => child.exited()));
  await service.stop();
});

async function receive(response?: Parameters<typeof startReceiver>[0]): Promise<Receiver> {
  const receiver = await startReceiver(response);
  onTestFinished(() => receiver.close());
  return receiver;
}

async function start(command: string, env: Record<string, string> = {}): Promise<ServiceProcess> {
  const child = startProcess([command], { ...service.env, ...env });
  processes.push(child);
  if (command === 'worker') return child;
  await untilReady(service.apiUrl, child);
  return child;
}

/** Not again where no two deliveries share a workflow: these are about one delivery, which has its own in any case. */
const testOnce = test.skipIf(process.env['FLTR_DELIVERIES_PER_WORKFLOW'] === '1');

/** Starts an API and a worker, and publishes one event; returns the worker once it has sent the first request. */
async function startAndPublish(receiver: Receiver): Promise<ServiceProcess> {
  const [, worker] = await Promise.all([start('api'), start('worker')]);
  await service.newWebhook(receiver.url);
  await service.publish();
  await until(
    () => receiver.requests.length,
    (count) => count === 1,
  );
  return worker;
}

type Row = { id: string; status: string; attempt_count: number };
const rows = async () =>
  (await service.pool.query<Row>(`select id, status, attempt_count from deliveries order by id`)).rows;
const waitForAll = (status: string) =>
  until(rows, (list) => list.length > 0 && list.every((row) => row.status === status));

/** Runs that Temporal has seen for each delivery, of the workflow that owns it. */
async function runsOf(ids: readonly string[]): Promise<number[]> {
  const { client } = service.temporal;
  const count = async (id: string) => {
    let runs = 0;
    for await (const _ of client.workflow.list({ query: `FltrDelivery = '${id}'` })) runs += 1;
    return runs;
  };
  return until(
    () => Promise.all(ids.map(count)),
    (counts) => counts.every((runs) => runs > 0),
  );
}

test('kill -9 of the API between commit and workflow start: everything is delivered, each by one workflow', async () => {
  const receiver = await receive();
  // A Temporal that accepts connections and never responds holds each start exactly there.
  const { startRawReceiver } = await import('../kit/raw-receiver.ts');
  const silent = await startRawReceiver(() => undefined);
  const api = await start('api', { TEMPORAL_ADDRESS: `127.0.0.1:${silent.port}` });
  await service.newWebhook(receiver.url);
  for (let index = 0; index < 20; index += 1) await service.publish();
  api.kill('SIGKILL');
  await api.exited();
  expect((await rows()).map(({ status }) => status)).toEqual(Array(20).fill('pending'));

  await start('up');
  const delivered = await waitForAll('delivered');
  expect(delivered).toHaveLength(20);
  expect(receiver.requests).toHaveLength(20);
  expect(await runsOf(delivered.map(({ id }) => id))).toEqual(Array(20).fill(1));
});

test('kill -9 of the API right after the start, before it is marked: no second workflow', async () => {
  const receiver = await receive();
  const api = await start('api');
  await service.newWebhook(receiver.url);
  const { deliveries } = await service.publish();
  const id = deliveries[0]?.id ?? '';
  await until(
    () =>
      service.temporal.client.workflow
        .getHandle(id)
        .describe()
        .then(
          () => true,
          () => false,
        ),
    Boolean,
  );
  api.kill('SIGKILL');
  await api.exited();
  // As if the mark had not been written.
  await service.pool.query(`update deliveries set run_id = null, reconcile_at = now()`);
  await start('up');
  await waitForAll('delivered');
  await until(
    async () => (await service.pool.query(`select 1 from deliveries where run_id is null`)).rowCount,
    (count) => count === 0,
  );
  expect(receiver.requests).toHaveLength(1);
  expect(await runsOf([id])).toEqual([1]);
});

testOnce(
  'kill -9 of the worker during an attempt: another worker attempts again within seconds',
  async () => {
    const receiver = await receive((_request, response, all) => {
      if (all.length > 1) response.end('ok');
    });
    const worker = await startAndPublish(receiver);
    worker.kill('SIGKILL');
    await worker.exited();
    await start('worker');
    const [row] = await waitForAll('delivered');
    expect(row?.attempt_count).toBe(1);
    expect(receiver.requests).toHaveLength(2);
    expect(await runsOf([row?.id ?? ''])).toEqual([1]);
  },
);

testOnce('kill -9 of the whole service during a wait: the timer runs on without it', async () => {
  const receiver = await receive((_request, response, all) => {
    response.writeHead(all.length === 1 ? 503 : 200).end();
  });
  const killed = await start('up');
  await service.newWebhook(receiver.url);
  await service.publish();
  await waitForAll('retrying');
  killed.kill('SIGKILL');
  await killed.exited();
  await delay(1000);
  await start('up');
  const [row] = await waitForAll('delivered');
  expect(row?.attempt_count).toBe(2);
  expect(receiver.requests).toHaveLength(2);
  const [first, second] = receiver.requests;
  expect((second?.at.getTime() ?? 0) - (first?.at.getTime() ?? 0)).toBeGreaterThanOrEqual(4000);
  expect(await runsOf([row?.id ?? ''])).toEqual([1]);
});

testOnce('a worker that is stopped ends its attempt first', async () => {
  const receiver = await receive((_request, response) => void delay(1500).then(() => response.end('ok')));
  const worker = await startAndPublish(receiver);
  worker.kill('SIGTERM');
  expect(await worker.exited()).toBe(0);
  await start('worker');
  await waitForAll('delivered');
  expect(receiver.requests).toHaveLength(1);
});

test(
  'with Temporal stopped, 300 events are accepted, and all are delivered after it is back',
  { timeout: 300_000 },
  async () => {
    const receiver = await receive();
    const dataDir = mkdtempSync(join(tmpdir(), 'fltr-temporal-'));
    const report = () => undefined;
    const { path: executable } = await findTemporal({
      env: process.env,
      cacheDir: userCacheDir(process.env, process.platform),
      report,
    });
    const options = {
      dataDir,
      env: process.env,
      report,
      executable,
      uiPreferredPort: await reservePort(),
      namespace: 'default',
      searchAttributes,
    };
    let temporal = await startEmbeddedTemporal(options);
    onTestFinished(async () => {
      await temporal.stop();
      rmSync(dataDir, { recursive: true, force: true });
    });
    const env = { TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: 'default' };
    expect(temporal.address).not.toBe(inject('temporalAddress'));
    await Promise.all([start('api', env), start('worker', env)]);
    await service.newWebhook(receiver.url);
    await service.publish();
    await waitForAll('delivered');

    await temporal.stop();
    // A result of the second before may still be the response.
    const ready = await until(
      () => service.call<{ checks: { temporal: string } }>('GET', '/readyz'),
      ({ body }) => body.checks.temporal === 'unavailable',
      10_000,
    );
    expect(ready.status).toBe(200);
    for (let round = 0; round < 30; round += 1)
      await Promise.all(Array.from({ length: 10 }, () => service.publish()));
    expect((await rows()).filter(({ status }) => status === 'pending')).toHaveLength(300);

    temporal = await startEmbeddedTemporal({ ...options, keepPorts: true });
    const delivered = await waitForAll('delivered');
    expect(delivered).toHaveLength(301);
    expect(receiver.requests).toHaveLength(301);
  },
);
