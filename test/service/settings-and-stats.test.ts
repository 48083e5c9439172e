import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Delivery } from '../../src/contracts/delivery.ts';
import type { Settings } from '../../src/contracts/settings.ts';
import type { Stats } from '../../src/contracts/stats.ts';
import type { WebhookStats } from '../../src/contracts/webhook.ts';
import { packageRoot } from '../../src/package-root.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, until, type Service } from '../kit/service.ts';

let service: Service;
let good: Receiver;
let bad: Receiver;
beforeAll(async () => {
  service = await startService({ FLTR_DELIVERIES_PER_HOUR: '0', FLTR_RETRY_SCHEDULE_SECONDS: '' });
  good = await startReceiver();
  bad = await startReceiver((_request, response) => response.writeHead(404).end());
});
afterAll(async () => {
  await service.stop();
  await Promise.all([good.close(), bad.close()]);
});

test('the settings are those that the service was started with; no cap is null', async () => {
  const { status, body } = await service.call<Settings>('GET', '/v1/settings');
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    version: string;
  };
  expect([status, body]).toEqual([
    200,
    {
      environment: 'development',
      email_alerts: false,
      version,
      account_id: service.accountId,
      header_prefix: 'X-FLTR-',
      user_agent: 'FLTR-Webhooks/1.0',
      signatures: ['fltr', 'standard'],
      retry_schedule_seconds: [],
      attempt_timeout_ms: 5000,
      deliveries_per_hour: null,
      max_webhooks: 100,
      hold_hours: 72,
      auto_disable: { every_seconds: 300, min_deliveries: 10, failure_rate: 0.8 },
      payload_retention_days: 30,
      retention_days: 90,
      deliveries_per_workflow: Number(service.env['FLTR_DELIVERIES_PER_WORKFLOW'] ?? 64),
      api_requests_per_minute: 0,
      publish_requests_per_minute: 0,
      temporal_ui_url: 'http://127.0.0.1:8233',
    },
  ]);
  const serviceKey = await service.newKey({ accountId: null, scopes: ['webhooks:read'] });
  expect((await call(service.apiUrl, serviceKey, 'GET', '/v1/settings')).status).toBe(403);
});

test("the statistics of all webhooks are each one's own, with zeros where nothing was sent; nobody else's", async () => {
  const { webhook_id: quiet } = await service.newWebhook(good.url, { events: ['document.uploaded'] });
  const { webhook_id: gone } = await service.newWebhook(good.url);
  const { webhook_id: fine } = await service.newWebhook(good.url);
  const { webhook_id: broken } = await service.newWebhook(bad.url);
  expect((await service.call('DELETE', `/v1/webhooks/${gone}`)).status).toBe(204);
  for (let index = 0; index < 3; index += 1) {
    for (const { id, webhook_id } of (await service.publish()).deliveries)
      await waitForStatus(service, id, webhook_id === fine ? 'delivered' : 'failed');
  }
  const { status, body } = await service.call<Stats>('GET', '/v1/stats');
  expect(status).toBe(200);
  expect(Date.parse(body.until) - Date.parse(body.since)).toBe(86_400_000);
  const waiting = { pending: 0, deferred: 0, scheduled: 0, retrying: 0, held: 0 };
  expect(body.data.map(({ hourly: _hourly, ...webhook }) => webhook)).toEqual([
    {
      webhook_id: broken,
      attempts: 3,
      failed_attempts: 3,
      delivered: 0,
      failed: 3,
      failure_rate: 1,
      waiting,
    },
    { webhook_id: fine, attempts: 3, failed_attempts: 0, delivered: 3, failed: 0, failure_rate: 0, waiting },
    {
      webhook_id: quiet,
      attempts: 0,
      failed_attempts: 0,
      delivered: 0,
      failed: 0,
      failure_rate: null,
      waiting,
    },
  ]);
  for (const { webhook_id, hourly } of body.data) {
    const { body: one } = await service.call<WebhookStats>('GET', `/v1/webhooks/${webhook_id}/stats`);
    expect(hourly).toEqual(one.hourly.map(({ response_ms: _ms, ...hour }) => hour));
    expect([24, 25]).toContain(hourly.length);
  }
  const { key } = await service.newAccount();
  expect((await call<Stats>(service.apiUrl, key, 'GET', '/v1/stats')).body.data).toEqual([]);
});

