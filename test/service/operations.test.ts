import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Delivery } from '../../src/contracts/delivery.ts';
import type { Operation } from '../../src/contracts/operation.ts';
import { insertOperation } from '../../src/db/operations-table.ts';
import { childrenOf, startProcess } from '../kit/process.ts';
import { countDeliveries, openAccount, receive, waitForDeliveries, type Account } from '../kit/recoveries.ts';
import { call, startService, until, untilReady, type Service } from '../kit/service.ts';

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

const since = '2020-01-01T00:00:00Z';
const act = (account: Account, action: string, filter: object, more: object = {}) =>
  account.call<Operation & { code: string; errors: { pointer: string }[] }>(
    'POST',
    '/v1/deliveries/actions',
    {
      action,
      filter: 'ids' in filter ? filter : { since, ...filter },
      ...more,
    },
  );
const read = async (account: Account, id: string) =>
  (await account.call<Operation>('GET', `/v1/operations/${id}`)).body;
const waitFor = (
  account: Account,
  id: string,
  isDone: (operation: Operation) => boolean,
  timeoutMs?: number,
) => until(() => read(account, id), isDone, timeoutMs);
const hasEnded = ({ ended_at }: Operation) => ended_at !== null;
async function run(account: Account, action: string, filter: object, more: object = {}): Promise<Operation> {
  const { status, body, text } = await act(account, action, filter, more);
  if (status !== 202) throw new Error(text);
  return waitFor(account, body.id, hasEnded, 60_000);
}

/** So many deliveries that ended so. The receiver responds with 200 from now on. */
async function withDeliveries(status: 404 | 503 | 200, count: number, account?: Account) {
  const owner = account ?? (await openAccount(service));
  const receiver = await receive(status);
  const webhookId = await owner.newWebhook(receiver.url);
  const ids = await owner.publish(count);
  const state = { 404: 'failed', 503: 'retrying', 200: 'delivered' }[status];
  await waitForDeliveries(service, owner.accountId, state, count);
  receiver.respondWith(200);
  receiver.requests.length = 0;
  return { account: owner, receiver, webhookId, ids };
}

test('a dry run counts by each condition, and does nothing; retry delivers failed deliveries, once', async () => {
  const { account, receiver, webhookId, ids } = await withDeliveries(404, 6);
  for (const [filter, total] of [
    [{}, 6],
    [{ webhook_id: webhookId }, 6],
    [{ status: 'failed' }, 6],
    [{ status: 'pending' }, 0],
    [{ event: 'document.deleted' }, 6],
    [{ event: 'dataset.deleted' }, 0],
    [{ code: '404' }, 6],
    [{ code: '4xx' }, 6],
    [{ code: '5xx' }, 0],
    [{ error: 'client_error' }, 6],
    [{ error: 'timeout_response' }, 0],
    [{ error: 'no_response' }, 0],
    [{ until: '2021-01-01T00:00:00Z' }, 0],
    [{ ids: ids.slice(0, 2) }, 2],
    [{ ids: [...ids, 'dlv_missing'], code: '404' }, 6],
  ] as const) {
    const dry = await act(account, 'retry', filter, { dry_run: true });
    expect([filter, dry.status, dry.body.total, dry.body.status]).toEqual([filter, 200, total, 'completed']);
  }
  expect(receiver.requests).toEqual([]);
  expect((await account.call<{ data: unknown[] }>('GET', '/v1/operations')).body.data).toEqual([]);
  const done = await run(account, 'retry', { status: 'failed' });
  expect(done).toMatchObject({
    action: 'retry',
    status: 'completed',
    total: 6,
    done: 6,
    failed: 0,
    failures: [],
  });
  await waitForDeliveries(service, account.accountId, 'delivered', 6);
  expect((await read(account, done.id)).outcome).toEqual({
    delivered: 6,
    failed: 0,
    canceled: 0,
    waiting: 0,
  });
  expect(receiver.requests).toHaveLength(6);

  const { rows } = await service.pool.query<{ id: string }>(`select id from api_keys where account_id = $1`, [
    account.accountId,
  ]);
  const by = rows[0]?.id ?? '';
  expect(done.requested_by).toBe(by);
  const delivery = await account.call<Delivery>('GET', `/v1/deliveries/${ids[0]}`);
  expect(delivery.body.timeline.filter(({ type }) => type === 'signal')).toMatchObject([
    { name: 'retryNow', by },
  ]);
  const audited = await service.pool.query(`select actor, action from audit_records where target = $1`, [
    done.id,
  ]);
  expect(audited.rows).toEqual([{ actor: by, action: 'operation.created' }]);
  // Nothing is left to retry; resend sends them all again.
  expect((await run(account, 'retry', {})).total).toBe(0);
  expect(await run(account, 'resend', { webhook_id: webhookId })).toMatchObject({ total: 6, done: 6 });
  await until(
    () => receiver.requests.length,
    (count) => count === 12,
  );
});

