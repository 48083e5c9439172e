import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { endPauses } from '../../src/db/pause-webhook.ts';
import { publishOne, readDelivery, waitForAll, waitForStatus } from '../kit/delivery-steps.ts';
import { passTime } from '../kit/pass-time.ts';
import { startProcess } from '../kit/process.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { atOnce, call, startService, stopAll, until, untilReady, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
});
afterAll(() => stopAll(service, receiver));

/** An account of its own, with one webhook. */
async function setUp() {
  const { accountId, key } = await service.newAccount();
  const mine: Service = {
    ...service,
    accountId,
    key,
    call: (...args) => call(service.apiUrl, key, ...args),
    publish: async (more) => {
      const { body } = await call<Awaited<ReturnType<Service['publish']>>>(
        service.apiUrl,
        key,
        'POST',
        '/v1/events',
        { event: 'document.deleted', data: { document_id: 'd', dataset_id: 's' }, ...more },
      );
      return body;
    },
  };
  const created = await mine.call<Webhook>('POST', '/v1/webhooks', { url: receiver.url, events: ['*'] });
  const id = created.body.webhook_id;
  const read = async () => (await mine.call<Webhook>('GET', `/v1/webhooks/${id}`)).body;
  const pause = (body?: unknown) => mine.call<Webhook>('POST', `/v1/webhooks/${id}/pause`, body);
  const resume = (body?: unknown) => mine.call<Webhook>('POST', `/v1/webhooks/${id}/resume`, body);
  const patch = (body: unknown) => mine.call<Webhook>('PATCH', `/v1/webhooks/${id}`, body);
  const audited = async () =>
    (
      await service.pool.query<{ line: string }>(
        `select action || case when actor = 'pause' then ' by itself' else '' end as line
         from audit_records where target = $1 and action in ('webhook.paused', 'webhook.resumed') order by id`,
        [id],
      )
    ).rows.map(({ line }) => line);
  return { mine, id, read, pause, resume, patch, audited };
}
const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();

test('a pause holds deliveries until its time; then the webhook is active again, and they are delivered', async () => {
  const { mine, read, pause, audited } = await setUp();
  const at = inHours(2);
  const paused = await pause({ until: at, reason: 'Maintenance' });
  expect([paused.status, paused.body.active, paused.body.paused]).toEqual([
    200,
    false,
    { at: expect.any(String) as string, until: at, reason: 'Maintenance' },
  ]);
  const id = await publishOne(mine);
  expect((await readDelivery(mine, id)).status).toBe('held');
  await passTime(service.pool, 7190);
  await endPauses(service.pool);
  expect((await read()).active).toBe(false);
  await passTime(service.pool, 11);
  await waitForStatus(mine, id, 'delivered');
  expect(await read()).toMatchObject({ active: true, paused: null });
  expect(await audited()).toEqual(['webhook.paused', 'webhook.resumed by itself']);
});

test('a pause without an end lasts until it is resumed; a body is not needed', async () => {
  const { mine, read, pause, resume, audited } = await setUp();
  expect((await pause()).body.paused).toMatchObject({ until: null, reason: null });
  const id = await publishOne(mine);
  expect((await resume()).body).toMatchObject({ active: true, paused: null });
  await waitForStatus(mine, id, 'delivered');
  // Again: it is active already.
  expect((await resume({ per_second: 5 })).status).toBe(200);
  expect(await read()).toMatchObject({ active: true });
  expect(await audited()).toEqual(['webhook.paused', 'webhook.resumed', 'webhook.resumed']);
});

test('a second pause replaces the time and the reason, and keeps its beginning', async () => {
  const { pause, read } = await setUp();
  const first = await pause({ until: inHours(1), reason: 'one' });
  const second = await pause({ until: inHours(3) });
  expect(second.body.paused).toMatchObject({ at: first.body.paused?.at, reason: null });
  await passTime(service.pool, 2 * 3600);
  await endPauses(service.pool);
  expect((await read()).active).toBe(false);
});

test.each([{ active: true }, { active: false }])('PATCH %o ends a pause, and its end', async (change) => {
  const { pause, patch, read } = await setUp();
  await pause({ until: inHours(1), reason: 'x' });
  expect((await patch(change)).body).toMatchObject({ ...change, paused: null });
  await passTime(service.pool, 2 * 3600);
  await endPauses(service.pool);
  expect((await read()).active).toBe(change.active);
});

test('PATCH of something else and PUT leave a pause, or end it, as they say', async () => {
  const { pause, patch, mine } = await setUp();
  await pause({ reason: 'x' });
  expect((await patch({ description: 'new', external_id: 'paused' })).body.paused).toMatchObject({
    reason: 'x',
  });
  const put = await mine.call<Webhook>('PUT', '/v1/webhooks/paused', { url: receiver.url, events: ['*'] });
  expect(put.body).toMatchObject({ active: true, paused: null });
});

