import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Stats } from '../../src/contracts/stats.ts';
import type { WebhookStats } from '../../src/contracts/webhook.ts';
import { evaluateWebhooks } from '../../src/db/evaluate-webhooks.ts';
import { judgeWebhook } from '../../src/domain/auto-disable.ts';
import { percentile, stepOf } from '../../src/domain/response-times.ts';
import { ensureSchedules } from '../../src/temporal/schedules.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService({ FLTR_AUTO_DISABLE_EVERY_SECONDS: '3600' }),
    startReceiver((request, response) => {
      response.writeHead(request.path.includes('refuses') ? 404 : 200).end();
    }),
  ]);
});
afterAll(() => stopAll(service, receiver));

type Webhook = {
  webhook_id: string;
  active: boolean;
  warning: boolean;
  auto_disabled: { at: string; failure_rate: number; ended: number; failed: number } | null;
};

test('the rule at its edges: strictly more than 80 %, at least the least number, a warning from 50 %', () => {
  expect(judgeWebhook({ delivered: 200, failed: 800 }, 10)).toBe('warn');
  expect(judgeWebhook({ delivered: 199, failed: 801 }, 10)).toBe('disable');
  expect(judgeWebhook({ delivered: 0, failed: 9 }, 10)).toBe('ok');
  expect(judgeWebhook({ delivered: 0, failed: 10 }, 10)).toBe('disable');
  expect(judgeWebhook({ delivered: 5, failed: 5 }, 10)).toBe('warn');
  expect(judgeWebhook({ delivered: 501, failed: 499 }, 10)).toBe('ok');
  expect(judgeWebhook({ delivered: 0, failed: 0 }, 1)).toBe('ok');
});

test('response times are counted in steps, and percentiles read from them', () => {
  expect([0, 1, 2, 5000, 5001].map(stepOf)).toEqual([0, 0, 1, 14, 15]);
  expect(percentile([], 0.5)).toBeNull();
  expect(percentile([10], 0.5)).toBe(0.5);
  expect(percentile([0, 0, 0, 0, 100], 0.99)).toBeCloseTo(19.9);
});

async function account(events: string[] = ['document.*']) {
  const { accountId, key } = await service.newAccount();
  const mine: Service = { ...service, accountId, key, call: (...args) => call(service.apiUrl, key, ...args) };
  const webhook = async (path: string, more: Record<string, unknown> = {}) =>
    (await mine.call<Webhook>('POST', '/v1/webhooks', { url: receiver.url + path, events, ...more })).body
      .webhook_id;
  const read = async (id: string) => (await mine.call<Webhook>('GET', `/v1/webhooks/${id}`)).body;
  const count = (id: string, delivered: number, failed: number, hoursAgo = 1, activation = 0) =>
    service.pool.query(
      `insert into webhook_stats (webhook_id, minute, activation, attempts, delivered, failed, durations)
       values ($1, date_trunc('minute', now() - make_interval(mins => $2)), $3, $4, $5, $6, '{}')
       on conflict (webhook_id, minute, activation) do update set delivered = excluded.delivered, failed = excluded.failed`,
      [id, Math.round(hoursAgo * 60), activation, delivered + failed, delivered, failed],
    );
  return { mine, webhook, read, count };
}
const evaluate = async () => {
  for (let after: string | null = ''; after !== null;)
    after = (await evaluateWebhooks(service.pool, after, 10)).next;
};

test('80.0 % stays and is warned, 80.1 % goes, 9 ended deliveries stay; older than a day counts no more; twice is once', async () => {
  const { mine, webhook, read, count } = await account();
  const [edge, over, few, old] = [
    await webhook('/a'),
    await webhook('/b'),
    await webhook('/c'),
    await webhook('/d'),
  ];
  const listener = (
    await mine.call<Webhook>('POST', '/v1/webhooks', { url: receiver.url + '/ops', events: ['webhook.*'] })
  ).body.webhook_id;
  await count(edge, 200, 800);
  await count(over, 199, 801);
  await count(few, 0, 9);
  await count(old, 0, 100, 24.1);
  await count(old, 10, 0, 23.9);
  await evaluate();
  await evaluate();
  expect(await read(edge)).toMatchObject({ active: true, warning: true, auto_disabled: null });
  expect(await read(over)).toMatchObject({
    active: false,
    auto_disabled: { failure_rate: 0.801, ended: 1000, failed: 801 },
  });
  expect(await read(few)).toMatchObject({ active: true, warning: false });
  expect(await read(old)).toMatchObject({ active: true, warning: false });
  const notified = await until(
    () =>
      receiver.requests
        .filter(({ path }) => path === '/ops')
        .map(({ body }) => JSON.parse(body.toString()) as { event: string; data: object }),
    ({ length }) => length === 2,
  );
  expect(notified).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        event: 'webhook.warning',
        data: { webhook_id: edge, ended: 1000, failed: 800, failure_rate: 0.8 },
      }),
      expect.objectContaining({
        event: 'webhook.disabled',
        data: { webhook_id: over, ended: 1000, failed: 801, failure_rate: 0.801 },
      }),
    ]),
  );
  const { rows } = await service.pool.query(
    `select actor from audit_records where target = $1 and action = 'webhook.disabled'`,
    [over],
  );
  expect(rows).toEqual([{ actor: 'auto-disable' }]);
  // After an activation, deliveries that ended before it no longer count.
  await mine.call('PATCH', `/v1/webhooks/${over}`, { active: true });
  await evaluate();
  expect(await read(over)).toMatchObject({ active: true, warning: false, auto_disabled: null });
  await count(over, 1, 9, 0, 1);
  await evaluate();
  expect(await read(over)).toMatchObject({ active: false, auto_disabled: { ended: 10, failed: 9 } });
  expect((await read(listener)).active).toBe(true);
});

