import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import type { Delivery } from '../../src/contracts/delivery.ts';
import type { Operation } from '../../src/contracts/operation.ts';
import { startProcess } from '../kit/process.ts';
import { openAccount, type Account } from '../kit/recoveries.ts';
import { startService, stopAll, until, untilReady, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

let service: Service;
let receiver: Receiver;
/** By path: the statuses of the next responses; 0: it waits for `release`. Without one: 503. */
const responses = new Map<string, number[]>();
let release = Promise.withResolvers<number>();
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService({ FLTR_RETRY_SCHEDULE_SECONDS: '600' }),
    startReceiver((request, response) => {
      const status = responses.get(request.path)?.shift() ?? 503;
      if (status > 0) response.writeHead(status).end();
      else void release.promise.then((later) => response.writeHead(later).end());
    }),
  ]);
});
afterAll(() => stopAll(service, receiver));

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
let paths = 0;

/** An account with a webhook of its own path, and one that gets `delivery.failed`. */
async function open(more: Record<string, unknown> = {}) {
  const account = await openAccount(service);
  const path = `/expires-${(paths += 1)}`;
  const webhookId = await account.newWebhook(`${receiver.url}${path}`, more);
  await account.newWebhook(`${receiver.url}/alerts`, { events: ['delivery.failed'] });
  responses.set(
    '/alerts',
    Array.from({ length: 1000 }, () => 200),
  );
  return {
    ...account,
    path,
    webhookId,
    publishOne: async (options: Record<string, unknown>) => (await account.publish(1, options))[0] ?? '',
    received: () => receiver.requests.filter((request) => request.path === path),
    /** The events about deliveries that failed. */
    failures: async () => {
      const { rows } = await service.pool.query<{ id: string }>(
        `select id from events where account_id = $1 and type = 'delivery.failed' order by created_at`,
        [account.accountId],
      );
      return rows.map(({ id }) => id);
    },
  };
}
const read = async (account: Account, id: string) =>
  (await account.call<Delivery>('GET', `/v1/deliveries/${id}`)).body;
const waitFor = (account: Account, id: string, status: Delivery['status']) =>
  until(
    () => read(account, id),
    (delivery) => delivery.status === status,
  );
/** Moves the time nearer: on a slow machine, the steps before it take long. */
const expireNow = (id: string) =>
  service.pool.query('update deliveries set expires_at = now() where id = $1', [id]);
/** How its workflow has ended. */
async function workflowEnd(account: Account, id: string): Promise<string> {
  const { workflow } = await read(account, id);
  const { status } = await until(
    () => service.temporal.client.workflow.getHandle(workflow.id).describe(),
    (run) => run.status.name !== 'RUNNING',
  );
  return status.name;
}
/** Ended as expired, at that time or up to the time that a look takes later, after so many attempts. */
async function expectExpired(account: Awaited<ReturnType<typeof open>>, id: string, attempts = 0) {
  const delivery = await waitFor(account, id, 'failed');
  expect(delivery).toMatchObject({ reason: 'expired', next_attempt_at: null, waits_for: null });
  expect(delivery.attempts).toHaveLength(attempts);
  expect(delivery.timeline.at(-1)).toMatchObject({ type: 'ended', status: 'failed', reason: 'expired' });
  expect(Date.parse(delivery.ended_at ?? '')).toBeGreaterThanOrEqual(Date.parse(delivery.expires_at ?? ''));
  expect(await account.failures()).toEqual([`evt_failed_${id}_${attempts}`]);
  return delivery;
}

test('a delivery that waits for its retry ends when it expires; its workflow ends, and there is one event', async () => {
  const account = await open();
  const at = inSeconds(60);
  const id = await account.publishOne({ expires_at: at });
  expect(await waitFor(account, id, 'retrying')).toMatchObject({ expires_at: at });
  await expireNow(id);
  await expectExpired(account, id, 1);
  expect(await workflowEnd(account, id)).toBe('COMPLETED');
  await until(
    () => service.pool.query('select reconcile_at as at from deliveries where id = $1', [id]),
    ({ rows }) => (rows as { at: Date | null }[])[0]?.at === null,
  );
  expect((await read(account, id)).timeline.map(({ type }) => type)).toEqual([
    'accepted',
    'started',
    'attempt',
    'wait',
    'ended',
  ]);
  expect(account.received()).toHaveLength(1);
});

test('a delivery that is delivered in time does not expire', async () => {
  const account = await open();
  responses.set(account.path, [200]);
  const id = await account.publishOne({ deliver_at: inSeconds(1), expires_at: inSeconds(60) });
  await waitFor(account, id, 'delivered');
  await expireNow(id);
  // One that expires later has ended by then.
  const other = await open({ active: false });
  await waitFor(other, await other.publishOne({ expires_at: inSeconds(1) }), 'failed');
  expect((await read(account, id)).status).toBe('delivered');
  expect(await account.failures()).toEqual([]);
  const forced = await account.call('POST', `/v1/deliveries/${id}/retry?force=true`);
  expect(forced.status).toBe(409);
});

test('a held delivery expires, also while it is scheduled', async () => {
  const account = await open({ active: false });
  const id = await account.publishOne({ expires_at: inSeconds(1) });
  expect((await read(account, id)).status).toBe('held');
  await expectExpired(account, id);
  const scheduled = await account.publishOne({ deliver_at: inSeconds(1), expires_at: inSeconds(2) });
  await waitFor(account, scheduled, 'failed');
  await account.call('PATCH', `/v1/webhooks/${account.webhookId}`, { active: true });
  expect(await account.failures()).toHaveLength(2);
  expect(account.received()).toEqual([]);
});