test.each([
  [{ until: 'tomorrow' }, '/until'],
  [{ until: '2020-01-01T00:00:00Z' }, '/until'],
  [{ until: inHours(366 * 24 + 1) }, '/until'],
  [{ reason: 'x'.repeat(201) }, '/reason'],
  [{ untill: 'x' }, '/untill'],
])('a pause of %o is refused', async (body, pointer) => {
  const { pause, read } = await setUp();
  const refused = (await pause(body)) as unknown as {
    status: number;
    body: { errors: { pointer: string }[] };
  };
  expect([refused.status, refused.body.errors.map((fault) => fault.pointer)]).toEqual([422, [pointer]]);
  expect((await read()).active).toBe(true);
});

test.each([0, 1001, 1.5, '5'])('a resume with per_second %o is refused', async (perSecond) => {
  const { resume } = await setUp();
  expect((await resume({ per_second: perSecond })).status).toBe(422);
});

test('the edges are accepted: 366 days, 200 characters, 1 and 1000 a second', async () => {
  const { pause, resume } = await setUp();
  expect((await pause({ until: inHours(366 * 24 - 1), reason: 'x'.repeat(200) })).status).toBe(200);
  for (const perSecond of [1, 1000]) expect((await resume({ per_second: perSecond })).status).toBe(200);
});

test('several processes end a pause once', async () => {
  const own = await startService({}, null);
  try {
    const { webhook_id: id } = await insertWebhook(own);
    await own.pool.query(
      `update webhooks set active = false, paused_at = now(), paused_until = now() - interval '1 second' where id = $1`,
      [id],
    );
    const ended = await atOnce(5, () => endPauses(own.pool));
    expect(ended.flat()).toEqual([id]);
    const { rows } = await own.pool.query(`select action from audit_records where actor = 'pause'`);
    expect(rows).toEqual([{ action: 'webhook.resumed' }]);
  } finally {
    await own.stop();
  }
});

async function insertWebhook(own: Service): Promise<{ webhook_id: string }> {
  const id = 'wh_00000000000000000000000001';
  await own.pool.query(
    `insert into webhooks (id, account_id, url, events, active, sealed_secret) values ($1, $2, 'http://localhost:9', '{*}', true, 'x')`,
    [id, own.accountId],
  );
  return { webhook_id: id };
}

test('a pause whose time comes while no process runs ends with the next start', async () => {
  const own = await startService({ LOG_LEVEL: 'warn' });
  const { webhook_id: id } = await own.newWebhook(receiver.url);
  await own.call('POST', `/v1/webhooks/${id}/pause`, { until: inHours(1) });
  const delivery = await publishOne(own);
  await own.stopApp();
  await passTime(own.pool, 3601);
  const up = startProcess(['up'], own.env);
  try {
    await untilReady(own.apiUrl, up);
    await waitForStatus(own, delivery, 'delivered');
  } finally {
    up.kill('SIGTERM');
    await up.exited();
    await own.stop();
  }
});

test('a deleted webhook is not activated when the time of its pause has come', async () => {
  const { mine, id, pause } = await setUp();
  await pause({ until: inHours(1) });
  expect((await mine.call('DELETE', `/v1/webhooks/${id}`)).status).toBe(204);
  await passTime(service.pool, 3601);
  await endPauses(service.pool);
  const { rows } = await service.pool.query(`select active, paused_at from webhooks where id = $1`, [id]);
  expect(rows).toEqual([{ active: false, paused_at: null }]);
});

test('per_second: held deliveries are sent at that rate, oldest first, and the rate ends with them', async () => {
  const { mine, id, pause, resume } = await setUp();
  await pause();
  const ids: string[] = [];
  for (let index = 0; index < 12; index += 1) ids.push(await publishOne(mine));
  const before = receiver.requests.length;
  await resume({ per_second: 3 });
  await waitForAll(mine, ids, 'delivered', 1);
  const { rows } = await service.pool.query<{ id: string; at: Date }>(
    `select delivery_id as id, started_at as at from attempts where webhook_id = $1 order by started_at`,
    [id],
  );
  const times = rows.map(({ at }) => at.getTime());
  for (let index = 3; index < times.length; index += 1)
    expect((times[index] ?? 0) - (times[index - 3] ?? 0)).toBeGreaterThanOrEqual(1000);
  // Those of the same second may swap.
  for (const [index, row] of rows.entries()) expect(Math.abs(ids.indexOf(row.id) - index)).toBeLessThan(3);
  expect(receiver.requests.length - before).toBe(12);
  await until(
    async () =>
      (
        await service.pool.query<{ rate: number | null }>(
          `select release_per_second as rate from webhooks where id = $1`,
          [id],
        )
      ).rows[0]?.rate,
    (rate) => rate === null,
  );
});