test('a webhook that fails is disabled by the scheduled workflow, its deliveries are held, and their failures notified as they occur', async () => {
  const { mine, webhook, read } = await account();
  const failing = await webhook('/refuses');
  await mine.call('POST', '/v1/webhooks', { url: receiver.url + '/failures', events: ['delivery.failed'] });
  for (let index = 0; index < 10; index += 1) {
    const { body } = await mine.call<{ deliveries: { id: string }[] }>('POST', '/v1/events', {
      event: 'document.deleted',
      data: { document_id: `doc_${index}`, dataset_id: 'ds_1' },
    });
    await waitForStatus(mine, body.deliveries[0]?.id ?? '', 'failed');
  }
  await service.temporal.client.schedule.getHandle('evaluate-auto-disable').trigger();
  await until(
    () => read(failing),
    ({ active }) => !active,
  );
  const { body } = await mine.call<{ deliveries: { id: string; status: string }[] }>('POST', '/v1/events', {
    event: 'document.deleted',
    data: { document_id: 'doc_late', dataset_id: 'ds_1' },
  });
  expect(body.deliveries).toMatchObject([{ status: 'held' }]);
  const notified = await until(
    () => receiver.requests.filter(({ path }) => path === '/failures'),
    ({ length }) => length === 10,
  );
  expect(JSON.parse(notified[0]?.body.toString() ?? '')).toMatchObject({
    event: 'delivery.failed',
    data: { webhook_id: failing, reason: 'client_error', attempts: 1 },
  });
});

test('no producer can take the id of the event about a failure, and so keep it from being sent', async () => {
  const { mine, webhook } = await account();
  const failing = await webhook('/refuses/taken');
  await mine.call('PATCH', `/v1/webhooks/${failing}`, { active: false });
  const alerts = { url: `${receiver.url}/taken`, events: ['delivery.failed'] };
  await mine.call('POST', '/v1/webhooks', alerts);
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  const { body } = await mine.call<{ deliveries: { id: string }[] }>('POST', '/v1/events', event);
  const deliveryId = body.deliveries[0]?.id ?? '';
  type Refused = { code: string; errors: { pointer: string; message: string }[] };
  for (const number of [1, 4]) {
    const taken = { ...event, id: `evt_failed_${deliveryId}_${number}` };
    const batch = await mine.call<{ data: { status: number; error: Refused }[] }>(
      'POST',
      '/v1/events/batch',
      {
        events: [event, taken],
      },
    );
    expect(batch.body.data.map(({ status }) => status)).toEqual([202, 422]);
    const single = await mine.call<Refused>('POST', '/v1/events', taken);
    const once = await mine.call<Refused>('POST', '/v1/events', taken, {
      'Idempotency-Key': `take-${number}`,
    });
    for (const refused of [single.body, once.body, batch.body.data[1]?.error])
      expect([refused?.code, refused?.errors]).toEqual([
        'validation_failed',
        [{ pointer: '/id', message: 'id must not begin with evt_failed_: such ids are reserved' }],
      ]);
  }
  await mine.call('PATCH', `/v1/webhooks/${failing}`, { active: true });
  const sent = await until(
    () => receiver.requests.filter(({ path }) => path === '/taken'),
    (requests) => requests.some(({ headers }) => headers['webhook-id'] === `evt_failed_${deliveryId}_1`),
  );
  expect(sent.length).toBeGreaterThan(0);
  // An id that merely resembles one is the producer's.
  expect((await mine.call('POST', '/v1/events', { ...event, id: 'evt_failed' })).status).toBe(202);
});

