import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { asAdmin } from '../kit/database.ts';
import { countByStatus } from '../kit/delivery-steps.ts';
import { startFickleReceiver, untilPaced, type FickleReceiver } from '../kit/outages.ts';
import { passTime } from '../kit/pass-time.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { call, startService, until, untilReady, type Service } from '../kit/service.ts';

let service: Service;
let receiver: FickleReceiver;
let processes: ServiceProcess[];
let apiUrl: string;
let webhookId: string;
beforeEach(async () => {
  processes = [];
  service = await startService({ LOG_LEVEL: 'warn', FLTR_DELIVERIES_PER_HOUR: '0' }, null);
  receiver = await startFickleReceiver();
});
afterEach(async () => {
  for (const child of processes) child.kill('SIGKILL');
  await Promise.all(processes.map((child) => child.exited()));
  await service.stop();
  await receiver.close();
});

async function start(command: string): Promise<ServiceProcess> {
  const port = await reservePort();
  const child = startProcess([command], { ...service.env, PORT: String(port) });
  processes.push(child);
  if (command !== 'worker') {
    apiUrl = `http://127.0.0.1:${port}`;
    await untilReady(apiUrl, child);
  }
  return child;
}

const numberOf = (body: Buffer): number =>
  Number((JSON.parse(String(body)) as { data: { document_id: string } }).data.document_id);

let published = 0;
async function publish(count: number): Promise<void> {
  const events = Array.from({ length: count }, () => ({
    event: 'document.deleted',
    data: { document_id: String((published += 1)), dataset_id: 's' },
  }));
  const { status, text } = await call(apiUrl, service.key, 'POST', '/v1/events/batch', { events });
  if (status !== 207) throw new Error(text);
}

/** A webhook that is down, and `count` deliveries to it. */
async function setUpOutage(count: number): Promise<void> {
  published = 0;
  const { body } = await call<{ webhook_id: string }>(apiUrl, service.key, 'POST', '/v1/webhooks', {
    url: receiver.url,
    events: ['*'],
    probe_when_down: true,
  });
  webhookId = body.webhook_id;
  receiver.behave('down');
  await publish(30);
  await untilPaced(service, webhookId);
  for (let batch = 0; batch < count - 30; batch += 100) await publish(Math.min(100, count - 30 - batch));
  // The retries of the first ones are due, too.
  await passTime(service.pool, 70);
  await until(
    async () =>
      (
        await service.pool.query(`select 1 from deliveries where webhook_id = $1 and wait_reason = 'down'`, [
          webhookId,
        ])
      ).rowCount,
    (parked) => parked === count,
  );
}

/** Lets the next probe succeed. Resolves after so many requests. */
async function recover(requests: number): Promise<void> {
  receiver.behave('up');
  await passTime(service.pool, 1000);
  await until(
    () => receiver.taken.length,
    (taken) => taken >= requests,
  );
}

async function untilAllDelivered(count: number): Promise<void> {
  const states = await until(
    () => countByStatus(service.pool),
    ({ delivered = 0 }) => delivered === count,
  );
  expect(states).toEqual({ delivered: count });
  expect(new Set(receiver.taken.map(({ body }) => numberOf(body))).size).toBe(count);
}

/** No more than 1, 2, 4, … in each second since the first success. */
function expectRamp(): void {
  const times = receiver.taken.map(({ at }) => at.getTime());
  for (let second = 0; second < 6; second += 1) {
    const sent = times.filter((at) => at - (times[0] ?? 0) < (second + 1) * 1000).length;
    expect([second, sent <= 2 ** (second + 1) + 2]).toEqual([second, true]);
  }
}

test('two processes release in order, each delivery once; one is killed with kill -9 in the middle', async () => {
  await start('api');
  const [, victim] = [await start('worker'), await start('worker')];
  await setUpOutage(600);
  await recover(40);
  victim.kill('SIGKILL');
  await victim.exited();
  await untilAllDelivered(600);
  expectRamp();
  // Those that the killed process had begun come later.
  const numbers = receiver.taken.map(({ body }) => numberOf(body));
  const first = [...new Set(numbers)];
  const displaced = first.filter((number, index) => Math.abs(number - 1 - index) > 100);
  expect(displaced.length).toBeLessThanOrEqual(100);
});

test('connections to PostgreSQL are cut again and again while deliveries are parked and released', async () => {
  await start('api');
  await start('worker');
  await start('worker');
  const database = new URL(service.env.DATABASE_URL ?? '').pathname.slice(1);
  const cut = () =>
    asAdmin(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = '${database}' and application_name = 'fltr-webhooks'`,
    );
  await setUpOutage(200);
  for (let round = 0; round < 3; round += 1) {
    await recover(receiver.taken.length + 5);
    await cut();
    receiver.behave('down');
    await delay(300);
    await cut();
    await untilPaced(service, webhookId);
  }
  await recover(receiver.taken.length + 1);
  await untilAllDelivered(200);
});

test('paused, canceled, retried and deleted while it is released: each delivery ends in one way', async () => {
  await start('api');
  await start('worker');
  await start('worker');
  await setUpOutage(400);
  const { rows } = await service.pool.query<{ id: string }>(
    `select id from deliveries where webhook_id = $1 order by id`,
    [webhookId],
  );
  const ids = rows.map(({ id }) => id);
  const post = (path: string) => call(apiUrl, service.key, 'POST', path);
  await recover(5);
  const canceled = ids.slice(10, 30);
  const calls = [
    ...canceled.map((id) => post(`/v1/deliveries/${id}/cancel`)),
    ...ids.slice(30, 50).map((id) => post(`/v1/deliveries/${id}/retry`)),
  ];
  expect((await Promise.all(calls)).map(({ status }) => status).filter((status) => status >= 500)).toEqual(
    [],
  );
  await post(`/v1/webhooks/${webhookId}/pause`);
  await until(
    () => countByStatus(service.pool),
    ({ pending = 0, retrying = 0 }) => pending + retrying === 0,
  );
  const before = receiver.requests.length;
  await delay(500);
  expect(receiver.requests).toHaveLength(before);
  await post(`/v1/webhooks/${webhookId}/resume`);
  const states = await until(
    () => countByStatus(service.pool),
    ({ delivered = 0, canceled: ended = 0 }) => delivered + ended === ids.length,
  );
  const sent = receiver.taken.map(({ headers }) => String(headers['webhook-id']));
  expect(new Set(sent).size).toBe(sent.length);
  expect(states['delivered']).toBe(sent.length);
});
