import { afterEach, beforeEach, expect, test } from 'vitest';
import { createPool } from '../../src/db/pool.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, until, untilReady, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let child: ServiceProcess | null;
beforeEach(async () => {
  child = null;
  service = await startService({ LOG_LEVEL: 'warn' }, null);
  receiver = await startReceiver();
});
afterEach(async () => {
  child?.kill('SIGTERM');
  await child?.exited();
  await service.stop();
  await receiver.close();
});

type Hours = { attempts: number; hourly: { attempts: number }[] };
const inHours = ({ hourly }: Hours) => hourly.reduce((sum, { attempts }) => sum + attempts, 0);

test("the database's own time zone and date style change nothing", async () => {
  const name = new URL(service.databaseUrl).pathname.slice(1);
  await service.pool.query(`alter database ${name} set timezone = 'Asia/Kolkata'`);
  await service.pool.query(`alter database ${name} set datestyle = 'German, DMY'`);
  child = startProcess(['up'], service.env);
  await untilReady(service.apiUrl);
  const { webhook_id: id } = await service.newWebhook(receiver.url);
  for (let count = 0; count < 5; count += 1) await service.publish();
  const stats = await until(
    async () => (await service.call<Hours>('GET', `/v1/webhooks/${id}/stats`)).body,
    ({ attempts }) => attempts === 5,
  );
  expect(inHours(stats)).toBe(5);
  const all = await service.call<{ data: Hours[] }>('GET', '/v1/stats');
  expect(all.body.data.map(inHours)).toEqual([5]);

  for (const path of ['/v1/webhooks', '/v1/events', '/v1/deliveries', '/v1/keys']) {
    const list = await service.call<{ data: { created_at: string }[] }>('GET', path);
    expect([path, list.status, list.body.data.length > 0]).toEqual([path, 200, true]);
    for (const { created_at: at } of list.body.data) {
      expect(Math.abs(Date.now() - Date.parse(at))).toBeLessThan(60_000);
    }
  }
});

test('options in DATABASE_URL are kept beside ours, which count', async () => {
  const url = new URL(service.databaseUrl);
  url.searchParams.set('options', '-c timezone=Asia/Kolkata -c lock_timeout=7s');
  url.searchParams.set('application_name', 'named');
  const pool = createPool({ databaseUrl: url.href, maxConnections: 1, onError: () => undefined });
  const { rows } = await pool.query(
    `select current_setting('timezone') as zone, current_setting('lock_timeout') as lock,
       current_setting('datestyle') as style, current_setting('enable_seqscan') as seqscan,
       current_setting('application_name') as name`,
  );
  await pool.end();
  expect(rows).toEqual([{ zone: 'UTC', lock: '7s', style: 'ISO, MDY', seqscan: 'off', name: 'named' }]);
});
