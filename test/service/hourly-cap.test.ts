import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { findDelivery } from '../../src/db/deliveries-table.ts';
import { windowMs } from '../../src/domain/hourly-cap.ts';
import { archivedTimeline, readStory } from '../../src/temporal/history.ts';
import { startProcess } from '../kit/process.ts';
import { publishOne, readDelivery, waitForStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, until, untilReady, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let responseStatus = 200;
const cap = 5;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService({ FLTR_DELIVERIES_PER_HOUR: String(cap), FLTR_RETRY_SCHEDULE_SECONDS: '1,1,600' }),
    startReceiver((_request, response) => {
      response.writeHead(responseStatus).end();
    }),
  ]);
});
afterAll(() => stopAll(service, receiver));
afterEach(async () => {
  const { body } = await service.call<{ data: { webhook_id: string }[] }>('GET', '/v1/webhooks');
  for (const { webhook_id: id } of body.data) await service.call('DELETE', `/v1/webhooks/${id}`);
  receiver.requests.length = 0;
  responseStatus = 200;
});

/** As if so many seconds had passed. */
const pass = async (seconds: number) => {
  const by = [seconds];
  const { pool } = service;
  await pool.query(`update attempts set started_at = started_at - make_interval(secs => $1)`, by);
  await pool.query(`update webhook_stats set minute = minute - make_interval(secs => $1)`, by);
  await pool.query(`update rate_limit_grants set granted_at = granted_at - make_interval(secs => $1)`, by);
  await pool.query(`update rate_limit_queues set check_at = check_at - make_interval(secs => $1)`, by);
  await pool.query(
    `update deliveries set next_attempt_at = next_attempt_at - make_interval(secs => $1),
       reconcile_at = reconcile_at - make_interval(secs => $1)`,
    by,
  );
  // Temporal's timers go by the true time: the reconciler wakes deliveries that are due.
  await pool.query(`update deliveries set reconcile_at = now() where next_attempt_at <= now()`);
};
type Cap = { hourly_cap: { used: number; next_at: string | null; deferred_until: string | null } };
const readCap = async (webhookId: string) =>
  (await service.call<Cap>('GET', `/v1/webhooks/${webhookId}`)).body.hourly_cap;
const rowsOf = async (webhookId: string) =>
  (
    await service.pool.query<{ id: string; status: string; waitReason: string | null; at: Date | null }>(
      `select id, status, wait_reason as "waitReason", next_attempt_at as at from deliveries
       where webhook_id = $1 order by id`,
      [webhookId],
    )
  ).rows;
const untilRows = (webhookId: string, status: string, count: number) =>
  until(
    () => rowsOf(webhookId),
    (rows) => rows.filter((row) => row.status === status).length === count,
  );
const untilDeferred = (webhookId: string, count: number) =>
  until(
    () => rowsOf(webhookId),
    (rows) => rows.filter(({ waitReason }) => waitReason === 'hourly_cap').length === count,
  );
const publishMany = (count: number) => Promise.all(Array.from({ length: count }, () => publishOne(service)));

test('attempts over the cap are deferred to the exact time, in order, and say when', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  const ids: string[] = [];
  for (let index = 0; index < cap; index += 1) {
    ids.push(await publishOne(service));
    await waitForStatus(service, ids.at(-1) ?? '', 'delivered');
  }
  const deferred: string[] = [];
  for (let index = 0; index < cap + 2; index += 1) {
    deferred.push(await publishOne(service));
    await until(
      () => readDelivery(service, deferred.at(-1) ?? ''),
      ({ next_attempt_at: at }) => at !== null && Date.parse(at) > Date.now() + 60_000,
    );
  }
  const starts = await Promise.all(
    ids.map(async (id) => Date.parse((await readDelivery(service, id)).attempts[0]?.started_at ?? '')),
  );
  for (const [index, id] of deferred.entries()) {
    const { next_attempt_at: at, status, timeline } = await readDelivery(service, id);
    const expected = (starts[index % cap] ?? 0) + windowMs * (1 + Math.floor(index / cap));
    expect([status, Date.parse(at ?? '')]).toEqual(['pending', expected]);
    expect(timeline.at(-1)).toMatchObject({ type: 'wait', reason: 'hourly_cap', until: at });
  }
  const { body } = await service.call<{ hourly_cap: object }>('GET', `/v1/webhooks/${webhookId}`);
  const [first, last] = [
    await readDelivery(service, deferred[0] ?? ''),
    await readDelivery(service, deferred.at(-1) ?? ''),
  ];
  expect(body.hourly_cap).toEqual({
    limit: cap,
    used: cap,
    next_at: first.next_attempt_at,
    deferred_until: last.next_attempt_at,
  });
  expect(receiver.requests).toHaveLength(cap);

  // Woken before its time, it is deferred to the same time again: a signal cannot go round the cap.
  await service.call('POST', `/v1/deliveries/${deferred[0]}/retry`);
  await until(
    () => readDelivery(service, deferred[0] ?? ''),
    ({ timeline }) => timeline.some(({ type }) => type === 'signal'),
  );
  expect(receiver.requests).toHaveLength(cap);
  const row = await findDelivery(service.pool, service.accountId, deferred[0] ?? '');
  if (!row) throw new Error('no row');
  const shown = await until(
    () => readStory(service.temporal, row),
    ({ timeline }) => timeline.length > 0,
  );
  expect(shown.timeline.filter(({ type }) => type === 'wait')).toEqual(
    archivedTimeline(row).filter(({ type }) => type === 'wait'),
  );

  // An hour later, those whose time it is go, in order.
  await pass(3600);
  await until(
    () => receiver.requests.length,
    (count) => count === 2 * cap,
  );
  for (const id of deferred.slice(0, cap)) await waitForStatus(service, id, 'delivered');
  for (const id of deferred.slice(cap)) expect((await readDelivery(service, id)).status).toBe('pending');
});

