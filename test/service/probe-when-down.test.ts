import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { evaluateWebhooks } from '../../src/db/evaluate-webhooks.ts';
import { publishOne, readDelivery, waitForAll, waitForStatus } from '../kit/delivery-steps.ts';
import {
  deleteWebhooks,
  probeNow,
  readPacing,
  readWebhook,
  startFickleReceiver,
  untilPaced,
  untilQuiet,
  type FickleReceiver,
} from '../kit/outages.ts';
import { passTime } from '../kit/pass-time.ts';
import { startProcess } from '../kit/process.ts';
import { startService, stopAll, until, untilReady, type Service } from '../kit/service.ts';

let service: Service;
let receiver: FickleReceiver;
beforeAll(async () => {
  service = await startService({ FLTR_DELIVERIES_PER_HOUR: '0', FLTR_AUTO_DISABLE_EVERY_SECONDS: '3600' });
});
afterAll(() => stopAll(service));
beforeEach(async () => {
  receiver = await startFickleReceiver();
});
afterEach(async () => {
  await deleteWebhooks(service);
  await receiver.close();
});

const publishMany = async (count: number, of: Service = service): Promise<string[]> => {
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) ids.push(await publishOne(of));
  return ids;
};

/** A webhook that is paced: its receiver has refused more than 20 attempts, and `waiting` deliveries wait. */
async function setUpOutage(waiting = 30, of: Service = service) {
  const { webhook_id: id } = await of.newWebhook(receiver.url, { probe_when_down: true });
  receiver.behave('down');
  const ids = await publishMany(waiting, of);
  await untilPaced(of, id);
  // Those whose first attempt failed before come to the queue when their retry is due.
  await passTime(of.pool, 20);
  return { id, ids };
}
const patch = (id: string, body: unknown) => service.call<Webhook>('PATCH', `/v1/webhooks/${id}`, body);
const untilStatus = (status: string, ids: readonly string[], of: Service = service) =>
  until(
    async () =>
      (await of.pool.query(`select 1 from deliveries where id = any($1) and status = $2`, [ids, status]))
        .rowCount,
    (count) => count === ids.length,
  );
const untilDelivered = (ids: readonly string[], of: Service = service) => untilStatus('delivered', ids, of);
const waitOf = async (id: string) => (await readDelivery(service, id)).timeline.at(-1);
const isDeferred = (entry: Awaited<ReturnType<typeof waitOf>>): boolean =>
  entry?.type === 'wait' && entry.reason === 'down';

test('without probe_when_down, a webhook that is down is attempted by its schedule', async () => {
  const { webhook_id: id } = await service.newWebhook(receiver.url);
  receiver.behave('down');
  const ids = await publishMany(30);
  await waitForAll(service, ids, 'retrying', 1);
  expect(receiver.requests).toHaveLength(30);
  expect(await readPacing(service, id)).toMatchObject({ nextProbeAt: null, probes: 0 });
});

test('the 20th failure in a row paces, the 19th does not; a success between them counts', async () => {
  const { webhook_id: id } = await service.newWebhook(receiver.url, { probe_when_down: true });
  receiver.behave('down');
  await waitForAll(service, await publishMany(19), 'retrying', 1);
  expect((await readPacing(service, id)).nextProbeAt).toBeNull();
  receiver.behave('up');
  await waitForStatus(service, await publishOne(service), 'delivered');
  receiver.behave('down');
  await waitForAll(service, await publishMany(19), 'retrying', 1);
  expect((await readPacing(service, id)).nextProbeAt).toBeNull();
  await publishOne(service);
  const { inSeconds } = await untilPaced(service, id);
  expect(inSeconds).toBeGreaterThan(20);
  expect(inSeconds).toBeLessThanOrEqual(30);
  const { health } = await readWebhook(service, id);
  expect(Date.parse(health.next_probe_at ?? '')).toBeGreaterThan(Date.now());
});