test('waiting deliveries are attempted now, moved, and canceled', async () => {
  const { account, receiver, ids } = await withDeliveries(503, 4);
  const next_attempt_at = new Date(Date.now() + 7_200_000).toISOString();
  const moved = await run(account, 'reschedule', {}, { next_attempt_at });
  expect(moved).toMatchObject({ total: 4, done: 4, next_attempt_at });
  await until(
    () => account.call<Delivery>('GET', `/v1/deliveries/${ids[0]}`),
    ({ body }) => body.next_attempt_at === next_attempt_at,
  );
  expect(await run(account, 'retry', { ids: ids.slice(0, 1) })).toMatchObject({ total: 1, done: 1 });
  await waitForDeliveries(service, account.accountId, 'delivered', 1);
  expect(receiver.requests).toHaveLength(1);
  expect(await run(account, 'cancel', {})).toMatchObject({ total: 3, done: 3, failed: 0 });
  await waitForDeliveries(service, account.accountId, 'canceled', 3);
});

test('an action that is not possible counts as failed, with the reason', async () => {
  const { account, ids, webhookId } = await withDeliveries(404, 3);
  const [first = '', second = ''] = ids;
  await run(account, 'retry', { ids: [first] });
  await waitForDeliveries(service, account.accountId, 'delivered', 1);
  const mixed = await run(account, 'cancel', { ids });
  expect(mixed).toMatchObject({
    total: 3,
    done: 0,
    failed: 3,
    failures: [
      { reason: 'failed', count: 2 },
      { reason: 'delivered', count: 1 },
    ],
  });
  await account.call('PATCH', `/v1/webhooks/${webhookId}`, { active: false });
  expect((await run(account, 'retry', { ids: [second] })).failures).toEqual([
    { reason: 'webhook_not_active', count: 1 },
  ]);
  await account.call('DELETE', `/v1/webhooks/${webhookId}`);
  expect((await run(account, 'retry', { ids: [second] })).failures).toEqual([
    { reason: 'webhook_deleted', count: 1 },
  ]);
});

test.each([
  ['no time and no ids', 'retry', { webhook_id: undefined, since: undefined }, {}, 422, '/filter/since'],
  ['a beginning in the future', 'retry', { since: '2999-01-01T00:00:00Z' }, {}, 422, '/filter/since'],
  ['an end before the beginning', 'retry', { until: '2019-01-01T00:00:00Z' }, {}, 422, '/filter/until'],
  ['a state that it does nothing to', 'cancel', { status: 'delivered' }, {}, 422, '/filter/status'],
  ['a reschedule without a time', 'reschedule', {}, {}, 422, '/next_attempt_at'],
  ['a retry with a time', 'retry', {}, { next_attempt_at: '2999-01-01T00:00:00Z' }, 422, '/next_attempt_at'],
  [
    'a time too far ahead',
    'reschedule',
    {},
    { next_attempt_at: '2999-01-01T00:00:00Z' },
    422,
    '/next_attempt_at',
  ],
  ['a rate of 0', 'retry', {}, { per_second: 0 }, 422, '/per_second'],
  ['a rate of 1,001', 'retry', {}, { per_second: 1001 }, 422, '/per_second'],
  ['1,001 ids', 'retry', { ids: Array.from({ length: 1001 }, (_, n) => `dlv_${n}`) }, {}, 422, '/filter/ids'],
  ['no ids', 'retry', { ids: [] }, {}, 422, '/filter/ids'],
  ['another action', 'delete', {}, {}, 422, '/action'],
])('%s is refused', async (_name, action, filter, more, status, pointer) => {
  const account = await openAccount(service);
  const refused = await act(account, action, filter, more);
  expect([refused.status, refused.body.errors.map((error) => error.pointer)]).toEqual([status, [pointer]]);
});