test('statistics count the pending deliveries that a limit defers apart from those that were rescheduled', async () => {
  const { webhook_id: id } = await service.newWebhook(good.url, {
    events: ['dataset.deleted'],
    rate_limit: { attempts: 1, seconds: 3600 },
  });
  const publish = () => service.publish({ event: 'dataset.deleted', data: { dataset_id: 'ds_1' } });
  const deliveries = [];
  for (let count = 0; count < 4; count += 1)
    deliveries.push(...(await publish()).deliveries.filter(({ webhook_id }) => webhook_id === id));
  const untilWaiting = (pending: number, deferred: number) =>
    until(
      async () => (await service.call<WebhookStats>('GET', `/v1/webhooks/${id}/stats`)).body.waiting,
      (waiting) => waiting.pending === pending && waiting.deferred === deferred,
    );
  await untilWaiting(3, 3);
  const next = { next_attempt_at: new Date(Date.now() + 86_400_000).toISOString() };
  expect((await service.call('PATCH', `/v1/deliveries/${deliveries.at(-1)?.id}`, next)).status).toBe(200);
  await untilWaiting(3, 2);
  const { data } = (await service.call<Stats>('GET', '/v1/stats')).body;
  expect(data.find(({ webhook_id }) => webhook_id === id)?.waiting).toEqual({
    pending: 3,
    deferred: 2,
    scheduled: 0,
    retrying: 0,
    held: 0,
  });
});

test('an attempt shows the headers that its receiver saw, except the two signatures', async () => {
  const { webhook_id: id } = await service.newWebhook(good.url, { events: ['document.uploaded'] });
  const data = { document_id: 'doc_ü', dataset_id: 'ds_1', filename: 'ä \u2028.pdf' };
  const { deliveries, ...event } = await service.publish({ event: 'document.uploaded', data });
  const delivery = deliveries.find(({ webhook_id }) => webhook_id === id)?.id ?? '';
  const { attempts } = await waitForStatus(service, delivery, 'delivered');
  const [attempt] = attempts;
  const seen = good.requests.find(({ headers }) => headers['x-fltr-delivery'] === attempt?.id);
  expect(attempt?.request.method).toBe(seen?.method);
  const signing = ['x-fltr-signature', 'webhook-signature'];
  const transport = ['host', 'connection', 'content-length'];
  const shown = Object.fromEntries(
    Object.entries(attempt?.request.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
  );
  expect(Object.keys(shown).filter((name) => signing.includes(name))).toEqual([]);
  expect({ ...shown }).toEqual(
    Object.fromEntries(
      Object.entries(seen?.headers ?? {}).filter(([name]) => ![...signing, ...transport].includes(name)),
    ),
  );
  // The event shows the body, byte for byte.
  const stored = await service.call<{ body: string | null }>('GET', `/v1/events/${event.id}`);
  expect(Buffer.from(stored.body.body ?? '')).toEqual(seen?.body);
  await service.pool.query(`update events set body = null where id = $1`, [event.id]);
  expect((await service.call('GET', `/v1/events/${event.id}`)).body).toMatchObject({
    body: null,
    data: null,
  });

  const test = { webhook_id: id, event: 'document.uploaded' };
  const tested = await service.call<{ attempt: Delivery['attempts'][number] }>(
    'POST',
    '/v1/webhooks/test',
    test,
  );
  const last = good.requests.at(-1);
  expect(tested.body.attempt.request.headers).toMatchObject({
    'X-FLTR-Test': 'true',
    'X-FLTR-Delivery': last?.headers['x-fltr-delivery'],
    'webhook-timestamp': last?.headers['webhook-timestamp'],
    'webhook-id': last?.headers['webhook-id'],
  });
});
