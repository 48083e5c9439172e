import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { rampTime } from '../../src/domain/health.ts';
import { countByStatus, publishOne, readDelivery, waitForAll, waitForStatus } from '../kit/delivery-steps.ts';
import { setWebhook as setRow } from '../kit/outages.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { atOnce, startService, stopAll, until, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

let service: Service;
let other: ServiceProcess;
let receiver: Receiver;
let status = 200;
let responseMs = 0;
let underWay = 0;
let mostUnderWay = 0;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService({ FLTR_DELIVERIES_PER_HOUR: '0', FLTR_RETRY_SCHEDULE_SECONDS: '600' }),
    startReceiver((_request, response) => {
      underWay += 1;
      mostUnderWay = Math.max(mostUnderWay, underWay);
      setTimeout(() => {
        underWay -= 1;
        response.writeHead(status).end();
      }, responseMs);
    }),
  ]);
  // Two processes make the attempts.
  other = startProcess(['worker'], service.env);
});
afterAll(async () => {
  other.kill('SIGKILL');
  await other.exited();
  await stopAll(service, receiver);
});
afterEach(async () => {
  const { body } = await service.call<{ data: { webhook_id: string }[] }>('GET', '/v1/webhooks');
  for (const { webhook_id: id } of body.data) await service.call('DELETE', `/v1/webhooks/${id}`);
  receiver.requests.length = 0;
  [status, responseMs, mostUnderWay] = [200, 0, 0];
});

const publishMany = (count: number, of = service) => atOnce(count, () => publishOne(of));
const change = async (id: string, body: object) => {
  const response = await service.call('PATCH', `/v1/webhooks/${id}`, body);
  expect(response.status, response.text).toBe(200);
};
const query = <Row extends object>(text: string, values: unknown[] = [], of = service) =>
  of.pool.query<Row>(text, values).then(({ rows }) => rows);
type Row = { id: string; status: string; reason: string | null; wait: string | null; at: Date | null };
const rowsOf = (webhookId: string) =>
  query<Row>(
    `select id, status, reason, wait_reason as wait, next_attempt_at as at from deliveries where webhook_id = $1 order by id`,
    [webhookId],
  );
const untilWaiting = (webhookId: string, wait: string, count: number) =>
  until(
    () => rowsOf(webhookId),
    (rows) => rows.filter((row) => row.wait === wait).length === count,
  );
const startsOf = async (webhookId: string, of = service) =>
  (
    await query<{ at: Date }>(
      `select started_at as at from attempts where webhook_id = $1 order by started_at`,
      [webhookId],
      of,
    )
  ).map(({ at }) => at.getTime());
const runningOf = async (workflowId: string): Promise<boolean> =>
  (await service.temporal.client.workflow.getHandle(workflowId).describe()).status.name === 'RUNNING';
/** The most of these times within less than so many ms. */
const mostWithin = (times: readonly number[], ms: number): number =>
  Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + ms).length));
/** As other parts of the service set its columns. */
const setWebhook = (id: string, assignments: string) => setRow(service, id, assignments);

test('a rate limit holds in any window, across two processes, and each deferred delivery shows its time', async () => {
  const limit = { attempts: 3, seconds: 1 };
  const { webhook_id: id } = await service.newWebhook(receiver.url, { rate_limit: limit });
  const ids = await publishMany(30);
  const waiting = await until(
    async () => (await rowsOf(id)).filter(({ wait }) => wait === 'rate_limit'),
    (rows) => rows.length > 10,
  );
  const shown = await readDelivery(service, waiting.at(-1)?.id ?? '');
  expect(shown.status).toBe('pending');
  expect(Date.parse(shown.next_attempt_at ?? '') - Date.now()).toBeLessThan(15_000);
  expect(shown.timeline.at(-1)).toMatchObject({ type: 'wait', reason: 'rate_limit' });
  const startedAt = Date.now();
  await waitForAll(service, ids, 'delivered', 1);
  expect(mostWithin(await startsOf(id), 1000)).toBe(3);
  // 27 more at three in 1.05 s, and the time to find out.
  expect(Date.now() - startedAt).toBeLessThan(25_000);
  expect(new Set(receiver.requests.map(({ headers }) => headers['webhook-id'])).size).toBe(30);
});

