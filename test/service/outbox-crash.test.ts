import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { startProducers as startConnections } from '../../bench/outbox-producers.ts';
import { ensureAccount } from '../../src/db/accounts.ts';
import { migrate } from '../../src/db/migrate.ts';
import { asAdmin, createTestDatabase } from '../kit/database.ts';
import { countOf, install, logged } from '../kit/outbox.ts';
import { startPostgres } from '../kit/own-postgres.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { startReceiver } from '../kit/test-receiver.ts';
import { startService, until, untilReady, type Service } from '../kit/service.ts';

function startProducers(databaseUrl: string, accountId: string, connections: number) {
  const producers = startConnections({ databaseUrl, accountIds: [accountId], connections, pauseMs: 10 });
  return {
    ...producers,
    async untilMore(more: number): Promise<void> {
      const before = producers.committed.length;
      await until(
        () => producers.committed.length,
        (length) => length >= before + more,
      );
    },
  };
}

async function startWithWebhook(): Promise<{ service: Service; processes: ServiceProcess[] }> {
  const service = await startService({}, null);
  const processes: ServiceProcess[] = [];
  onTestFinished(async () => {
    for (const child of processes) child.kill('SIGKILL');
    await Promise.all(processes.map((child) => child.exited()));
    await service.stop();
  });
  return { service, processes };
}

test.each(['service', 'elsewhere'])(
  'kill -9 of the processes that relay, under producers, loses and repeats nothing (%s)',
  async (kind) => {
    const { service, processes } = await startWithWebhook();
    const receiver = await startReceiver();
    onTestFinished(() => receiver.close());
    const elsewhere = kind === 'service' ? null : await createTestDatabase();
    if (elsewhere) onTestFinished(() => elsewhere.drop());
    const { pool, url } = elsewhere ?? { pool: service.pool, url: service.databaseUrl };
    await install(pool);
    const env = { ...service.env, FLTR_OUTBOX_URLS: elsewhere?.url ?? 'service' };
    const start = (command: string): void => void processes.push(startProcess([command], env));
    start('up');
    start('worker');
    await untilReady(service.apiUrl, processes[0]);
    await service.newWebhook(receiver.url);
    const producers = startProducers(url, service.accountId, 4);
    for (let round = 0; round < 6; round += 1) {
      await producers.untilMore(40);
      const [oldest] = processes.splice(0, 1);
      oldest?.kill('SIGKILL');
      await oldest?.exited();
      // Of the sessions that are left: a relay's lock may go in the middle of a round.
      if (round % 2 === 1)
        await asAdmin(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'fltr-webhooks outbox' and datname = '${new URL(url).pathname.slice(1)}'`,
        );
      start(round % 2 === 0 ? 'up' : 'worker');
    }
    await producers.untilMore(40);
    await producers.stop();
    start('up');
    await until(
      () => countOf(pool, 'events'),
      (count) => count === 0,
    );
    const { committed, rolledBack, unknown } = producers;
    expect(unknown).toEqual([]);
    expect((await logged(service.pool, service.accountId)).toSorted()).toEqual(committed.toSorted());
    expect(rolledBack.length).toBeGreaterThan(0);
    expect(await countOf(pool, 'refused')).toBe(0);
    // One delivery each, and all arrive.
    const { rows } = await service.pool.query<{ count: number }>(
      'select count(*)::int as count from deliveries',
    );
    expect(rows[0]?.count).toBe(committed.length);
    const received = () => new Set(receiver.requests.map(({ headers }) => headers['webhook-id']));
    await until(
      () => received().size,
      (size) => size === committed.length,
    );
    expect(rolledBack.filter((id) => received().has(id))).toEqual([]);
  },
);

test('kill -9 of the relay and of the server of either database, under producers, loses and repeats nothing', async () => {
  const { service, processes } = await startWithWebhook();
  const [own, shop] = await Promise.all([startPostgres(), startPostgres()]);
  onTestFinished(own.close);
  onTestFinished(shop.close);
  await migrate(own.pool());
  await ensureAccount(own.pool(), service.accountId, 'test');
  await install(shop.pool());
  const env = { ...service.env, DATABASE_URL: own.url(), FLTR_OUTBOX_URLS: shop.url() };
  const start = (): void => void processes.push(startProcess(['up'], env));
  start();
  await untilReady(service.apiUrl, processes[0]);
  const producers = startProducers(shop.url(), service.accountId, 3);
  const killRelay = async (): Promise<void> => {
    const [relay] = processes.splice(0, 1);
    relay?.kill('SIGKILL');
    await relay?.exited();
    start();
    // A process that finds no database at its start ends.
    await untilReady(service.apiUrl, processes[0]);
  };
  const kill = (server: typeof own) => async (): Promise<void> => {
    await server.kill();
    await delay(Math.random() * 1000);
    await server.start();
  };
  for (const disturb of [kill(own), kill(shop), killRelay, kill(shop), kill(own)]) {
    await producers.untilMore(40);
    await disturb();
  }
  await producers.untilMore(40);
  await producers.stop();
  await until(
    () => countOf(shop.pool(), 'events'),
    (count) => count === 0,
  );
  const { committed, unknown } = producers;
  const found = await logged(own.pool(), service.accountId);
  expect(new Set(found).size).toBe(found.length);
  expect(committed.filter((id) => !found.includes(id))).toEqual([]);
  expect(found.filter((id) => !committed.includes(id) && !unknown.includes(id))).toEqual([]);
  expect(await countOf(shop.pool(), 'refused')).toBe(0);
});