test('retries count under the cap as first attempts do', async () => {
  responseStatus = 503;
  await service.newWebhook(receiver.url);
  const [one, two] = [await publishOne(service), await publishOne(service)];
  const attempted = (both: { attempts: unknown[] }[]) =>
    both.reduce((sum, { attempts }) => sum + attempts.length, 0);
  const full = await until(
    () => Promise.all([one, two].map((id) => readDelivery(service, id))),
    // While one is put off, the other one's last attempt may still be under way.
    (both) =>
      attempted(both) >= cap &&
      both.some(
        ({ timeline }) =>
          timeline.at(-1)?.type === 'wait' && JSON.stringify(timeline.at(-1)).includes('hourly_cap'),
      ),
  );
  expect(attempted(full)).toBe(cap);
  expect(full.every(({ status }) => status === 'retrying')).toBe(true);
});

test('canceled deliveries free their rate-limit slots: nothing waits while the cap has capacity', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  await publishMany(cap);
  await untilRows(webhookId, 'delivered', cap);
  const deferred = await publishMany(2 * cap);
  await untilDeferred(webhookId, 2 * cap);
  for (const id of deferred)
    expect((await service.call('POST', `/v1/deliveries/${id}/cancel`)).status).toBe(202);
  await untilRows(webhookId, 'canceled', 2 * cap);
  await pass(3 * 3600);
  expect(await readCap(webhookId)).toMatchObject({ used: 0, next_at: null });
  await publishMany(3);
  await untilRows(webhookId, 'delivered', cap + 3);
});

test('attempts that retention removed leave nothing behind', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  await publishMany(cap);
  await untilRows(webhookId, 'delivered', cap);
  await service.pool.query(`delete from attempts where webhook_id = $1`, [webhookId]);
  await service.pool.query(`delete from deliveries where webhook_id = $1`, [webhookId]);
  await publishMany(2);
  await untilRows(webhookId, 'delivered', 2);
});

test("a rescheduled delivery leaves the cap's queue, and delays no other", async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  await publishMany(cap);
  await untilRows(webhookId, 'delivered', cap);
  const [first = ''] = (await publishMany(2)).sort();
  await untilDeferred(webhookId, 2);
  const later = new Date(Date.now() + 29 * 86_400_000).toISOString();
  await service.call('PATCH', `/v1/deliveries/${first}`, { next_attempt_at: later });
  await publishMany(2);
  const rows = await untilDeferred(webhookId, 3);
  for (const { id, at } of rows)
    if (at) expect([id, at.getTime() > Date.now() + 2 * 3_600_000]).toEqual([id, id === first]);
});

test('switched off and on with attempts under way, a webhook gets no more than its cap', async () => {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = await startReceiver(
    (_request, response) => void gate.then(() => response.writeHead(200).end()),
  );
  onTestFinished(() => slow.close());
  const { webhook_id: webhookId } = await service.newWebhook(slow.url);
  const ids = await publishMany(cap - 1);
  await until(
    () => slow.requests.length,
    (count) => count === cap - 1,
  );
  for (const active of [false, true, false, true])
    await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active });
  ids.push(...(await publishMany(cap)));
  await untilDeferred(webhookId, cap - 1);
  release();
  await untilRows(webhookId, 'delivered', cap);
  expect(slow.requests).toHaveLength(cap);
  expect(new Set(slow.requests.map(({ headers }) => headers['webhook-id'])).size).toBe(cap);
});