test('the limits at their edges', async () => {
  const create = (body: object) =>
    service.call('POST', '/v1/webhooks', { url: receiver.url, events: ['*'], ...body });
  const rates: [number, number][] = [
    [1, 1],
    [10_000, 3600],
    [0, 1],
    [10_001, 1],
    [1, 0],
    [1, 3601],
  ];
  const statuses = await Promise.all(
    rates.map(async ([attempts, seconds]) => (await create({ rate_limit: { attempts, seconds } })).status),
  );
  expect(statuses).toEqual([201, 201, 422, 422, 422, 422]);
  const concurrent = await Promise.all(
    [1, 100, 0, 101, 1.5].map(async (max_concurrent) => (await create({ max_concurrent })).status),
  );
  expect(concurrent).toEqual([201, 201, 422, 422, 422]);
});

test('a rate limit that changes counts at once for those that wait', async () => {
  const { webhook_id: id } = await service.newWebhook(receiver.url, {
    rate_limit: { attempts: 1, seconds: 3600 },
  });
  const ids = await publishMany(5);
  const hourOf = ({ at }: Row) => Math.round(((at?.getTime() ?? 0) - Date.now()) / 3_600_000);
  await until(
    async () => (await rowsOf(id)).filter(({ wait }) => wait === 'rate_limit').map(hourOf),
    (hours) => hours.join() === '1,2,3,4',
  );
  await change(id, { rate_limit: { attempts: 2, seconds: 3600 } });
  await until(
    () => receiver.requests.length,
    (count) => count === 2,
  );
  await delay(500);
  expect(receiver.requests).toHaveLength(2);
  await change(id, { rate_limit: null });
  await waitForAll(service, ids, 'delivered', 1);
});

test('no more requests are under way than allowed, across two processes', async () => {
  responseMs = 30;
  const { webhook_id: id } = await service.newWebhook(receiver.url, { max_concurrent: 1 });
  const ids = await publishMany(40);
  await waitForAll(service, ids, 'delivered', 1);
  expect([mostUnderWay, receiver.requests.length]).toEqual([1, 40]);
  await change(id, { max_concurrent: 3 });
  await waitForAll(service, await publishMany(40), 'delivered', 1);
  expect(mostUnderWay).toBeLessThanOrEqual(3);
  await change(id, { max_concurrent: null });
  await waitForAll(service, await publishMany(10), 'delivered', 1);
});

test("a receiver's Retry-After defers the whole webhook until then", async () => {
  const { webhook_id: id } = await service.newWebhook(receiver.url);
  await setWebhook(id, `deferred_until = now() + interval '4 seconds'`);
  const ids = await publishMany(5);
  const rows = await untilWaiting(id, 'receiver_requested', 5);
  const [{ until: end } = { until: new Date(0) }] = await query<{ until: Date }>(
    `select deferred_until as until from webhooks where id = $1`,
    [id],
  );
  for (const { at } of rows) expect(Math.abs((at?.getTime() ?? 0) - end.getTime())).toBeLessThanOrEqual(1);
  expect(receiver.requests).toEqual([]);
  await waitForAll(service, ids, 'delivered', 1);
  expect(Math.min(...(await startsOf(id)))).toBeGreaterThanOrEqual(end.getTime());
});