test('a held delivery that expired before its workflow continues it is not sent', async () => {
  const account = await open();
  const id = await account.publishOne({ expires_at: inSeconds(60) });
  await waitFor(account, id, 'retrying');
  // As after a short pause: its workflow has not stopped yet, and its webhook is active again.
  await service.pool.query(
    `update deliveries set status = 'held', held_until = now() + interval '1 hour', next_attempt_at = null, wait_reason = null,
       expires_at = now(), reconcile_at = now() where id = $1`,
    [id],
  );
  await expectExpired(account, id, 1);
  expect(await workflowEnd(account, id)).toBe('COMPLETED');
  expect(account.received()).toHaveLength(1);
});

test('a delivery that a limit defers expires, and the others move up', async () => {
  const account = await open({ rate_limit: { attempts: 1, seconds: 3600 } });
  responses.set(account.path, [200]);
  const first = await account.publishOne({});
  await waitFor(account, first, 'delivered');
  const id = await account.publishOne({ expires_at: inSeconds(60) });
  const next = await account.publishOne({});
  const timeOf = async () =>
    Date.parse(
      (
        await until(
          () => read(account, next),
          ({ next_attempt_at: at }) => at !== null,
        )
      ).next_attempt_at ?? '',
    );
  const before = await timeOf();
  await expireNow(id);
  await expectExpired(account, id);
  await until(timeOf, (now) => now < before - 3_000_000);
  expect(account.received()).toHaveLength(1);
});

test('a delivery that waits for a webhook that is down expires', async () => {
  const account = await open({ probe_when_down: true });
  await service.pool.query(
    `update webhooks set health_state = 'down', health_since = now(), next_probe_at = now() + interval '1 hour' where id = $1`,
    [account.webhookId],
  );
  const ids = await account.publish(2, { expires_at: inSeconds(60) });
  const id = ids[1] ?? '';
  await until(
    () => read(account, id),
    ({ timeline }) => timeline.some((entry) => entry.type === 'wait' && entry.reason === 'down'),
  );
  for (const each of ids) await expireNow(each);
  await waitFor(account, id, 'failed');
  await until(account.failures, (failures) => failures.length === 2);
  expect(account.received()).toEqual([]);
});

test('an attempt that has begun decides, unless it fails: then the delivery has expired, with one event', async () => {
  for (const [status, expected] of [
    [404, 'failed'],
    [503, 'failed'],
    [200, 'delivered'],
  ] as const) {
    const account = await open();
    responses.set(account.path, [503, 0]);
    release = Promise.withResolvers();
    const id = await account.publishOne({ expires_at: inSeconds(60) });
    await waitFor(account, id, 'retrying');
    await account.call('POST', `/v1/deliveries/${id}/retry`);
    await until(account.received, (requests) => requests.length === 2);
    await expireNow(id);
    await waitFor(account, id, 'failed');
    release.resolve(status);
    const ended = await until(
      () => read(account, id),
      ({ attempts }) => attempts.length === 2,
    );
    expect(ended).toMatchObject({ status: expected, reason: expected === 'failed' ? 'expired' : null });
    await workflowEnd(account, id);
    expect(await account.failures()).toEqual([`evt_failed_${id}_1`]);
  }
});

test('an expired delivery is not sent again: by hand, by an operation, by a recovery', async () => {
  const account = await open();
  const since = inSeconds(-60);
  const id = await account.publishOne({ expires_at: inSeconds(1) });
  await waitFor(account, id, 'failed');
  expect(await account.call('POST', `/v1/deliveries/${id}/retry`)).toMatchObject({
    status: 409,
    body: { code: 'delivery_state_conflict' },
  });
  const { body } = await account.call<Operation>('POST', '/v1/deliveries/actions', {
    action: 'retry',
    filter: { ids: [id] },
  });
  const operation = await until(
    async () => (await account.call<Operation>('GET', `/v1/operations/${body.id}`)).body,
    ({ status }) => status === 'completed',
  );
  expect(operation).toMatchObject({ done: 0, failed: 1, failures: [{ reason: 'expired', count: 1 }] });
  const recovery = await account.recover(account.webhookId, { since, dry_run: true });
  expect(recovery.body).toMatchObject({ total: 0 });
  // Nor moved to a time at which it would have expired.
  const waiting = await account.publishOne({ deliver_at: inSeconds(60), expires_at: inSeconds(120) });
  const moved = await account.call<{ errors: object[] }>('PATCH', `/v1/deliveries/${waiting}`, {
    next_attempt_at: inSeconds(130),
  });
  expect(moved).toMatchObject({ status: 422, body: { errors: [{ pointer: '/next_attempt_at' }] } });
  expect(account.received()).toHaveLength(1);
});

test('many that expire at once are each counted once, by two processes', async () => {
  const account = await open({ active: false });
  const port = await reservePort();
  const child = startProcess(['up'], { ...service.env, PORT: String(port) });
  onTestFinished(() => child.kill('SIGKILL'));
  await untilReady(`http://127.0.0.1:${port}`, child);
  const ids = await account.publish(700, { expires_at: inSeconds(60) });
  await service.pool.query('update deliveries set expires_at = now() where id = any($1)', [ids]);
  await until(
    () =>
      service.pool.query<{ count: number }>(
        `select count(*)::int as count from deliveries where id = any($1) and status = 'failed' and reason = 'expired'`,
        [ids],
      ),
    ({ rows }) => rows[0]?.count === ids.length,
  );
  const counted = await service.pool.query<{ failed: number }>(
    'select sum(failed)::int as failed from failure_counts where webhook_id = $1',
    [account.webhookId],
  );
  expect(counted.rows).toEqual([{ failed: ids.length }]);
});