test('failures of operational events are not notified: no loops', async () => {
  const { mine, webhook } = await account(['document.*', 'delivery.failed', 'webhook.*']);
  await webhook('/refuses/1');
  await webhook('/refuses/2');
  const { body } = await mine.call<{ deliveries: { id: string }[] }>('POST', '/v1/events', {
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
  });
  for (const { id } of body.deliveries) await waitForStatus(mine, id, 'failed');
  const list = await until(
    async () =>
      (await mine.call<{ data: { event: string; status: string }[] }>('GET', '/v1/deliveries')).body.data,
    (data) => data.length === 4 && data.every(({ status }) => status === 'failed'),
  );
  expect(list.map(({ event }) => event).sort()).toEqual([
    'delivery.failed',
    'delivery.failed',
    'document.deleted',
    'document.deleted',
  ]);
});

test('a secret older than 90 days is notified once', async () => {
  const { mine, webhook } = await account(['webhook.secret_due']);
  const [old] = [await webhook('/old'), await webhook('/listens')];
  await service.pool.query(
    `update webhooks set secret_created_at = now() - interval '90 days 1 second' where id = $1`,
    [old],
  );
  await evaluate();
  await evaluate();
  const events = async () => (await mine.call<{ data: { event: string }[] }>('GET', '/v1/events')).body.data;
  expect((await events()).map(({ event }) => event)).toEqual(['webhook.secret_due']);
});

test('ten processes make the schedule at once: there is one, with the interval of the setting', async () => {
  const definition = {
    id: 'evaluate-auto-disable',
    workflowType: 'evaluateAutoDisable',
    args: [],
    everySeconds: 120,
  };
  await Promise.all(Array.from({ length: 10 }, () => ensureSchedules(service.temporal, [definition])));
  const schedules: string[] = [];
  for await (const { scheduleId } of service.temporal.client.schedule.list()) schedules.push(scheduleId);
  const { spec } = await service.temporal.client.schedule.getHandle('evaluate-auto-disable').describe();
  expect(spec.intervals?.map(({ every }) => every)).toEqual([120_000]);
});

test('statistics are kept up as attempts are recorded', async () => {
  const { mine, webhook } = await account();
  const [fine, refuses] = [await webhook('/fine'), await webhook('/refuses')];
  await mine.call('POST', '/v1/events', {
    event: 'document.deleted',
    data: { document_id: 'd', dataset_id: 's' },
  });
  type Stats = {
    attempts: number;
    delivered: number;
    failed: number;
    failure_rate: number;
    response_ms: { p50: number };
    hourly: { delivered: number }[];
  };
  const stats = async (id: string) => (await mine.call<Stats>('GET', `/v1/webhooks/${id}/stats`)).body;
  const ended = await until(
    () => Promise.all([stats(fine), stats(refuses)]),
    ([one, two]) => one.attempts === 1 && two.attempts === 1,
  );
  expect(ended[0]).toMatchObject({ delivered: 1, failed: 0, failure_rate: 0 });
  expect(ended[1]).toMatchObject({ delivered: 0, failed: 1, failure_rate: 1 });
  expect(ended[0]?.response_ms.p50).toBeGreaterThanOrEqual(0);
  expect(ended[0]?.hourly.reduce((sum, { delivered }) => sum + delivered, 0)).toBe(1);
  expect(ended[0]?.hourly.length).toBeGreaterThanOrEqual(24);
});

test('a receiver that cannot be reached counts as failed at once, waits in sight, and has no response times', async () => {
  const { mine } = await account();
  // Nothing listens there.
  const { body: created } = await mine.call<Webhook>('POST', '/v1/webhooks', {
    url: 'http://localhost:1/',
    events: ['*'],
  });
  const id = created.webhook_id;
  const publish = () =>
    mine.call('POST', '/v1/events', {
      event: 'document.deleted',
      data: { document_id: 'd', dataset_id: 's' },
    });
  await publish();
  const { body: stats } = await until(
    () => mine.call<WebhookStats>('GET', `/v1/webhooks/${id}/stats`),
    ({ body }) => body.waiting.retrying === 1,
  );
  expect(stats).toMatchObject({
    attempts: 1,
    failed_attempts: 1,
    delivered: 0,
    failed: 0,
    failure_rate: null,
  });
  expect(stats.response_ms).toEqual({ p50: null, p95: null, p99: null });
  await mine.call('PATCH', `/v1/webhooks/${id}`, { active: false });
  await publish();
  const { body: all } = await until(
    () => mine.call<Stats>('GET', '/v1/stats'),
    ({ body }) => body.data[0]?.waiting.held === 2,
  );
  expect(all.data).toMatchObject([
    {
      webhook_id: id,
      attempts: 1,
      failed_attempts: 1,
      waiting: { pending: 0, deferred: 0, scheduled: 0, retrying: 0, held: 2 },
    },
  ]);
});