test('the limits themselves are accepted, and an Idempotency-Key makes one operation', async () => {
  const account = await openAccount(service);
  const twice = [1, 2].map(() =>
    call<Operation>(
      service.apiUrl,
      account.key,
      'POST',
      '/v1/deliveries/actions',
      { action: 'retry', filter: { since } },
      { 'Idempotency-Key': 'once' },
    ),
  );
  const [one, two] = await Promise.all(twice);
  expect([one?.status, two?.status, two?.body.id]).toEqual([202, 202, one?.body.id]);
  const ids = Array.from({ length: 1000 }, (_, n) => `dlv_${n}`);
  for (const per_second of [1, 1000])
    expect((await act(account, 'retry', { ids }, { per_second, dry_run: true })).status).toBe(200);
  expect((await act(account, 'retry', { webhook_id: 'wh_none' })).status).toBe(404);
});

test('pages of a slow operation: pause, resume, cancel; the list has its cursor', async () => {
  const { account, receiver } = await withDeliveries(404, 12);
  const { body } = await act(account, 'retry', {}, { per_second: 2 });
  await waitFor(account, body.id, ({ done }) => done > 0);
  expect((await account.call('POST', `/v1/operations/${body.id}/pause`)).status).toBe(202);
  const paused = await waitFor(account, body.id, ({ status }) => status === 'paused');
  await waitForDeliveries(service, account.accountId, 'delivered', paused.done);
  expect(await read(account, body.id)).toEqual(paused);
  expect((await account.call('POST', `/v1/operations/${body.id}/resume`)).status).toBe(202);
  await waitFor(account, body.id, ({ done }) => done > paused.done);
  expect((await account.call('POST', `/v1/operations/${body.id}/cancel`)).status).toBe(202);
  const canceled = await waitFor(account, body.id, hasEnded);
  expect(canceled).toMatchObject({ status: 'canceled', failed: 0, total: 12 });
  expect(canceled.done).toBeLessThan(12);
  await waitForDeliveries(service, account.accountId, 'delivered', canceled.done);
  expect(receiver.requests).toHaveLength(canceled.done);
  for (const signal of ['pause', 'resume', 'cancel']) {
    const refused = await account.call<{ code: string }>('POST', `/v1/operations/${body.id}/${signal}`);
    expect([refused.status, refused.body.code]).toEqual([409, 'operation_state_conflict']);
  }
  const rest = await run(account, 'retry', {});
  type List = { data: Operation[]; next_cursor: string | null };
  const first = await account.call<List>('GET', '/v1/operations?limit=1');
  expect(first.body.data.map(({ id }) => id)).toEqual([rest.id]);
  const second = await account.call<List>('GET', `/v1/operations?limit=1&cursor=${first.body.next_cursor}`);
  expect([second.body.data.map(({ id }) => id), second.body.next_cursor]).toEqual([[body.id], null]);
  const stranger = await openAccount(service);
  expect((await stranger.call('GET', `/v1/operations/${body.id}`)).status).toBe(404);
});

test('no second has more actions than its rate', async () => {
  const { account, receiver } = await withDeliveries(404, 9);
  const startedAt = Date.now();
  await run(account, 'retry', {}, { per_second: 3 });
  await waitForDeliveries(service, account.accountId, 'delivered', 9);
  expect(receiver.requests).toHaveLength(9);
  expect(Date.now() - startedAt).toBeGreaterThan(2000);
});

test('a recovery is an operation: it is listed, and can be controlled as one', async () => {
  const { account, webhookId } = await withDeliveries(404, 2);
  const { body } = await account.recover(webhookId, { since, only: 'failed' });
  await waitFor(account, body.id, hasEnded);
  expect(await read(account, body.id)).toMatchObject({
    id: body.id,
    action: 'recover',
    status: 'completed',
    only: 'failed',
    total: 2,
    done: 2,
    per_second: 50,
    filter: { webhook_id: webhookId, since: '2020-01-01T00:00:00.000Z' },
  });
  // The other way round there is no recovery of that id.
  const retry = await run(account, 'retry', {});
  expect((await account.call('GET', `/v1/recoveries/${retry.id}`)).status).toBe(404);
});

