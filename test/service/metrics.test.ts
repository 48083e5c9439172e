import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { readConfig } from '../../src/config.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { ofKey, publishKeyed } from '../kit/ordered.ts';
import { parseMetrics, sumOf, type Sample } from '../kit/read-metrics.ts';
import { startProcess } from '../kit/process.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, until, untilReady, type Service } from '../kit/service.ts';

const token = 'a-token-for-the-metrics';
const retryAfterOneSecond = { FLTR_RETRY_SCHEDULE_SECONDS: '1' };

let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver((request, response) => {
    response.writeHead(request.path === '/fine' ? 200 : request.path === '/refuses' ? 404 : 503).end();
  });
});
afterAll(() => receiver.close());

async function readMetrics(apiUrl: string, headers: Record<string, string> = {}): Promise<Sample[]> {
  const response = await fetch(`${apiUrl}/metrics`, { headers });
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
  ]);
  return parseMetrics(await response.text());
}

describe('each event is counted once', () => {
  let service: Service;
  let samples: Sample[];
  const of = (name: string, labels?: Record<string, string>) => sumOf(samples, name, labels);
  const seen: Record<string, string> = {};

  beforeAll(async () => {
    service = await startService({ ...retryAfterOneSecond, FLTR_DELIVERIES_PER_HOUR: '3' });
    for (const path of ['/fine', '/broken', '/refuses'])
      seen[path] = (await service.newWebhook(receiver.url + path)).webhook_id;
    const held = await service.newWebhook(`${receiver.url}/fine`, { active: false });
    seen['held'] = held.webhook_id;
    const { deliveries } = await service.publish({ id: 'evt_one' });
    for (const [path, status] of [
      ['/fine', 'delivered'],
      ['/broken', 'failed'],
      ['/refuses', 'failed'],
      ['held', 'held'],
    ] as const) {
      const delivery = deliveries.find(({ webhook_id: id }) => id === seen[path]);
      await waitForStatus(service, delivery?.id ?? '', status);
    }
    expect((await service.publish({ id: 'evt_one' })).duplicate).toBe(true);
    const event = { event: 'document.deleted', data: { document_id: 'doc_2', dataset_id: 'ds_1' } };
    expect((await service.call('POST', '/v1/events', { ...event, id: 'evt_one' })).status).toBe(409);
    expect((await service.call('POST', '/v1/events', { event: 'none', data: {} })).status).toBe(422);
    const once = { 'idempotency-key': 'metrics-1' };
    // Two webhooks less, so that each of the next events has one delivery.
    for (const path of ['/broken', '/refuses', 'held'])
      await service.call('DELETE', `/v1/webhooks/${seen[path]}`);
    for (let time = 0; time < 2; time += 1) {
      expect((await service.call('POST', '/v1/events', { ...event, id: 'evt_two' }, once)).status).toBe(202);
    }
    const items = [{ ...event, id: 'evt_three' }, { event: 'none' }, { ...event, id: 'evt_four' }];
    expect((await service.call('POST', '/v1/events/batch', { events: items })).status).toBe(207);
    expect((await service.call('GET', '/v1/webhooks/wh_unknown')).status).toBe(404);
    expect((await service.call('GET', '/a/path/that/is/nowhere')).status).toBe(404);
    samples = await until(
      () => readMetrics(service.apiUrl),
      (read) =>
        sumOf(read, 'fltr_attempts_total', { outcome: 'delivered' }) === 3 &&
        sumOf(read, 'fltr_deliveries_deferred_total') === 1 &&
        read.some(({ name, value }) => name === 'fltr_deliveries_waiting' && value === 1),
    );
  });
  afterAll(() => service.stop());

  test('metrics count events and deliveries', () => {
    expect(of('fltr_events_accepted_total')).toBe(4);
    expect(of('fltr_events_duplicate_total')).toBe(1);
    expect(of('fltr_deliveries_accepted_total', { status: 'pending' })).toBe(6);
    expect(of('fltr_deliveries_accepted_total', { status: 'held' })).toBe(1);
    expect(of('fltr_publishes_refused_total', { reason: 'event_id_conflict' })).toBe(1);
    expect(of('fltr_publishes_refused_total', { reason: 'validation_failed' })).toBe(2);
    expect(of('fltr_publishes_refused_total')).toBe(3);
  });

  test('metrics count attempts, their durations, and the ends of deliveries', () => {
    const outcomes = { delivered: 3, retry: 1, failed: 2 };
    for (const [outcome, count] of Object.entries(outcomes)) {
      expect(of('fltr_attempts_total', { outcome })).toBe(count);
      expect(of('fltr_attempt_duration_seconds_count', { outcome })).toBe(count);
    }
    expect(of('fltr_attempt_errors_total', { code: 'server_error' })).toBe(2);
    expect(of('fltr_attempt_errors_total', { code: 'client_error' })).toBe(1);
    expect(of('fltr_attempt_errors_total')).toBe(3);
    expect(of('fltr_deliveries_failed_total', { reason: 'client_error' })).toBe(1);
    expect(of('fltr_deliveries_failed_total', { reason: 'retries_exhausted' })).toBe(1);
    expect(of('fltr_deliveries_failed_total')).toBe(2);
    expect(of('fltr_delivery_latency_seconds_count')).toBe(3);
    expect(of('fltr_delivery_latency_seconds_bucket', { le: '3600' })).toBe(3);
    expect(of('fltr_delivery_latency_seconds_sum')).toBeGreaterThan(0);
    expect(of('fltr_workflows_started_total')).toBeGreaterThanOrEqual(1);
  });

  test('metrics show waiting deliveries, and the state of database and Temporal', async () => {
    // The fourth attempt of the hour is deferred, and its delivery waits.
    expect(of('fltr_deliveries_waiting', { status: 'pending' })).toBe(1);
    expect(of('fltr_deliveries_waiting', { status: 'held' })).toBe(0);
    expect(of('fltr_backlog_max_deliveries')).toBe(1_000_000);
    expect([of('fltr_postgresql_up'), of('fltr_temporal_up')]).toEqual([1, 1]);
    expect(of('fltr_postgresql_connections_max')).toBe(20);
    expect(of('fltr_postgresql_connections')).toBeGreaterThan(0);
    expect(of('process_resident_memory_bytes')).toBeGreaterThan(0);
  });

  test('metrics count requests by the template of their route', () => {
    const events = { route: '/v1/events', method: 'POST' };
    expect(of('fltr_http_requests_total', { ...events, status: '2xx' })).toBe(4);
    expect(of('fltr_http_requests_total', { ...events, status: '4xx' })).toBe(2);
    expect(of('fltr_http_request_duration_seconds_count', events)).toBe(6);
    const webhook = { route: '/v1/webhooks/{id}', method: 'GET', status: '4xx' };
    expect(of('fltr_http_requests_total', webhook)).toBe(1);
    expect(of('fltr_http_requests_total', { route: 'other', status: '4xx' })).toBe(1);
  });

  test('no label holds an id, a URL, a key or an account', () => {
    const labels = samples.flatMap(({ labels: all }) => Object.values(all)).join('\n');
    expect(labels).not.toMatch(/_[0-9a-z]{26}|evt_|doc_|localhost|nowhere|https?:/);
    expect(labels).not.toContain(service.key);
  });

  test('a second service in this process counts for itself', async () => {
    const other = await startService();
    const read = await readMetrics(other.apiUrl);
    expect(sumOf(read, 'fltr_events_accepted_total')).toBe(0);
    await other.stop();
  });
});