test('a waiting delivery has its reason; a failed probe uses no retry, and its delivery is the next probe again', async () => {
  const { id } = await setUpOutage();
  const waiting = await publishOne(service);
  await until(() => waitOf(waiting), isDeferred);
  // The older ones, whose first attempt failed before, come to the queue, too.
  await passTime(service.pool, 60);
  await untilQuiet(service, id);
  await probeNow(service, id, receiver);
  await untilQuiet(service, id);
  const probed = await until(
    async () =>
      (
        await service.pool.query<{ id: string; retries: number }>(
          `select d.id, d.retries_used as retries from deliveries d join attempts a on a.delivery_id = d.id
           where a.webhook_id = $1 and a.is_probe order by a.started_at desc limit 1`,
          [id],
        )
      ).rows,
    (rows) => rows.length === 1,
  );
  const [first] = probed;
  const before = await readDelivery(service, first?.id ?? '');
  await probeNow(service, id, receiver);
  await untilQuiet(service, id);
  const after = await readDelivery(service, first?.id ?? '');
  expect(after.attempts).toHaveLength(before.attempts.length + 1);
  const { rows } = await service.pool.query<{ retries: number }>(
    `select retries_used as retries from deliveries where id = $1`,
    [first?.id],
  );
  expect(rows[0]?.retries).toBe(first?.retries);
});

test('a probe that is refused ends its delivery, and the next one is the next probe', async () => {
  const { id, ids } = await setUpOutage();
  await passTime(service.pool, 60);
  await untilQuiet(service, id);
  receiver.behave('refuses');
  await probeNow(service, id, receiver);
  const oldest = ids[0] ?? '';
  expect(await waitForStatus(service, oldest, 'failed')).toMatchObject({ reason: 'client_error' });
  expect((await readPacing(service, id)).nextProbeAt).not.toBeNull();
  receiver.behave('up');
  await probeNow(service, id, receiver);
  await untilDelivered(ids.slice(1));
});

test('the delivery of the next probe is canceled: the next one takes its time', async () => {
  const { id, ids } = await setUpOutage();
  await passTime(service.pool, 60);
  await untilQuiet(service, id);
  const [oldest = '', second = ''] = ids;
  expect((await service.call('POST', `/v1/deliveries/${oldest}/cancel`)).status).toBe(202);
  await waitForStatus(service, oldest, 'canceled');
  receiver.behave('up');
  await probeNow(service, id, receiver);
  await waitForStatus(service, second, 'delivered');
  await untilDelivered(ids.slice(1));
});

test('a retry by hand while it is down waits in the queue', async () => {
  const { ids } = await setUpOutage();
  const count = receiver.requests.length;
  const last = ids.at(-1) ?? '';
  expect((await service.call('POST', `/v1/deliveries/${last}/retry`)).status).toBe(202);
  await until(
    async () => (await readDelivery(service, last)).timeline,
    (timeline) => timeline.some(({ type }) => type === 'signal') && isDeferred(timeline.at(-1)),
  );
  expect(receiver.requests).toHaveLength(count);
});

test('paused and resumed while it is down: nothing is sent in between, and the first request is a probe', async () => {
  const { id, ids } = await setUpOutage();
  await service.call('POST', `/v1/webhooks/${id}/pause`);
  await untilStatus('held', ids);
  const count = receiver.requests.length;
  await passTime(service.pool, 1000);
  await delay(1500);
  expect(receiver.requests).toHaveLength(count);
  expect((await readWebhook(service, id)).health.next_probe_at).toBeNull();
  await service.call('POST', `/v1/webhooks/${id}/resume`);
  await until(
    () => receiver.requests.length,
    (requests) => requests === count + 1,
  );
  await untilQuiet(service, id);
  expect(receiver.requests).toHaveLength(count + 1);
  const { inSeconds, probes } = await readPacing(service, id);
  expect([probes, (inSeconds ?? 0) > 50]).toEqual([1, true]);
  receiver.behave('up');
  await probeNow(service, id, receiver);
  await untilDelivered(ids);
});

test('probe_when_down: false ends the pacing at once', async () => {
  const { id } = await setUpOutage();
  receiver.behave('up');
  expect((await patch(id, { probe_when_down: false })).body).toMatchObject({
    probe_when_down: false,
    health: { next_probe_at: null },
  });
  await until(
    async () =>
      (
        await service.pool.query(`select 1 from deliveries where webhook_id = $1 and wait_reason = 'down'`, [
          id,
        ])
      ).rowCount,
    (waiting) => waiting === 0,
  );
  expect(await readPacing(service, id)).toMatchObject({ nextProbeAt: null, probes: 0, rampStartedAt: null });
});

test('a receiver that is down again in the ramp is paced again, with few requests', async () => {
  const { id, ids } = await setUpOutage(60);
  await passTime(service.pool, 60);
  await untilQuiet(service, id);
  receiver.behave('up');
  await probeNow(service, id, receiver);
  await until(
    () => receiver.taken.length,
    (count) => count >= 3,
  );
  receiver.behave('down');
  const before = receiver.refused();
  const { inSeconds, probes } = await untilPaced(service, id);
  expect([probes, (inSeconds ?? 0) > 20]).toEqual([0, true]);
  expect(receiver.refused() - before).toBeLessThan(30);
  receiver.behave('up');
  await probeNow(service, id, receiver);
  await until(
    async () =>
      (
        await service.pool.query(`select 1 from deliveries where id = any($1) and status = 'delivered'`, [
          ids,
        ])
      ).rowCount,
    (delivered) => delivered === ids.length,
  );
});