test('while a webhook is paced, one probe at a time is sent; after it a ramp, in order of acceptance', async () => {
  const { webhook_id: id } = await service.newWebhook(receiver.url, { probe_when_down: true });
  await setWebhook(id, `next_probe_at = date_trunc('milliseconds', now()) + interval '1 hour'`);
  const events = Array.from({ length: 200 }, () => ({
    event: 'document.deleted',
    data: { document_id: 'd', dataset_id: 's' },
  }));
  await service.call('POST', '/v1/events/batch', { events });
  const rows = await untilWaiting(id, 'down', 200);
  const [head = '', last = ''] = [rows[0]?.id, rows.at(-1)?.id];
  const { next_probe_at } = (await service.call<Webhook>('GET', `/v1/webhooks/${id}`)).body.health;
  const { body } = await service.call('GET', `/v1/deliveries?webhook_id=${id}&limit=1`);
  const waits = { next_attempt_at: null, waits_for: { reason: 'down', next_probe_at } };
  expect(body).toMatchObject({ data: [{ id: last, ...waits }] });
  expect(await readDelivery(service, head)).toMatchObject({ status: 'pending', ...waits });
  // A retry by hand does not go round it.
  await service.call('POST', `/v1/deliveries/${last}/retry`);
  await until(
    () => readDelivery(service, last),
    ({ timeline }) => timeline.some(({ type }) => type === 'signal'),
  );
  await delay(500);
  expect((await readDelivery(service, last)).waits_for).toMatchObject({ reason: 'down' });
  expect(receiver.requests).toEqual([]);

  status = 503;
  for (let probes = 1; probes <= 3; probes += 1) {
    await setWebhook(id, `next_probe_at = now()`);
    await until(
      () => receiver.requests.length,
      (count) => count === probes,
    );
    await delay(1000);
    expect(receiver.requests).toHaveLength(probes);
  }
  // The oldest delivery each time, and no wait of its schedule is used.
  const probed = await waitForStatus(service, head, 'pending', 3);
  expect(probed.attempts).toHaveLength(3);
  expect(await query(`select retries_used from deliveries where id = $1`, [head])).toEqual([
    { retries_used: 0 },
  ]);

  status = 200;
  receiver.requests.length = 0;
  await setWebhook(id, `next_probe_at = null, failed_probes = 0, ramp_started_at = now()`);
  await until(
    () => countByStatus(service.pool),
    () => receiver.requests.length === 200,
  );
  const [{ ramp } = { ramp: new Date(0) }] = await query<{ ramp: Date }>(
    `select ramp_started_at as ramp from webhooks where id = $1`,
    [id],
  );
  const order = await until(
    () =>
      query<{ id: string; at: Date }>(
        `select delivery_id as id, started_at as at from attempts
         where webhook_id = $1 and outcome = 'delivered' order by started_at`,
        [id],
      ),
    (rows) => rows.length === 200,
  );
  // 1, 2, 4, … a second, the oldest first: of those that wake in the same second, any.
  const sorted = order.map((row) => row.id).toSorted();
  for (const [index, row] of order.entries()) {
    expect(row.at.getTime() - ramp.getTime()).toBeGreaterThanOrEqual(rampTime(0, index) - 2);
    expect(sorted.indexOf(row.id)).toBeLessThanOrEqual(4 * index + 4);
  }
});

test('a queue that is too long to be read at once is released in order, too, and deliveries accepted meanwhile go last', async () => {
  const { webhook_id: id } = await service.newWebhook(receiver.url, { probe_when_down: true });
  await setWebhook(id, `next_probe_at = date_trunc('milliseconds', now()) + interval '1 hour'`);
  const publishBatch = (count: number) =>
    service.call('POST', '/v1/events/batch', {
      events: Array.from({ length: count }, () => ({
        event: 'document.deleted',
        data: { document_id: 'd', dataset_id: 's' },
      })),
    });
  for (let batch = 0; batch < 3; batch += 1) await publishBatch(370);
  await untilWaiting(id, 'down', 1110);
  await setWebhook(id, `next_probe_at = null, ramp_started_at = now()`);
  await delay(1000);
  await publishBatch(10);
  const order = await until(
    () =>
      query<{ id: string; waits: number }>(
        `select a.delivery_id as id, jsonb_array_length(jsonb_path_query_array(d.timeline, '$[*] ? (@.type == "wait")')) as waits
         from attempts a join deliveries d on d.id = a.delivery_id where a.webhook_id = $1 order by a.started_at`,
        [id],
      ),
    (rows) => rows.length === 1120,
  );
  const sorted = order.map((row) => row.id).toSorted();
  const positions = order.map((row) => sorted.indexOf(row.id));
  // One whose process had too much to do comes later.
  const mean = (numbers: readonly number[]) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
  expect(mean(positions.slice(0, 400))).toBeLessThan(300);
  expect(mean(positions.slice(-400))).toBeGreaterThan(800);
  expect(
    Math.min(...sorted.slice(-10).map((newest) => order.findIndex((row) => row.id === newest))),
  ).toBeGreaterThan(500);
  // Each was parked once, but for a few: the queue is not started again and again.
  expect(order.reduce((sum, { waits }) => sum + waits, 0)).toBeLessThan(1.1 * order.length);
});