test('many deliveries at once each get their exact time, in order of acceptance', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  const events = Array.from({ length: 3 * cap + 1 }, () => ({
    event: 'document.deleted',
    data: { document_id: 'd', dataset_id: 's' },
  }));
  await service.call('POST', '/v1/events/batch', { events });
  await untilRows(webhookId, 'delivered', cap);
  await untilDeferred(webhookId, 2 * cap + 1);
  const { rows: made } = await service.pool.query<{ at: Date }>(
    `select started_at as at from attempts where webhook_id = $1 order by started_at`,
    [webhookId],
  );
  const starts = made.map(({ at }) => at.getTime());
  const isExact = (rows: Awaited<ReturnType<typeof rowsOf>>) => {
    const times = rows.filter(({ waitReason }) => waitReason !== null).map(({ at }) => at?.getTime() ?? 0);
    return times.every((time, index) => {
      const expected = (starts[index % cap] ?? 0) + windowMs * (1 + Math.floor(index / cap));
      // Only the first hour's times are kept exact; the rest follow as they come nearer.
      return Math.abs(time - expected) <= (index < cap ? 10 : 2000);
    });
  };
  // Those that were deferred while attempts were under way are corrected within seconds.
  const rows = await until(() => rowsOf(webhookId), isExact);
  const { hourly_cap: shown } = (await service.call<Cap>('GET', `/v1/webhooks/${webhookId}`)).body;
  const times = rows.flatMap(({ at }) => (at ? [at.toISOString()] : []));
  expect([shown.next_at, shown.deferred_until]).toEqual([times.toSorted()[0], times.toSorted().at(-1)]);
});

test('attempts under way at a kill -9 are repeated, and none waits for an hour', async () => {
  let isHanging = true;
  const slow = await startReceiver((_request, response) => {
    if (!isHanging) response.writeHead(200).end();
  });
  onTestFinished(() => slow.close());
  const own = await startService({ FLTR_DELIVERIES_PER_HOUR: '10', LOG_LEVEL: 'warn' }, null);
  onTestFinished(() => own.stop());
  const up = startProcess(['up'], own.env);
  await untilReady(own.apiUrl);
  await own.newWebhook(slow.url);
  const events = Array.from({ length: 10 }, () => ({
    event: 'document.deleted',
    data: { document_id: 'd', dataset_id: 's' },
  }));
  await own.call('POST', '/v1/events/batch', { events });
  await until(
    () => slow.requests.length,
    (count) => count === 10,
  );
  up.kill('SIGKILL');
  await up.exited();
  isHanging = false;
  const again = startProcess(['up'], own.env);
  onTestFinished(async () => {
    again.kill('SIGTERM');
    await again.exited();
  });
  await until(
    async () => (await own.pool.query(`select 1 from deliveries where status = 'delivered'`)).rowCount,
    (count) => count === 10,
    60_000,
  );
});

test('a raised cap releases waiting deliveries; 0 is no cap; a test event never counts', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  for (let index = 0; index < cap; index += 1)
    await service.call('POST', '/v1/webhooks/test', { webhook_id: webhookId, event: 'document.deleted' });
  const ids = await Promise.all(Array.from({ length: cap + 3 }, () => publishOne(service)));
  await untilDeferred(webhookId, 3);
  await service.stopApp();
  const raised = startProcess(['up'], { ...service.env, FLTR_DELIVERIES_PER_HOUR: String(cap + 2) });
  const statuses = async () =>
    (
      await service.pool.query<{ status: string }>(`select status from deliveries where id = any($1)`, [ids])
    ).rows.filter(({ status }) => status === 'delivered').length;
  await until(statuses, (delivered) => delivered === cap + 2);
  raised.kill('SIGTERM');
  await raised.exited();
  const uncapped = startProcess(['up'], { ...service.env, FLTR_DELIVERIES_PER_HOUR: '0' });
  onTestFinished(async () => {
    uncapped.kill('SIGTERM');
    await uncapped.exited();
  });
  await until(statuses, (delivered) => delivered === cap + 3);
  const { body } = (await until(
    () => service.call<{ hourly_cap: null }>('GET', `/v1/webhooks/${webhookId}`).catch(() => null),
    (response) => response !== null,
  )) ?? { body: undefined };
  expect(body).toMatchObject({ hourly_cap: null });
});
