import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventTypeStats } from '../../src/contracts/stats.ts';
import { nextStep, removeOld } from '../../src/db/retention.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService(),
    startReceiver(({ path }, response) => response.writeHead(path === '/refused' ? 404 : 200).end()),
  ]);
});
afterAll(() => stopAll(service, receiver));

const path = '/v1/event-types/stats';
const dataset = { event: 'dataset.deleted', data: { dataset_id: 'ds_1' } };

async function publish(more?: Record<string, unknown>): Promise<void> {
  const { deliveries } = await service.publish(more);
  for (const { id, webhook_id: webhook } of deliveries)
    await waitForStatus(service, id, webhook === refusedId ? 'failed' : 'delivered');
}
let refusedId = '';

test('attempts and ended deliveries are counted by type, of the own account only', async () => {
  const empty = await service.call<EventTypeStats>('GET', path);
  expect([empty.status, empty.body.data]).toEqual([200, []]);
  await service.newWebhook(receiver.url);
  ({ webhook_id: refusedId } = await service.newWebhook(`${receiver.url}/refused`, {
    events: ['dataset.*'],
  }));
  await publish();
  await publish();
  await publish(dataset);

  const { body } = await service.call<EventTypeStats>('GET', path);
  expect(body.data).toEqual([
    { event: 'dataset.deleted', attempts: 2, failed_attempts: 1, delivered: 1, failed: 1, failure_rate: 0.5 },
    {
      event: 'document.deleted',
      attempts: 2,
      failed_attempts: 0,
      delivered: 2,
      failed: 0,
      failure_rate: 0,
    },
  ]);
  const hours = (Date.parse(body.until) - Date.parse(body.since)) / 3_600_000;
  expect(hours).toBeGreaterThan(23);
  expect(hours).toBeLessThanOrEqual(24);

  const { key: stranger } = await service.newAccount();
  expect((await call<EventTypeStats>(service.apiUrl, stranger, 'GET', path)).body.data).toEqual([]);
});

test('it needs the scope to read, and a service key acts for an account', async () => {
  const { accountId, apiUrl } = service;
  const producer = await service.newKey({ accountId, scopes: ['events:write'] });
  expect((await call(apiUrl, producer, 'GET', path)).body).toMatchObject({ code: 'missing_scope' });
  const serviceKey = await service.newKey({ accountId: null });
  expect((await call(apiUrl, serviceKey, 'GET', path)).body).toMatchObject({ code: 'account_key_required' });
  const acting = { 'fltr-account': accountId };
  const { body } = await call<EventTypeStats>(apiUrl, serviceKey, 'GET', path, undefined, acting);
  expect(body.data.map(({ event }) => event)).toEqual(['dataset.deleted', 'document.deleted']);
});

test('counts older than a day are left out, and removed after two', async () => {
  const { pool } = service;
  const before = (await service.call<EventTypeStats>('GET', path)).body.data;
  await pool.query(
    `insert into event_type_stats (account_id, hour, event_type, part, attempts, delivered, failed)
     select $1, date_trunc('hour', now()) - make_interval(hours => h), 'order.paid', 0, 1, 1, 0 from unnest(array[23, 24, 49]) as h`,
    [service.accountId],
  );
  const now = (await service.call<EventTypeStats>('GET', path)).body.data;
  expect(now).toEqual([...before, expect.objectContaining({ event: 'order.paid', attempts: 1 })]);
  for (let step = nextStep(null); step !== null; step = nextStep(step))
    await removeOld(pool, step, { payloadDays: 0, days: 0 }, 1000);
  const { rows } = await pool.query<{ hours: number }>(
    `select (extract(epoch from date_trunc('hour', now()) - hour) / 3600)::int as hours from event_type_stats
     where event_type = 'order.paid' order by 1`,
  );
  expect(rows.map(({ hours }) => hours)).toEqual([23, 24]);
});