test('a corrected URL is probed at once', async () => {
  const { id, ids } = await setUpOutage();
  const other = await startFickleReceiver();
  onTestFinished(() => other.close());
  await passTime(service.pool, 60);
  await untilQuiet(service, id);
  await patch(id, { url: other.url });
  await untilDelivered(ids);
  expect(other.refused()).toBe(0);
});

test('without waiting deliveries, the next event is the probe', async () => {
  const { id, ids } = await setUpOutage(20);
  for (const delivery of ids) await service.call('POST', `/v1/deliveries/${delivery}/cancel`);
  await waitForAll(service, ids, 'canceled', 1);
  await passTime(service.pool, 31);
  receiver.behave('up');
  const [first = ''] = await publishMany(1);
  await waitForStatus(service, first, 'delivered');
  const pacing = await until(
    () => readPacing(service, id),
    ({ nextProbeAt }) => nextProbeAt === null,
  );
  expect(pacing.rampStartedAt).not.toBeNull();
});

test('deferred for longer than held deliveries are kept, a delivery fails as expired', async () => {
  const { id, ids } = await setUpOutage();
  await passTime(service.pool, 60);
  await untilQuiet(service, id);
  await passTime(service.pool, 72 * 3600 + 100);
  const last = ids.at(-1) ?? '';
  expect(await waitForStatus(service, last, 'failed')).toMatchObject({ reason: 'expired' });
});

test('down for 24 hours, a webhook that probes is disabled; activated, it has 24 hours again', async () => {
  const { id } = await setUpOutage();
  const evaluate = () => evaluateWebhooks(service.pool, '', 10);
  await passTime(service.pool, 310);
  await until(
    () => readPacing(service, id),
    ({ state }) => state === 'down',
  );
  await passTime(service.pool, 24 * 3600 - 400);
  await evaluate();
  expect(await readWebhook(service, id)).toMatchObject({ active: true });
  await passTime(service.pool, 200);
  await probeNow(service, id, receiver);
  await evaluate();
  expect(await readWebhook(service, id)).toMatchObject({
    active: false,
    auto_disabled: { reason: 'down', ended: 0, failed: 0 },
  });
  expect((await patch(id, { active: true })).body.active).toBe(true);
  await until(
    () => readPacing(service, id),
    ({ probes }) => probes === 1,
  );
  await evaluate();
  expect(await readWebhook(service, id)).toMatchObject({ active: true, health: { state: 'down' } });
});

test('two processes make one probe at a time; kill -9 during a probe costs one interval', async () => {
  const own = await startService(
    { FLTR_DELIVERIES_PER_HOUR: '0', FLTR_ATTEMPT_TIMEOUT_MS: '5000', LOG_LEVEL: 'warn' },
    null,
  );
  onTestFinished(() => own.stop());
  const start = async () => {
    const up = startProcess(['up'], { ...own.env, PORT: String(await reservePort()) });
    onTestFinished(async () => {
      up.kill('SIGKILL');
      await up.exited();
    });
    return up;
  };
  const api = startProcess(['api'], own.env);
  onTestFinished(async () => {
    api.kill('SIGTERM');
    await api.exited();
  });
  const one = await start();
  await untilReady(own.apiUrl, api);
  const { id, ids } = await setUpOutage(30, own);
  await passTime(own.pool, 60);
  await untilQuiet(own, id);
  receiver.behave('hangs');
  const before = receiver.requests.length;
  await probeNow(own, id, receiver);
  one.kill('SIGKILL');
  await one.exited();
  const granted = await readPacing(own, id);
  expect(granted.inSeconds).toBeGreaterThan(40);
  await Promise.all([start(), start()]);
  // The probe that died is requested again, and deferred to the next one.
  await delay(12_000);
  expect(receiver.requests).toHaveLength(before + 1);
  await passTime(own.pool, 310);
  receiver.behave('up');
  await untilDelivered(ids, own);
  const { rows } = await own.pool.query(
    `select number from attempts where webhook_id = $1 group by delivery_id, number having count(*) > 1`,
    [id],
  );
  expect(rows).toEqual([]);
});