test('a delivery that changes while an operation runs counts once: by another call, or as its webhook goes', async () => {
  const { account, ids, webhookId } = await withDeliveries(404, 9);
  const { body } = await act(account, 'retry', {}, { per_second: 1 });
  await waitFor(account, body.id, ({ done }) => done > 0);
  // By hand, before the operation comes to it.
  await account.call('POST', `/v1/deliveries/${ids.at(-1)}/retry`);
  await waitFor(account, body.id, ({ done }) => done > 2);
  await account.call('DELETE', `/v1/webhooks/${webhookId}`);
  const ended = await waitFor(account, body.id, hasEnded, 30_000);
  expect(ended.status).toBe('completed');
  expect(ended.done + ended.failed).toBe(9);
  expect(ended.failures.find(({ reason }) => reason === 'webhook_deleted')?.count).toBeGreaterThan(0);
  expect(ended.failures.find(({ reason }) => reason === 'changed')?.count).toBe(1);
});

test('one whose workflow was never started, because Temporal was away, is started by the reconciler', async () => {
  const { account } = await withDeliveries(404, 2);
  const row = await insertOperation(service.pool, {
    accountId: account.accountId,
    action: 'retry',
    webhookId: null,
    requestedBy: 'key_1',
    isDryRun: false,
    perSecond: 50,
    nextAttemptAt: null,
    since: null,
    until: null,
    selection: { status: 'failed', since },
    total: 2,
    createdAt: new Date(),
  });
  await service.pool.query(`update operations set check_at = now() where id = $1`, [row.id]);
  expect(await waitFor(account, row.id, hasEnded, 30_000)).toMatchObject({ status: 'completed', done: 2 });
  await waitForDeliveries(service, account.accountId, 'delivered', 2);
});

test('the deletion of its account ends it, paused too', { timeout: 120_000 }, async () => {
  const { account } = await withDeliveries(404, 5);
  const { body } = await act(account, 'retry', {}, { per_second: 1 });
  await account.call('POST', `/v1/operations/${body.id}/pause`);
  await waitFor(account, body.id, ({ status }) => status === 'paused');
  const key = await service.newKey({ accountId: null });
  const path = `${service.apiUrl}/v1/accounts/${account.accountId}`;
  await fetch(path, { method: 'DELETE', headers: { authorization: `Bearer ${key}` } });
  await until(
    async () =>
      (await service.pool.query<{ status: string }>(`select status from operations where id = $1`, [body.id]))
        .rows[0]?.status ?? 'gone',
    (status) => status === 'canceled' || status === 'gone',
    60_000,
  );
  expect(await countDeliveries(service, account.accountId, 'pending')).toBe(0);
});

test(
  'with two processes, kill -9 of both in the middle: each is retried once',
  { timeout: 240_000 },
  async () => {
    const own = await startService({ ...settings, LOG_LEVEL: 'warn' }, null);
    const child = startProcess(['up'], { ...own.env, FLTR_PROCESSES: '2' });
    onTestFinished(async () => {
      child.kill('SIGTERM');
      await child.exited();
      await own.stop();
    });
    await untilReady(own.apiUrl, child);
    const account = await openAccount(own);
    const receiver = await receive(404);
    await account.newWebhook(receiver.url);
    await account.publish(60);
    await waitForDeliveries(own, account.accountId, 'failed', 60);
    // A locked row of the second page stops the operation in the middle of that page. The deliveries that it retries fail again
    // at once.
    const blocker = await own.pool.connect();
    onTestFinished(() => blocker.release(true));
    await blocker.query('begin');
    await blocker.query(
      `select 1 from deliveries where id = (select id from deliveries order by id offset 30 limit 1) for update`,
    );
    const { body } = await act(account, 'retry', {}, { per_second: 20 });
    await until(
      () =>
        own.pool.query(
          `select 1 from operations o where page_number = 2 and page is not null
             and (select count(*) from deliveries d where d.operation_id = o.id and d.attempt_count = 2) = 39`,
        ),
      ({ rowCount }) => rowCount === 1,
    );
    const pids = childrenOf(child);
    expect(pids).toHaveLength(2);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await blocker.query('rollback');
    await untilReady(own.apiUrl, child);
    const done = await until(() => read(account, body.id).catch(() => body), hasEnded, 120_000);
    expect(done).toMatchObject({ status: 'completed', total: 60, done: 60, failed: 0 });
    await until(
      () =>
        own.pool.query<{ attempts: number }>(
          `select sum(attempt_count)::int as attempts from deliveries where status = 'failed'`,
        ),
      ({ rows }) => rows[0]?.attempts === 120,
      60_000,
    );
    expect(receiver.requests).toHaveLength(120);
  },
);
