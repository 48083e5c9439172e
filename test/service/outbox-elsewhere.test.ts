import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { asAdmin, createTestDatabase, type TestDatabase } from '../kit/database.ts';
import { openClient } from '../kit/database-client.ts';
import { countOf, install, logged, newRole, publishInto, refusals } from '../kit/outbox.ts';
import { startPostgres } from '../kit/own-postgres.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { parseMetrics, sumOf } from '../kit/read-metrics.ts';
import { startRawReceiver } from '../kit/raw-receiver.ts';
import { startService, until, untilReady, type Service } from '../kit/service.ts';

/** The outbox in another database than the service's. */
let service: Service;
let shop: TestDatabase;
let processes: ServiceProcess[];
beforeEach(async () => {
  processes = [];
  [service, shop] = await Promise.all([startService({ LOG_LEVEL: 'info' }, null), createTestDatabase()]);
  await install(shop.pool);
});
afterEach(async () => {
  for (const child of processes) child.kill('SIGKILL');
  await Promise.all(processes.map((child) => child.exited()));
  await service.stop();
  await shop.drop();
});

async function up(urls: string, env: Record<string, string> = {}): Promise<ServiceProcess> {
  const child = startProcess(['up'], { ...service.env, FLTR_OUTBOX_URLS: urls, ...env });
  processes.push(child);
  await untilReady(service.apiUrl, child);
  return child;
}

/** A second relay beside an `up`. */
function worker(urls: string): ServiceProcess {
  const child = startProcess(['worker'], { ...service.env, FLTR_OUTBOX_URLS: urls });
  processes.push(child);
  return child;
}

const untilLogged = (ids: readonly string[], accountId = service.accountId) =>
  until(
    () => logged(service.pool, accountId),
    (found) => ids.every((id) => found.includes(id)),
  );

const untilEmpty = (db: TestDatabase['pool'] = shop.pool) =>
  until(
    () => countOf(db, 'events'),
    (count) => count === 0,
  );

const untilPast = (at: Date) => delay(Math.max(0, at.getTime() - Date.now()) + 100);

const outboxes = async (): Promise<Record<string, string | number>> => {
  const response = await fetch(`${service.apiUrl}/readyz`);
  const { checks } = (await response.json()) as { checks: { outboxes: Record<string, string> } };
  return { status: response.status, ...checks.outboxes };
};

const nameOf = (url: string) => new URL(url).pathname.slice(1);