test('deferred for too long while its webhook is down, a delivery fails as expired, with an event; others are canceled, held and rescheduled', async () => {
  const { webhook_id: id } = await service.newWebhook(receiver.url, { probe_when_down: true });
  const watcher = await startReceiver();
  onTestFinished(() => watcher.close());
  await setWebhook(id, `next_probe_at = date_trunc('milliseconds', now()) + interval '1 hour'`);
  const ids = (await publishMany(5)).toSorted();
  await service.newWebhook(watcher.url, { events: ['delivery.failed'] });
  await untilWaiting(id, 'down', 5);
  const [, canceled = '', expired = '', moved = '', kept = ''] = ids;
  await query(
    `update deliveries set deferred_at = now() - interval '72 hours', next_attempt_at = now() where id = $1`,
    [expired],
  );
  const ended = await waitForStatus(service, expired, 'failed');
  expect(ended).toMatchObject({ reason: 'expired', attempts: [], waits_for: null });
  expect(ended.timeline.at(-1)).toMatchObject({ type: 'ended', status: 'failed', reason: 'expired' });
  const event = await until(
    () => watcher.requests[0],
    (request) => request !== undefined,
  );
  expect(JSON.parse(event?.body.toString() ?? '')).toMatchObject({
    event: 'delivery.failed',
    data: { delivery_id: expired, reason: 'expired', attempts: 0 },
  });
  expect((await service.call('POST', `/v1/deliveries/${canceled}/cancel`)).status).toBe(202);
  await waitForStatus(service, canceled, 'canceled');
  const next_attempt_at = new Date(Date.now() + 86_400_000).toISOString();
  await service.call('PATCH', `/v1/deliveries/${moved}`, { next_attempt_at });
  expect(await readDelivery(service, moved)).toMatchObject({ next_attempt_at, waits_for: null });
  // It has a workflow again.
  await until(
    () =>
      query<{ run: string | null }>(`select run_id as run from deliveries where id = $1 and owner_id = id`, [
        moved,
      ]),
    ([row]) => row?.run !== null,
  );
  expect(await runningOf(moved)).toBe(true);
  expect(receiver.requests).toEqual([]);
  // Activated, it may be probed at once.
  status = 503;
  await change(id, { active: false });
  await waitForStatus(service, kept, 'held');
  await change(id, { active: true });
  await setWebhook(id, `next_probe_at = date_trunc('milliseconds', now()) + interval '1 hour'`);
  await until(
    () => rowsOf(id),
    (rows) => rows.find((row) => row.id === kept)?.wait === 'down',
  );
  // Reopened by hand, the expired one waits as the others do.
  expect((await service.call('POST', `/v1/deliveries/${expired}/retry`)).status).toBe(202);
  await until(
    () => rowsOf(id),
    (rows) => rows.find((row) => row.id === expired)?.wait === 'down',
  );
});

test('a backlog is released at a rate, which ends with it', async () => {
  const { webhook_id: id } = await service.newWebhook(receiver.url, { active: false });
  const ids = await publishMany(12);
  await setWebhook(
    id,
    `active = true, release_per_second = 4, sync_at = now(), sync_until = now() + interval '70 seconds'`,
  );
  await waitForAll(service, ids, 'delivered', 1);
  expect(mostWithin(await startsOf(id), 1000)).toBeLessThanOrEqual(4);
  await until(
    () =>
      query<{ rate: number | null }>(`select release_per_second as rate from webhooks where id = $1`, [id]),
    ([row]) => row?.rate === null,
  );
});

test('a rate limit holds over a kill -9, and nothing is lost', async () => {
  const own = await startService({ FLTR_DELIVERIES_PER_HOUR: '0', LOG_LEVEL: 'warn' }, null);
  onTestFinished(() => own.stop());
  const processes = [startProcess(['up'], own.env)];
  onTestFinished(async () => {
    for (const each of processes) each.kill('SIGKILL');
    await Promise.all(processes.map((each) => each.exited()));
  });
  await until(
    () =>
      fetch(`${own.apiUrl}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    (isReady) => isReady,
  );
  const { webhook_id: id } = await own.newWebhook(receiver.url, { rate_limit: { attempts: 2, seconds: 2 } });
  const ids = await publishMany(14, own);
  await until(
    () => receiver.requests.length,
    (count) => count >= 5,
  );
  processes[0]?.kill('SIGKILL');
  await processes[0]?.exited();
  processes.push(startProcess(['up'], own.env));
  await until(
    () => countByStatus(own.pool),
    ({ delivered }) => delivered === ids.length,
  );
  expect(mostWithin(await startsOf(id, own), 2000)).toBeLessThanOrEqual(2);
  const received = receiver.requests.map(({ at }) => at.getTime());
  expect(mostWithin(received, 1900)).toBeLessThanOrEqual(2);
});
