import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseMetrics, sumOf } from '../kit/read-metrics.ts';
import { startProcess } from '../kit/process.ts';
import { startRawReceiver } from '../kit/raw-receiver.ts';
import { startService, until, untilReady, type Service } from '../kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({ FLTR_MAX_BACKLOG: '3' }, null);
});
afterAll(() => service.stop());

test('as many deliveries as FLTR_MAX_BACKLOG may wait for a start; then publishing responds with 503, and reading still works', async () => {
  // A Temporal that never responds: nothing is started.
  const silent = await startRawReceiver(() => undefined);
  const api = startProcess(['api'], { ...service.env, TEMPORAL_ADDRESS: `127.0.0.1:${silent.port}` });
  await untilReady(service.apiUrl);
  await service.newWebhook('https://example.com/');
  for (let index = 0; index < 3; index += 1) await service.publish();
  const event = {
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
    id: 'evt_last',
  };
  const refused = await until(
    () => service.call<{ code: string }>('POST', '/v1/events', event),
    ({ status }) => status !== 202,
  );
  expect([refused.status, refused.body.code, refused.headers.get('retry-after')]).toEqual([
    503,
    'unavailable',
    '10',
  ]);
  expect((await service.call('POST', '/v1/events/batch', { events: [event] })).status).toBe(503);
  expect((await service.call('GET', '/v1/deliveries')).status).toBe(200);
  const samples = parseMetrics(
    await until(
      async () => (await fetch(`${service.apiUrl}/metrics`)).text(),
      (text) => text.includes('fltr_temporal_up 0'),
    ),
  );
  expect(sumOf(samples, 'fltr_publishes_refused_total', { reason: 'backlog' })).toBe(2);
  expect(sumOf(samples, 'fltr_publishes_refused_total')).toBe(2);
  expect(sumOf(samples, 'fltr_backlog_deliveries')).toBe(3);
  expect(sumOf(samples, 'fltr_backlog_max_deliveries')).toBe(3);
  expect(sumOf(samples, 'fltr_backlog_oldest_age_seconds')).toBeGreaterThan(0);
  expect(sumOf(samples, 'fltr_postgresql_up')).toBe(1);
  await service.pool.query(`update deliveries set status = 'canceled', ended_at = now()`);
  await until(
    () => service.call('POST', '/v1/events', event),
    ({ status }) => status === 202,
  );
  api.kill('SIGKILL');
  await api.exited();
});

test('a request body is at most 64 KiB where it is not an event or a batch', async () => {
  const api = startProcess(['api'], service.env);
  await untilReady(service.apiUrl);
  const bodyOf = (bytes: number) => {
    const body = JSON.stringify({ url: 'https://example.com/', events: ['*'] });
    return body + ' '.repeat(bytes - body.length);
  };
  expect((await service.call('POST', '/v1/webhooks', bodyOf(65_536))).status).toBe(201);
  expect((await service.call('POST', '/v1/webhooks', bodyOf(65_537))).status).toBe(413);
  api.kill('SIGKILL');
  await api.exited();
});
