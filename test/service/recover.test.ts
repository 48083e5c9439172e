import { NativeConnection, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import type { Delivery } from '../../src/contracts/delivery.ts';
import type { Recovery } from '../../src/contracts/recovery.ts';
import { insertRecovery, readClock } from '../../src/db/recoveries-table.ts';
import { findWebhook } from '../../src/db/webhooks-table.ts';
import { workflowBundlePath } from '../../src/temporal/bundle-workflows.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import type { Receiver } from '../kit/test-receiver.ts';
import { countDeliveries, openAccount, receive, waitForDeliveries, type Account } from '../kit/recoveries.ts';
import { startService, until, untilReady, type Service } from '../kit/service.ts';

// Limits on many failures at once, and on many calls, are not tested here.
const settings = {
  FLTR_DELIVERIES_PER_HOUR: '0',
  FLTR_API_REQUESTS_PER_MINUTE: '0',
  FLTR_AUTO_DISABLE_EVERY_SECONDS: '86400',
};
let service: Service;
beforeAll(async () => {
  service = await startService(settings);
});
afterAll(() => service.stop());

const longAgo = '2020-01-01T00:00:00Z';
const hasEnded = ({ status }: Recovery) => status === 'completed' || status === 'canceled';
const eventIdsOf = (receiver: Receiver) => receiver.requests.map(({ headers }) => headers['webhook-id']);
const historyOf = async (id: string) =>
  JSON.stringify(await service.temporal.client.workflow.getHandle(id).fetchHistory());

/** `missed` events from before the webhook, and `failed` deliveries; the receiver responds with 200 from now on. */
async function fail(account: Account, missed: number, failed: number) {
  const receiver = await receive(404);
  await account.publish(missed);
  const webhookId = await account.newWebhook(receiver.url);
  await account.publish(failed);
  await waitForDeliveries(service, account.accountId, 'failed', failed);
  receiver.respondWith(200);
  receiver.requests.length = 0;
  return { receiver, webhookId };
}

test('a dry run counts the deliveries that are then sent: failed ones, and events from before the webhook', async () => {
  const account = await openAccount(service);
  const { receiver, webhookId } = await fail(account, 3, 2);
  await account.publish(1);
  await waitForDeliveries(service, account.accountId, 'delivered', 1);
  receiver.requests.length = 0;
  for (const [only, total] of [
    ['failed', 2],
    ['missed', 3],
    [undefined, 5],
  ] as const) {
    const dry = await account.recover(webhookId, {
      since: longAgo,
      dry_run: true,
      ...(only ? { only } : {}),
    });
    expect(dry.status).toBe(200);
    expect(dry.body).toMatchObject({
      webhook_id: webhookId,
      status: 'completed',
      dry_run: true,
      total,
      done: 0,
      failed: 0,
      since: '2020-01-01T00:00:00.000Z',
      only: only ?? null,
    });
    expect(dry.body.ended_at).toBe(dry.body.created_at);
    expect(await account.readRecovery(dry.body.id)).toEqual(dry.body);
  }
  expect(receiver.requests).toEqual([]);

  const requested = await account.recover(webhookId, { since: longAgo });
  expect([requested.status, requested.body.status, requested.body.total]).toEqual([202, 'running', 5]);
  const done = await account.waitForRecovery(requested.body.id, hasEnded);
  expect(done).toMatchObject({ status: 'completed', dry_run: false, total: 5, done: 5, failed: 0 });
  await waitForDeliveries(service, account.accountId, 'delivered', 6);
  // Both runs without sending have no outcome; this one has the outcome of its deliveries.
  expect((await account.readRecovery(requested.body.id)).outcome).toEqual({
    delivered: 5,
    failed: 0,
    canceled: 0,
    waiting: 0,
  });
  expect(receiver.requests).toHaveLength(5);
  expect(new Set(eventIdsOf(receiver)).size).toBe(5);
  const again = await account.recover(webhookId, { since: longAgo });
  expect(again.body.total).toBe(0);
  await account.waitForRecovery(again.body.id, hasEnded);
  expect(receiver.requests).toHaveLength(5);
});

test('each delivery and the audit name the requester; the history holds ids and outcomes only', async () => {
  const account = await openAccount(service);
  const { receiver, webhookId } = await fail(account, 1, 1);
  const { body } = await account.recover(webhookId, { since: longAgo });
  await account.waitForRecovery(body.id, hasEnded);
  await waitForDeliveries(service, account.accountId, 'delivered', 2);
  const { rows } = await service.pool.query<{ id: string; by: string }>(
    `select d.id, k.id as by from deliveries d join api_keys k on k.account_id = d.account_id
     where d.account_id = $1 order by d.created_at`,
    [account.accountId],
  );
  const names: string[] = [];
  for (const { id, by } of rows) {
    const delivery = await account.call<Delivery>('GET', `/v1/deliveries/${id}`);
    const signals = delivery.body.timeline.filter((entry) => entry.type === 'signal');
    expect(signals).toMatchObject([{ by }]);
    names.push(...signals.map(({ name }) => name));
  }
  expect(names.toSorted((a, b) => a.localeCompare(b))).toEqual(['recover', 'recover']);
  await account.call('POST', `/v1/recoveries/${body.id}/cancel`);
  const audited = await service.pool.query(
    `select actor, action from audit_records where account_id = $1 and target = $2`,
    [account.accountId, body.id],
  );
  expect(audited.rows).toEqual([{ actor: rows[0]?.by, action: 'recovery.created' }]);
  const history = await historyOf(body.id);
  const secret = await account.call<{ secret: string }>('GET', `/v1/webhooks/${webhookId}/secret`);
  for (const hidden of [new URL(receiver.url).host, secret.body.secret, 'doc_1']) {
    expect(history).not.toContain(hidden);
    expect(history).not.toContain(Buffer.from(hidden).toString('base64').slice(0, -4));
  }
});

test('only events that match count as missed, by the webhook as it was when the recovery was requested', async () => {
  const account = await openAccount(service);
  const receiver = await receive();
  await account.publish(2);
  await account.publish(1, { event: 'dataset.deleted', data: { dataset_id: 'ds_1' } });
  const webhookId = await account.newWebhook(receiver.url, { events: ['dataset.*'] });
  const { body } = await account.recover(webhookId, { since: longAgo });
  expect(body.total).toBe(1);
  await account.waitForRecovery(body.id, hasEnded);
  await waitForDeliveries(service, account.accountId, 'delivered', 1);
  expect(receiver.requests.map(({ headers }) => headers['x-fltr-event'])).toEqual(['dataset.deleted']);
});

test("the service's own events are never missed: they describe their moment", async () => {
  const account = await openAccount(service);
  const receiver = await receive(404);
  await account.newWebhook(receiver.url, { events: ['delivery.failed'] });
  await account.newWebhook(receiver.url, { events: ['document.*'] });
  await account.publish(1);
  const count = async () =>
    (
      await service.pool.query(`select 1 from events where account_id = $1 and type = 'delivery.failed'`, [
        account.accountId,
      ])
    ).rowCount;
  await until(count, (events) => events === 1);
  const webhookId = await account.newWebhook(receiver.url, { events: ['document.*', 'delivery.*'] });
  expect((await account.recover(webhookId, { since: longAgo, dry_run: true })).body.total).toBe(1);
});

test('the window begins at since, and ends before until, to the millisecond', async () => {
  const account = await openAccount(service);
  const receiver = await receive();
  await account.publish(4);
  const base = Math.floor(Date.now() / 1000) * 1000 - 86_400_000;
  const at = (milliseconds: number) => new Date(base + milliseconds).toISOString();
  await service.pool.query(
    `update events e set created_at = $2::timestamptz + (n - 1) * interval '1 millisecond'
     from (select id, row_number() over (order by id) as n from events where account_id = $1) as numbered
     where e.account_id = $1 and e.id = numbered.id`,
    [account.accountId, at(0)],
  );
  const webhookId = await account.newWebhook(receiver.url);
  const count = async (since: string, end?: string) =>
    (await account.recover(webhookId, { since, ...(end ? { until: end } : {}), dry_run: true })).body.total;
  expect(await count(at(0))).toBe(4);
  expect(await count(at(1))).toBe(3);
  expect(await count(at(4))).toBe(0);
  expect(await count(at(0), at(3))).toBe(3);
  const elsewhere = new Date(base + 7_200_001).toISOString().replace('Z', '+02:00');
  expect(await count(elsewhere, at(2))).toBe(1);
  expect(await count(longAgo, '9999-12-31T23:59:59-12:00')).toBe(4);
  expect(await count('0001-01-01T00:00:00Z')).toBe(4);
  const { body } = await account.recover(webhookId, { since: at(1), until: at(3) });
  await account.waitForRecovery(body.id, hasEnded);
  await waitForDeliveries(service, account.accountId, 'delivered', 2);
});

test('an event older than the retention of deliveries does not count as missed, because its delivery may have been removed', async () => {
  const account = await openAccount(service);
  await account.publish(2);
  await service.pool.query(
    `update events set created_at = now() - interval '91 days'
     where account_id = $1 and id = (select min(id) from events where account_id = $1)`,
    [account.accountId],
  );
  const webhookId = await account.newWebhook('https://example.com/');
  expect((await account.recover(webhookId, { since: longAgo, dry_run: true })).body.total).toBe(1);
});

test.each([
  ['nothing', {}, '/since'],
  ['no time', { since: 'yesterday' }, '/since'],
  ['a time without a zone', { since: '2024-01-10T12:00:00' }, '/since'],
  ['a beginning in the future', { since: new Date(Date.now() + 60_000).toISOString() }, '/since'],
  ['an end before the beginning', { since: longAgo, until: '2019-01-01T00:00:00Z' }, '/until'],
  ['an end at the beginning', { since: longAgo, until: longAgo }, '/until'],
  ['another kind', { since: longAgo, only: 'held' }, '/only'],
  ['an unknown field', { since: longAgo, webhook: 'wh_1' }, '/webhook'],
])('%s is refused', async (_name, body, pointer) => {
  const account = await openAccount(service);
  const webhookId = await account.newWebhook('https://example.com/');
  const response = await account.call<{ code: string; errors: { pointer: string }[] }>(
    'POST',
    `/v1/webhooks/${webhookId}/recover`,
    body,
  );
  expect([response.status, response.body.code]).toEqual([422, 'validation_failed']);
  expect(response.body.errors.map((error) => error.pointer)).toEqual([pointer]);
});

test('the same call, also ten at once, returns the job that is under way', async () => {
  const account = await openAccount(service);
  const { receiver, webhookId } = await fail(account, 60, 10);
  const responses = await Promise.all(
    Array.from({ length: 10 }, () => account.recover(webhookId, { since: longAgo })),
  );
  expect(responses.map(({ status }) => status)).toEqual(Array(10).fill(202));
  const ids = new Set(responses.map(({ body }) => body.id));
  expect(ids.size).toBe(1);
  const [id = ''] = ids;
  // Another window, or kind, is another job; a delivery that one sends, the other does not.
  const other = await account.recover(webhookId, { since: longAgo, only: 'failed' });
  expect(other.body.id).not.toBe(id);
  for (const each of [id, other.body.id])
    expect(await account.waitForRecovery(each, hasEnded)).toMatchObject({ status: 'completed', failed: 0 });
  await waitForDeliveries(service, account.accountId, 'delivered', 70);
  expect(receiver.requests).toHaveLength(70);
});

test('a delivery that fails again is not sent a second time by the same recovery, but by the next one', async () => {
  const account = await openAccount(service);
  const { receiver, webhookId } = await fail(account, 0, 3);
  receiver.respondWith(404);
  for (const round of [1, 2]) {
    const { body } = await account.recover(webhookId, { since: longAgo });
    expect(body.total).toBe(3);
    expect(await account.waitForRecovery(body.id, hasEnded)).toMatchObject({ done: 3, failed: 0 });
    await waitForDeliveries(service, account.accountId, 'failed', 3);
    expect(receiver.requests).toHaveLength(3 * round);
  }
});

test('pause stops a recovery after the page under way, resume continues it, and neither loses or repeats anything', async () => {
  const account = await openAccount(service);
  const { receiver, webhookId } = await fail(account, 120, 0);
  const { body } = await account.recover(webhookId, { since: longAgo });
  await account.waitForRecovery(body.id, ({ done }) => done > 0);
  expect((await account.call('POST', `/v1/recoveries/${body.id}/pause`)).status).toBe(202);
  const paused = await account.waitForRecovery(body.id, ({ status }) => status === 'paused');
  expect(paused.done).toBeLessThan(120);
  await waitForDeliveries(service, account.accountId, 'delivered', paused.done);
  expect(await account.readRecovery(body.id)).toEqual(paused);
  // The same call finds it, paused as it is.
  expect((await account.recover(webhookId, { since: longAgo })).body).toEqual(paused);
  expect((await account.call('POST', `/v1/recoveries/${body.id}/resume`)).status).toBe(202);
  expect(await account.waitForRecovery(body.id, hasEnded)).toMatchObject({ status: 'completed', done: 120 });
  await waitForDeliveries(service, account.accountId, 'delivered', 120);
  expect(receiver.requests).toHaveLength(120);
  for (const signal of ['pause', 'resume', 'cancel']) {
    const refused = await account.call<{ code: string }>('POST', `/v1/recoveries/${body.id}/${signal}`);
    expect([refused.status, refused.body.code]).toEqual([409, 'recovery_state_conflict']);
  }
});

test('cancel ends a recovery: deliveries that it sent continue, the rest stays', async () => {
  const account = await openAccount(service);
  const { webhookId } = await fail(account, 120, 0);
  const { body } = await account.recover(webhookId, { since: longAgo });
  await account.waitForRecovery(body.id, ({ done }) => done > 0);
  expect((await account.call('POST', `/v1/recoveries/${body.id}/cancel`)).status).toBe(202);
  const canceled = await account.waitForRecovery(body.id, hasEnded);
  expect(canceled).toMatchObject({ status: 'canceled', failed: 0 });
  expect(canceled.done).toBeLessThan(120);
  await waitForDeliveries(service, account.accountId, 'delivered', canceled.done);
  const rest = await account.recover(webhookId, { since: longAgo });
  expect(rest.body).toMatchObject({ status: 'running', total: 120 - canceled.done });
  await account.waitForRecovery(rest.body.id, hasEnded);
});

test('a recovery that is canceled or terminated in Temporal ends canceled', async () => {
  const account = await openAccount(service);
  const { webhookId } = await fail(account, 120, 0);
  const handle = (id: string) => service.temporal.client.workflow.getHandle(id);
  const first = await account.recover(webhookId, { since: longAgo });
  await handle(first.body.id).cancel();
  expect((await account.waitForRecovery(first.body.id, hasEnded)).status).toBe('canceled');
  const second = await account.recover(webhookId, { since: longAgo });
  await handle(second.body.id).terminate('by an operator');
  // As the reconciler finds it once its time has passed.
  await service.pool.query(`update operations set check_at = now() where id = $1`, [second.body.id]);
  expect((await account.waitForRecovery(second.body.id, hasEnded)).status).toBe('canceled');
});

test('with an inactive webhook no recovery begins, and one under way waits until it is resumed', async () => {
  const account = await openAccount(service);
  const { webhookId } = await fail(account, 120, 0);
  const activate = (active: boolean) => account.call('PATCH', `/v1/webhooks/${webhookId}`, { active });
  const { body } = await account.recover(webhookId, { since: longAgo });
  await account.waitForRecovery(body.id, ({ done }) => done > 0);
  await activate(false);
  await account.waitForRecovery(body.id, ({ status }) => status === 'paused');
  for (const path of [`/v1/webhooks/${webhookId}/recover`, `/v1/recoveries/${body.id}/resume`]) {
    const refused = await account.call<{ code: string }>('POST', path, { since: longAgo });
    expect([refused.status, refused.body.code]).toEqual([409, 'webhook_not_active']);
  }
  await activate(true);
  await account.call('POST', `/v1/recoveries/${body.id}/resume`);
  expect(await account.waitForRecovery(body.id, hasEnded)).toMatchObject({ status: 'completed', done: 120 });
  await waitForDeliveries(service, account.accountId, 'delivered', 120);
});

test('a webhook that is deleted ends its recoveries; the remaining deliveries count as failed', async () => {
  const account = await openAccount(service);
  const { webhookId } = await fail(account, 120, 0);
  const { body } = await account.recover(webhookId, { since: longAgo });
  await account.waitForRecovery(body.id, ({ done }) => done > 0);
  await account.call('DELETE', `/v1/webhooks/${webhookId}`);
  const ended = await account.waitForRecovery(body.id, hasEnded);
  expect(ended).toMatchObject({ status: 'canceled', total: 120, failed: 120 - ended.done });
  expect((await account.recover(webhookId, { since: longAgo })).status).toBe(404);
});

test('a recovery whose workflow was never started is started by the reconciler, paused ones too', async () => {
  const account = await openAccount(service);
  const { webhookId } = await fail(account, 1, 1);
  const webhook = await findWebhook(service.pool, account.accountId, webhookId);
  const now = await readClock(service.pool);
  const row = await insertRecovery(service.pool, {
    accountId: account.accountId,
    webhookId,
    requestedBy: 'key_1',
    isDryRun: false,
    since: new Date(longAgo),
    until: now,
    requestedUntil: null,
    kind: null,
    filters: webhook?.events ?? [],
    filter: null,
    total: 2,
    createdAt: now,
  });
  const id = row?.id ?? '';
  await service.pool.query(`update operations set status = 'paused', check_at = now() where id = $1`, [id]);
  await until(
    () =>
      service.temporal.client.workflow
        .getHandle(id)
        .describe()
        .then(({ status }) => status.name)
        .catch(() => null),
    (status) => status === 'RUNNING',
  );
  expect(await account.readRecovery(id)).toMatchObject({ status: 'paused', done: 0 });
  await account.call('POST', `/v1/recoveries/${id}/resume`);
  expect(await account.waitForRecovery(id, hasEnded)).toMatchObject({ status: 'completed', done: 2 });
});

test("another account's recovery and webhook are not there", async () => {
  const account = await openAccount(service);
  const { webhookId } = await fail(account, 1, 0);
  const { body } = await account.recover(webhookId, { since: longAgo });
  const stranger = await openAccount(service);
  expect((await stranger.recover(webhookId, { since: longAgo })).status).toBe(404);
  expect((await stranger.call('GET', `/v1/recoveries/${body.id}`)).status).toBe(404);
  for (const signal of ['pause', 'resume', 'cancel'])
    expect((await stranger.call('POST', `/v1/recoveries/${body.id}/${signal}`)).status).toBe(404);
  await account.waitForRecovery(body.id, hasEnded);
});

test('long recoveries continue as new, paused ones paused', { timeout: 180_000 }, async () => {
  const { temporal } = service;
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
  const statuses: string[] = [];
  let pages = 0;
  const worker = await Worker.create({
    connection,
    namespace: temporal.namespace,
    taskQueue: 'long-jobs',
    workflowBundle: { codePath: workflowBundlePath },
    activities: {
      runOperationPage: () => ({ next: 'page', sent: ((pages += 1), 0), pauseMs: 1 }),
      setOperationStatus: ({ status }: { status: string }) => void statuses.push(status),
      removeOldBatch: ({ step }: { step: string | null }) => {
        const batch = Number(step ?? '0') + 1;
        return { removed: 0, next: batch === 60 ? null : String(batch) };
      },
    },
  });
  const options = (id: string) => ({ taskQueue: 'long-jobs', workflowId: id });
  await worker.runUntil(async () => {
    const removal = await temporal.client.workflow.start('removeOldRows', {
      ...options('long-removal'),
      args: [{ step: null, removed: 7 }],
    });
    const recovery = await temporal.client.workflow.start('runOperation', {
      ...options('long-recovery'),
      args: [{ operationId: 'rec_1', isPaused: false }],
    });
    expect(await removal.result()).toEqual({ removed: 7 });
    const current = () => temporal.client.workflow.getHandle('long-recovery').describe();
    await until(current, ({ runId }) => runId !== recovery.firstExecutionRunId, 120_000);
    const handle = temporal.client.workflow.getHandle('long-recovery');
    await handle.signal('pause');
    await until(
      () => statuses,
      (list) => list.includes('paused'),
    );
    const seen = pages;
    await handle.signal('pause');
    expect(pages).toBe(seen);
    await handle.signal('cancel');
    expect(await handle.result()).toEqual({ status: 'canceled' });
    expect(statuses).toEqual(['paused', 'canceled']);
  });
  await connection.close();
  const first = temporal.client.workflow.getHandle('long-removal');
  expect((await first.describe()).status.name).toBe('COMPLETED');
});

test('a recovery of 400 deliveries sends each once, at a limited rate', { timeout: 300_000 }, async () => {
  const account = await openAccount(service);
  const { receiver, webhookId } = await fail(account, 350, 50);
  const startedAt = Date.now();
  const { body } = await account.recover(webhookId, { since: longAgo });
  expect(body.total).toBe(400);
  const done = await account.waitForRecovery(body.id, hasEnded, 200_000);
  expect(done).toMatchObject({ status: 'completed', done: 400, failed: 0 });
  // 8 pages, a second between two.
  expect(Date.now() - startedAt).toBeGreaterThan(7000);
  await until(
    async () =>
      (await countDeliveries(service, account.accountId, 'pending')) +
      (await countDeliveries(service, account.accountId, 'failed')),
    (left) => left === 0,
    200_000,
  );
  expect(new Set(eventIdsOf(receiver)).size).toBe(receiver.requests.length);
});

test(
  'a recovery completes after kill -9 of the service, and nothing is sent twice',
  { timeout: 240_000 },
  async () => {
    const own = await startService({ ...settings, LOG_LEVEL: 'warn' }, null);
    let child: ServiceProcess;
    const start = async (): Promise<void> => {
      child = startProcess(['up'], own.env);
      await untilReady(own.apiUrl, child);
    };
    const kill = async (): Promise<void> => {
      child.kill('SIGKILL');
      await child.exited();
    };
    onTestFinished(async () => {
      await kill();
      await own.stop();
    });
    await start();
    const account = await openAccount(own);
    const receiver = await receive(404);
    await account.publish(60);
    const webhookId = await account.newWebhook(receiver.url);
    await account.publish(90);
    await waitForDeliveries(own, account.accountId, 'failed', 90);
    receiver.respondWith(200);
    // A locked row of the second page, the first one with failed deliveries, stops the recovery in the middle of that page.
    const blocker = await own.pool.connect();
    onTestFinished(() => blocker.release(true));
    await blocker.query('begin');
    await blocker.query(`select 1 from deliveries where status = 'failed' order by id limit 1 for update`);
    const { body } = await account.recover(webhookId, { since: longAgo });
    await until(
      () => own.pool.query(`select 1 from operations where page_number = 2 and page is not null`),
      ({ rowCount }) => rowCount === 1,
    );
    await kill();
    await blocker.query('rollback');
    await start();
    const done = await account.waitForRecovery(body.id, hasEnded, 120_000);
    expect(done).toMatchObject({ status: 'completed', total: 150, done: 150, failed: 0 });
    await waitForDeliveries(own, account.accountId, 'delivered', 150, 120_000);
    const { rows } = await own.pool.query<{ attempts: number; deliveries: number }>(
      `select count(*)::int as deliveries, sum(attempt_count)::int as attempts from deliveries`,
    );
    expect(rows).toEqual([{ deliveries: 150, attempts: 150 + 90 }]);
  },
);
