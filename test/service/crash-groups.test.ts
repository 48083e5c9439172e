import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { isGroupId } from '../../src/domain/ids.ts';
import { openClient } from '../kit/database-client.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, until, untilReady, type Service } from '../kit/service.ts';

const size = 12;
let service: Service;
let child: ServiceProcess;
beforeEach(async () => {
  const settings = {
    FLTR_RETRY_SCHEDULE_SECONDS: '2,600',
    LOG_LEVEL: 'warn',
    FLTR_DELIVERIES_PER_WORKFLOW: '64',
    FLTR_DELIVERIES_PER_HOUR: '400',
  };
  service = await startService(settings, null);
  await start();
});
afterEach(async () => {
  child.kill('SIGKILL');
  await child.exited();
  await service.stop();
});

/** The whole service, as one process. */
async function start(): Promise<void> {
  child = startProcess(['up'], service.env);
  await untilReady(service.apiUrl, child);
}
async function killAndRestart(): Promise<void> {
  child.kill('SIGKILL');
  await child.exited();
  await start();
}

async function receive(response?: Parameters<typeof startReceiver>[0]): Promise<Receiver> {
  const receiver = await startReceiver(response);
  onTestFinished(() => receiver.close());
  return receiver;
}

/** One event to a dozen webhooks: accepted at once, hence a group. */
async function burst(receiver: Receiver): Promise<void> {
  await Promise.all(
    Array.from({ length: size }, (_, index) => service.newWebhook(`${receiver.url}/${index}`)),
  );
  await service.publish();
}

type Row = {
  id: string;
  status: string;
  attempt_count: number;
  owner_id: string | null;
  run_id: string | null;
};
const rows = async () =>
  (
    await service.pool.query<Row>(
      `select id, status, attempt_count, owner_id, run_id from deliveries order by id`,
    )
  ).rows;
const all = (status: string) =>
  until(rows, (list) => list.length === size && list.every((row) => row.status === status));
const requestsBy = (receiver: Receiver) => {
  const counts = new Map<string, number>();
  for (const { path } of receiver.requests) counts.set(path, (counts.get(path) ?? 0) + 1);
  return [...counts.values()].sort((a, b) => a - b);
};