const cutConnections = (url: string) =>
  asAdmin(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${nameOf(url)}'`);

test('an event of another database is relayed by a role that may do nothing else, and refused ones stay there', async () => {
  const role = await newRole(shop.url);
  onTestFinished(role.end);
  for (const statement of [
    'grant usage on schema fltr_outbox to ROLE',
    'grant select, delete on fltr_outbox.events to ROLE',
    'grant select, insert on fltr_outbox.refused to ROLE',
  ])
    await shop.pool.query(statement.replace('ROLE', role.name));
  const { host } = new URL(shop.url);
  await up(`service,postgres://${role.name}:secret@${host}/${nameOf(shop.url)}`, {
    FLTR_CREATE_ACCOUNTS: 'on_publish',
  });
  const good = await publishInto(shop.pool, service.accountId);
  const bad = await publishInto(shop.pool, service.accountId, { event: 'order.unknown' });
  expect(await untilLogged([good])).toEqual([good]);
  expect(await refusals(shop.pool, [bad])).toMatchObject([{ problem: { code: 'validation_failed' } }]);
  const ofNewAccount = await publishInto(shop.pool, 'customer_1');
  await untilLogged([ofNewAccount], 'customer_1');
  await untilEmpty();
  // The service's own database has none yet.
  expect(await outboxes()).toEqual({ status: 200, service: 'not_installed', [nameOf(shop.url)]: 'ok' });
  await install(service.pool);
  await until(outboxes, (found) => found['service'] === 'ok');
  const own = await publishInto(service.pool, service.accountId);
  expect((await untilLogged([own])).toSorted()).toEqual([good, own].toSorted());
});

test('a process that dies between publishing an event and removing it adds nothing twice', async () => {
  const first = await up(shop.url);
  const [blocker, producer] = [await openClient(shop.url), await openClient(shop.url)];
  // Lets rows be read and written, but not removed.
  await blocker.query('begin; lock table fltr_outbox.refused in share row exclusive mode');
  await producer.query('begin');
  const expiresAt = new Date(Date.now() + 1500);
  const ids = [
    await publishInto(producer, service.accountId),
    await publishInto(producer, service.accountId, { expiresAt }),
  ];
  await producer.query('commit');
  await producer.end();
  await untilLogged(ids);
  first.kill('SIGKILL');
  await first.exited();
  // PostgreSQL ends its session, although that waits for the lock of the table.
  const sessions = async () => {
    // Not in the open transaction: PostgreSQL shows it the same sessions until its end.
    const { rows } = await shop.pool.query<{ count: number }>(
      `select count(*)::int as count from pg_stat_activity where datname = current_database() and application_name = 'fltr-webhooks outbox'`,
    );
    return rows[0]?.count;
  };
  await until(sessions, (count) => count === 0, 5000);
  expect(await countOf(blocker, 'events')).toBe(2);
  await blocker.query('commit');
  await blocker.end();
  await untilPast(expiresAt);
  await up(shop.url);
  ids.push(await publishInto(shop.pool, service.accountId));
  await untilEmpty();
  expect((await logged(service.pool, service.accountId)).toSorted()).toEqual(ids.toSorted());
  expect(await countOf(shop.pool, 'refused')).toBe(0);
});

test('an event that expires while it waits in the outbox reaches the log, and its delivery ends expired', async () => {
  const first = await up('');
  await service.newWebhook('http://127.0.0.1:1/');
  const expiresAt = new Date(Date.now() + 500);
  const ids = [
    await publishInto(shop.pool, service.accountId, { expiresAt }),
    await publishInto(shop.pool, service.accountId),
  ];
  await untilPast(expiresAt);
  first.kill('SIGKILL');
  await first.exited();
  await up(shop.url);
  expect(await untilLogged(ids)).toEqual(ids);
  const ended = await until(
    async () => {
      const { rows } = await service.pool.query<{ status: string; reason: string | null; attempts: number }>(
        'select status, reason, attempt_count as attempts from deliveries where event_id = $1',
        [ids[0]],
      );
      return rows;
    },
    ([row]) => row?.status === 'failed',
  );
  expect(ended).toEqual([{ status: 'failed', reason: 'expired', attempts: 0 }]);
  await untilEmpty();
  expect(await countOf(shop.pool, 'refused')).toBe(0);
});

test('of two relays one is active, and the other takes over when it is killed', async () => {
  const first = await up(shop.url);
  const ids = [await publishInto(shop.pool, service.accountId)];
  await untilLogged(ids);
  const second = worker(shop.url);
  await until(
    () => second.output(),
    (output) => output.includes('the outbox is relayed'),
  );
  const relays = async () => {
    const { rows } = await shop.pool.query<{ count: number }>(
      `select count(*)::int as count from pg_stat_activity where datname = current_database() and application_name = 'fltr-webhooks outbox'`,
    );
    return rows[0]?.count;
  };
  expect(await relays()).toBe(2);
  const holders = async () => {
    const { rows } = await shop.pool.query<{ pid: number }>(
      `select pid from pg_locks where locktype = 'advisory' and objid = 1 and granted and database = (select oid from pg_database where datname = current_database())`,
    );
    return rows.map(({ pid }) => pid);
  };
  const [holder] = await holders();
  first.kill('SIGKILL');
  // Within the 5 s that docs/outbox.md promises.
  await until(holders, (pids) => pids.length === 1 && pids[0] !== holder, 5000);
  ids.push(await publishInto(shop.pool, service.accountId));
  expect((await untilLogged(ids)).toSorted()).toEqual(ids.toSorted());
});

test('connections that are cut on either side lose and repeat nothing', async () => {
  const child = await up(shop.url);
  const published: string[] = [];
  const stopping = new AbortController();
  const producer = (async () => {
    while (!stopping.signal.aborted) {
      const db = await openClient(shop.url).catch(() => null);
      if (!db) continue;
      try {
        await db.query('begin');
        const id = await publishInto(db, service.accountId);
        await db.query('commit');
        published.push(id);
      } catch {
        // Cut before its commit; a commit whose response is lost is checked below.
      } finally {
        await db.end().catch(() => undefined);
      }
    }
  })();
  for (let cut = 0; cut < 8; cut += 1) {
    const before = published.length;
    await until(
      () => published.length,
      (count) => count > before + 5,
    );
    await cutConnections(cut % 2 === 0 ? shop.url : service.databaseUrl);
  }
  stopping.abort();
  await producer;
  expect(child.isRunning(), child.output()).toBe(true);
  await untilEmpty();
  const found = await untilLogged(published);
  expect(new Set(found).size).toBe(found.length);
  expect(await countOf(shop.pool, 'refused')).toBe(0);
});

test('a database server that is killed and comes back, or is away at the start, stops nothing else', async () => {
  const own = await startPostgres();
  onTestFinished(own.close);
  await install(own.pool());
  await own.kill();
  await up(`${own.url()},${shop.url}`);
  const away = nameOf(own.url());
  expect(await until(outboxes, (found) => found[away] === 'unavailable')).toMatchObject({ status: 200 });
  const here = await publishInto(shop.pool, service.accountId);
  await untilLogged([here]);
  await own.start();
  const first = await publishInto(own.pool(), service.accountId);
  await untilLogged([first]);
  expect(await until(outboxes, (found) => found[away] === 'ok')).toMatchObject({ status: 200 });
  const many: string[] = [];
  for (let count = 0; count < 20; count += 1) many.push(await publishInto(own.pool(), service.accountId));
  await own.kill();
  await own.start();
  const last = await publishInto(own.pool(), service.accountId);
  await untilLogged([...many, last]);
  await untilEmpty(own.pool());
  const found = await logged(service.pool, service.accountId);
  expect(found.toSorted()).toEqual([here, first, ...many, last].toSorted());
});

test('while the backlog of the service is full, the outbox keeps its events', async () => {
  // A Temporal that never responds: nothing is started.
  const silent = await startRawReceiver(() => undefined);
  const child = await up(shop.url, {
    FLTR_MAX_BACKLOG: '2',
    TEMPORAL_ADDRESS: `127.0.0.1:${silent.port}`,
  });
  await service.newWebhook('https://example.com/');
  const ids: string[] = [];
  for (let count = 0; count < 2; count += 1) ids.push(await publishInto(shop.pool, service.accountId));
  await untilLogged(ids);
  const metric = async (name: string) =>
    sumOf(parseMetrics(await (await fetch(`${service.apiUrl}/metrics`)).text()), name);
  await until(
    () => metric('fltr_backlog_deliveries'),
    (count) => count === 2,
  );
  ids.push(await publishInto(shop.pool, service.accountId));
  // Several times as long as between two reads.
  await delay(3000);
  expect(await countOf(shop.pool, 'events')).toBe(1);
  await until(
    () => metric('fltr_outbox_waiting'),
    (count) => count === 1,
  );
  await service.pool.query(`update deliveries set status = 'canceled', ended_at = now()`);
  expect(await untilLogged(ids)).toEqual(ids);
  expect(child.isRunning()).toBe(true);
});
