import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { asAdmin } from '../kit/database.ts';
import { countByStatus } from '../kit/delivery-steps.ts';
import {
  acceptKeyed,
  publishKeyed,
  startOrderedReceiver,
  untilInOrder,
  type OrderedReceiver,
} from '../kit/ordered.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { call, startService, until, untilReady, type Service } from '../kit/service.ts';

let service: Service;
let receiver: OrderedReceiver;
let processes: ServiceProcess[];
const keys = ['a', 'b', 'c', 'd'];
beforeEach(async () => {
  processes = [];
  service = await startService(
    { LOG_LEVEL: 'warn', FLTR_DELIVERIES_PER_HOUR: '0', FLTR_RETRY_SCHEDULE_SECONDS: '1,1,1' },
    null,
  );
  // Each third event of a key needs a retry.
  receiver = await startOrderedReceiver(({ number, attempt }, response) => {
    const status = number % 3 === 0 && attempt === 1 ? 503 : 200;
    setTimeout(() => response.writeHead(status).end(), 20);
  });
});
afterEach(async () => {
  for (const child of processes) child.kill('SIGKILL');
  await Promise.all(processes.map((child) => child.exited()));
  await service.stop();
  await receiver.close();
});

async function start(command: string, port?: number): Promise<{ child: ServiceProcess; apiUrl: string }> {
  const free = port ?? (await reservePort());
  const child = startProcess([command], { ...service.env, PORT: String(free) });
  processes.push(child);
  const apiUrl = `http://127.0.0.1:${free}`;
  await untilReady(apiUrl, child);
  return { child, apiUrl };
}

async function newOrdered(apiUrl: string): Promise<void> {
  const body = { url: receiver.url, events: ['*'], ordering: 'by_key' };
  const { status, text } = await call(apiUrl, service.key, 'POST', '/v1/webhooks', body);
  if (status !== 201) throw new Error(text);
}

async function untilAllInOrder(count: number): Promise<void> {
  for (const key of keys) await untilInOrder(receiver, key, count);
  const all = await until(
    () => countByStatus(service.pool),
    ({ delivered = 0 }) => delivered === keys.length * count,
  );
  expect(all).toEqual({ delivered: keys.length * count });
  await until(
    async () =>
      (await service.pool.query(`select from delivery_lines union all select from line_checks`)).rowCount,
    (left) => left === 0,
  );
  expect(receiver.overlaps).toEqual([]);
}

test('two processes, killed one after the other again and again: order stays, and never two at once', async () => {
  const [first, second] = await Promise.all([start('up'), start('up')]);
  await newOrdered(first.apiUrl);
  const publish = async () => {
    for (let number = 1; number <= 12; number += 1) {
      await acceptKeyed(
        service,
        keys.map((key) => ({ key, number })),
      );
      await delay(100);
    }
  };
  const kill = async () => {
    let parts = [first, second];
    for (let round = 0; round < 4; round += 1) {
      await delay(700);
      const [next, other] = parts;
      if (!next || !other) return;
      next.child.kill('SIGKILL');
      await next.child.exited();
      parts = [other, await start('up', Number(new URL(next.apiUrl).port))];
    }
  };
  await Promise.all([publish(), kill()]);
  await untilAllInOrder(12);
});

test('connections to PostgreSQL that are cut again and again change no order', async () => {
  const { apiUrl } = await start('up');
  await newOrdered(apiUrl);
  const name = new URL(service.databaseUrl).pathname.slice(1);
  const cut = setInterval(
    () =>
      void asAdmin(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}' and application_name = 'fltr-webhooks'`,
      ).catch(() => undefined),
    400,
  );
  onTestFinished(() => clearInterval(cut));
  for (let number = 1; number <= 12; number += 1) {
    await acceptKeyed(
      service,
      keys.map((key) => ({ key, number })),
    );
    await delay(150);
  }
  clearInterval(cut);
  await untilAllInOrder(12);
});

test('events that two processes accept in turn are one line', async () => {
  const parts = await Promise.all([start('up'), start('api')]);
  await newOrdered(parts[0].apiUrl);
  for (let number = 1; number <= 12; number += 1) {
    const { apiUrl } = parts[number % 2 === 0 ? 0 : 1];
    await publishKeyed(
      { call: (method, path, body) => call(apiUrl, service.key, method, path, body) },
      keys.map((key) => ({ key, number })),
    );
  }
  await untilAllInOrder(12);
});