/** Another session that holds a lock until it is released. */
async function lock(statement: string): Promise<() => Promise<void>> {
  const client = await openClient(service.databaseUrl);
  const ended = once(client, 'end');
  await client.query('begin');
  await client.query(statement);
  return async () => {
    await client.query('rollback');
    await client.end();
    await ended;
  };
}
/** Statements of the service that wait for a lock. */
const waiting = async () =>
  (
    await service.pool.query<{ count: number }>(
      `select count(*)::int as count from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    )
  ).rows[0]?.count ?? 0;

test('kill -9 between the start of a group and its first request: each is delivered once', async () => {
  const receiver = await receive();
  await Promise.all(
    Array.from({ length: size }, (_, index) => service.newWebhook(`${receiver.url}/${index}`)),
  );
  // Near its cap, an attempt needs a grant, and waits for it here.
  const letGo = await lock('lock table rate_limit_grants in access exclusive mode');
  await service.publish();
  await until(waiting, (count) => count > 0);
  expect((await rows()).some(({ owner_id: id }) => id !== null && isGroupId(id))).toBe(true);
  child.kill('SIGKILL');
  await child.exited();
  await letGo();
  expect(receiver.requests).toHaveLength(0);
  await start();
  await all('delivered');
  expect(requestsBy(receiver)).toEqual(Array(size).fill(1));
});

test('kill -9 between requests and their record: requests under way are repeated, once', async () => {
  const receiver = await receive();
  await Promise.all(
    Array.from({ length: size }, (_, index) => service.newWebhook(`${receiver.url}/${index}`)),
  );
  const letGo = await lock('lock table attempts in share row exclusive mode');
  await service.publish();
  await until(
    () => receiver.requests.length,
    (count) => count === size,
  );
  await until(waiting, (count) => count > 0);
  child.kill('SIGKILL');
  await child.exited();
  // Their sessions outlive the process, and would still write.
  await service.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
  );
  await until(waiting, (count) => count === 0);
  await letGo();
  await start();
  const delivered = await all('delivered');
  expect(delivered.map(({ attempt_count: count }) => count)).toEqual(Array(size).fill(1));
  expect(requestsBy(receiver)).toEqual(Array(size).fill(2));
});

test('kill -9 between record and the start of its own workflow: failed deliveries continue, delivered ones are not repeated', async () => {
  // One receiver keeps the group under way, while all others have responded and are recorded.
  let isFirst = true;
  const receiver = await receive((request, response, seen) => {
    const count = seen.filter(({ path }) => path === request.path).length;
    if (request.path === '/0' && isFirst) return;
    response.writeHead(Number(request.path.slice(1)) % 2 === 1 && count === 1 ? 503 : 200).end();
  });
  await burst(receiver);
  await until(rows, (list) => list.filter(({ attempt_count: count }) => count === 1).length === size - 1);
  const recorded = await rows();
  expect(recorded.filter(({ status }) => status === 'retrying')).toHaveLength(size / 2);
  expect(recorded.filter(({ status, run_id: id }) => status === 'retrying' && id !== null)).toEqual([]);
  isFirst = false;
  await killAndRestart();
  await all('delivered');
  const byPath = new Map<string, number>();
  for (const { path } of receiver.requests) byPath.set(path, (byPath.get(path) ?? 0) + 1);
  for (let index = 0; index < size; index += 1)
    expect([index, byPath.get(`/${index}`)]).toEqual([index, index === 0 || index % 2 === 1 ? 2 : 1]);
  for (const { id, owner_id: workflowId } of await rows()) {
    if (workflowId === id) {
      const runs: string[] = [];
      const query = `WorkflowId = '${id}'`;
      for await (const { runId } of service.temporal.client.workflow.list({ query })) runs.push(runId);
      expect(runs).toHaveLength(1);
    }
  }
});

/** As a crash between the commit and the start leaves them: assigned to a group that Temporal does not know. */
async function assignToUnknownGroup(receiver: Receiver, reconciledIn: string): Promise<Row[]> {
  await burst(receiver);
  await all('delivered');
  await service.pool.query(
    `update deliveries set status = 'pending', owner_id = $1, run_id = null, ended_at = null, attempt_count = 0,
       reconcile_at = now() + $2::interval, timeline = '[]'`,
    [unknownGroup, reconciledIn],
  );
  await service.pool.query('delete from attempts');
  receiver.requests.length = 0;
  return rows();
}
const unknownGroup = 'grp_never_started';

test('a group that was assigned and never started is started by the reconciler, under its own id', async () => {
  const receiver = await receive();
  await assignToUnknownGroup(receiver, '0 s');
  const again = await all('delivered');
  expect(new Set(again.map(({ owner_id: id }) => id))).toEqual(new Set([unknownGroup]));
  await delay(1000);
  expect(requestsBy(receiver)).toEqual(Array(size).fill(1));
});

test('retries start a group that was never started, and all of its deliveries are delivered once', async () => {
  let respond: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    respond = resolve;
  });
  let isGated = false;
  const receiver = await receive((_request, response) => {
    void (isGated ? gate : Promise.resolve()).then(() => response.end('ok'));
  });
  const deliveries = await assignToUnknownGroup(receiver, '10 s');
  isGated = true;
  const [first, second] = deliveries.map(({ id }) => id);
  const retry = (id = '') => service.call('POST', `/v1/deliveries/${id}/retry`);
  // It starts the group, with this delivery alone.
  expect((await retry(first)).status).toBe(202);
  await until(
    () => receiver.requests.length,
    (count) => count === 1,
  );
  // The group owns this one too, but does not attempt it.
  expect((await retry(second)).status).toBe(202);
  respond();
  const after = await all('delivered');
  await delay(1000);
  expect(requestsBy(receiver)).toEqual(Array(size).fill(1));
  expect(after.map(({ owner_id: id }) => id)).toEqual([
    unknownGroup,
    ...deliveries.slice(1).map(({ id }) => id),
  ]);
  const { historyLength } = await service.temporal.client.workflow.getHandle(unknownGroup).describe();
  expect(historyLength).toBeLessThan(30);
});