test('metrics show blocked lines, and deliveries that wait in their order', async () => {
  const service = await startService(retryAfterOneSecond);
  onTestFinished(() => service.stop());
  await service.newWebhook(`${receiver.url}/refuses`, { ordering: 'by_key', on_failure: 'block' });
  const of = async (): Promise<(number | undefined)[]> => {
    const samples = await readMetrics(service.apiUrl);
    return ['fltr_lines_blocked', 'fltr_deliveries_waiting_in_order'].map((name) => sumOf(samples, name));
  };
  expect(await of()).toEqual([0, 0]);
  const [head] = await publishKeyed(service, [...ofKey('a', 3), ...ofKey('b', 1)]);
  const is = (expected: number[]) => until(of, (values) => values.join() === expected.join(), 30_000);
  await is([2, 2]);
  await service.call('POST', `/v1/deliveries/${head}/cancel`);
  await is([2, 1]);
});

describe('who may read them', () => {
  const production = {
    FLTR_ENV: 'production',
    FLTR_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}`,
  };

  test('in production nobody can read the metrics while FLTR_METRICS_TOKEN is not set', async () => {
    const service = await startService(production, 'api');
    const refused = await service.call<{ code: string; detail: string }>('GET', '/metrics');
    expect([refused.status, refused.body.code]).toEqual([403, 'metrics_closed']);
    expect(refused.body.detail).toContain('FLTR_METRICS_TOKEN');
    expect((await service.call('GET', '/healthz')).status).toBe(200);
    await service.stop();
  });

  test.each([
    ['production', production],
    ['development', {}],
  ])('with a token, in %s, who sends it', async (_name, settings) => {
    const service = await startService({ ...settings, FLTR_METRICS_TOKEN: token }, 'api');
    for (const authorization of [undefined, `Bearer ${service.key}`, `Bearer ${token}x`, token, 'Bearer ']) {
      const response = await fetch(`${service.apiUrl}/metrics`, {
        headers: authorization === undefined ? {} : { authorization },
      });
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
      expect(await response.text()).not.toContain('fltr_');
    }
    const samples = await readMetrics(service.apiUrl, { authorization: `Bearer ${token}` });
    expect(sumOf(samples, 'fltr_events_accepted_total')).toBe(0);
    // It is no API key.
    const headers = { authorization: `Bearer ${token}` };
    expect((await fetch(`${service.apiUrl}/v1/webhooks`, { headers })).status).toBe(401);
    await service.stop();
  });

  test('a token has 16 characters at least, and the address of the metrics of Temporal is an address', () => {
    const faults = (env: Record<string, string>) => () => readConfig(env);
    expect(faults({ FLTR_METRICS_TOKEN: 'x'.repeat(15) })).toThrow(/FLTR_METRICS_TOKEN must be 16 to 200/);
    expect(faults({ FLTR_METRICS_TOKEN: 'x'.repeat(16) })).not.toThrow();
    for (const address of ['localhost:9464', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:65536', '::1:x'])
      expect(faults({ FLTR_TEMPORAL_METRICS_ADDRESS: address })).toThrow(/must be an IP address and a port/);
    for (const address of ['127.0.0.1:9464', '[::1]:65535'])
      expect(faults({ FLTR_TEMPORAL_METRICS_ADDRESS: address })).not.toThrow();
  });
});

test('a worker alone serves its metrics on FLTR_WORKER_PORT, and Temporal’s worker on an address of its own', async () => {
  const service = await startService({ ...retryAfterOneSecond, FLTR_METRICS_TOKEN: token }, 'api');
  const port = await reservePort();
  const temporalPort = await reservePort();
  const url = `http://127.0.0.1:${port}`;
  const env = {
    ...service.env,
    FLTR_WORKER_PORT: String(port),
    FLTR_TEMPORAL_METRICS_ADDRESS: `127.0.0.1:${temporalPort}`,
  };
  const worker = startProcess(['worker'], env);
  await untilReady(url);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect((await fetch(`${url}/metrics`)).status).toBe(401);
  expect((await fetch(`${url}/v1/webhooks`)).status).toBe(404);
  await service.newWebhook(`${receiver.url}/fine`);
  const { deliveries } = await service.publish();
  await waitForStatus(service, deliveries[0]?.id ?? '', 'delivered');
  const samples = await readMetrics(url, { authorization: `Bearer ${token}` });
  expect(sumOf(samples, 'fltr_attempts_total', { outcome: 'delivered' })).toBe(1);
  const ofTemporal = parseMetrics(await (await fetch(`http://127.0.0.1:${temporalPort}/metrics`)).text());
  expect(sumOf(ofTemporal, 'temporal_workflow_completed_total')).toBe(1);
  expect(ofTemporal.some(({ name }) => name === 'temporal_request_latency_seconds_bucket')).toBe(true);

  // Others find the ports taken, and say which setting to change.
  const [second, third] = [
    startProcess(['worker'], env),
    startProcess(['worker'], { ...env, FLTR_WORKER_PORT: '' }),
  ];
  expect([await second.exited(90_000), await third.exited(90_000)]).toEqual([1, 1]);
  expect(second.output()).toContain(`Port ${port} on 127.0.0.1 is already in use. Set FLTR_WORKER_PORT`);
  expect(third.output()).toContain('Set FLTR_TEMPORAL_METRICS_ADDRESS');
  worker.kill('SIGTERM');
  await worker.exited();
  await service.stop();
}, 180_000);
