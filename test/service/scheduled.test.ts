import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import type { Delivery, DeliverySummary } from '../../src/contracts/delivery.ts';
import type { Operation } from '../../src/contracts/operation.ts';
import type { WebhookStats } from '../../src/contracts/webhook.ts';
import { findDelivery } from '../../src/db/deliveries-table.ts';
import { archivedTimeline, readStory } from '../../src/temporal/history.ts';
import { passTime } from '../kit/pass-time.ts';
import { startProcess } from '../kit/process.ts';
import { openAccount, type Account } from '../kit/recoveries.ts';
import { call, startService, stopAll, until, untilReady, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
});
afterAll(() => stopAll(service, receiver));

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
const hour = 3600;
let paths = 0;

/** An account with a webhook of its own path. */
async function open(more: Record<string, unknown> = {}) {
  const account = await openAccount(service);
  const path = `/scheduled-${(paths += 1)}`;
  const webhookId = await account.newWebhook(`${receiver.url}${path}`, more);
  return {
    ...account,
    webhookId,
    publishOne: async (options: Record<string, unknown>) => (await account.publish(1, options))[0] ?? '',
    received: () => receiver.requests.filter((request) => request.path === path),
  };
}
const read = async (account: Account, id: string) =>
  (await account.call<Delivery>('GET', `/v1/deliveries/${id}`)).body;
const waitFor = (account: Account, id: string, status: Delivery['status']) =>
  until(
    () => read(account, id),
    (delivery) => delivery.status === status,
  );
const patch = (account: Account, id: string, at: string) =>
  account.call<DeliverySummary>('PATCH', `/v1/deliveries/${id}`, { next_attempt_at: at });

test('a scheduled delivery waits as a row, shows its time, and begins at that time, not before', async () => {
  const account = await open();
  const at = inSeconds(2);
  const id = await account.publishOne({ deliver_at: at });
  const waiting = await read(account, id);
  expect(waiting).toMatchObject({
    status: 'pending',
    next_attempt_at: at,
    waits_for: { reason: 'scheduled' },
    workflow: { run_id: null },
  });
  expect(waiting.timeline).toMatchObject([
    { type: 'accepted' },
    { type: 'wait', reason: 'scheduled', until: at },
  ]);
  const list = await account.call<{ data: DeliverySummary[] }>('GET', '/v1/deliveries?status=pending');
  expect(list.body.data).toMatchObject([{ id, next_attempt_at: at, waits_for: { reason: 'scheduled' } }]);
  const counts = await account.call<{ counts: object }>('GET', '/v1/deliveries/counts');
  expect(counts.body.counts).toMatchObject({ pending: 1 });
  const stats = await account.call<WebhookStats>('GET', `/v1/webhooks/${account.webhookId}/stats`);
  expect(stats.body.waiting).toEqual({ pending: 1, scheduled: 1, deferred: 0, retrying: 0, held: 0 });

  const delivered = await waitFor(account, id, 'delivered');
  expect(account.received().map(({ at: when }) => when >= new Date(at))).toEqual([true]);
  expect(delivered).toMatchObject({ next_attempt_at: null, waits_for: null });
  expect(delivered.timeline.map(({ type }) => type)).toEqual([
    'accepted',
    'wait',
    'started',
    'attempt',
    'ended',
  ]);
  const row = await findDelivery(service.pool, account.accountId, id);
  if (!row) throw new Error('no row');
  expect((await readStory(service.temporal, row)).timeline).toEqual(archivedTimeline(row));
});

test('it is moved, retried now and canceled like any waiting delivery, though it has no workflow', async () => {
  const account = await open();
  const [moved = '', now = '', canceled = ''] = await account.publish(3, { deliver_at: inSeconds(hour) });
  const later = inSeconds(2 * hour);
  expect(await patch(account, moved, later)).toMatchObject({
    status: 200,
    body: { next_attempt_at: later, waits_for: { reason: 'scheduled' } },
  });
  expect((await read(account, moved)).timeline.slice(2)).toMatchObject([
    { type: 'signal', name: 'reschedule' },
    { type: 'wait', reason: 'rescheduled', until: later },
  ]);
  expect((await account.call('POST', `/v1/deliveries/${now}/retry`)).status).toBe(202);
  const delivered = await waitFor(account, now, 'delivered');
  expect(delivered.timeline.map(({ type }) => type)).toContain('signal');
  expect((await account.call('POST', `/v1/deliveries/${canceled}/cancel`)).status).toBe(202);
  expect(await read(account, canceled)).toMatchObject({
    status: 'canceled',
    next_attempt_at: null,
    waits_for: null,
  });
  expect((await account.call('POST', `/v1/deliveries/${canceled}/retry`)).status).toBe(409);
  expect((await patch(account, canceled, later)).status).toBe(409);

  expect((await patch(account, moved, inSeconds(1))).status).toBe(200);
  await waitFor(account, moved, 'delivered');
  expect(account.received()).toHaveLength(2);
  // Sent again by hand, it does not wait for its time.
  const again = await account.call('POST', `/v1/deliveries/${moved}/retry?force=true`);
  expect(again.status).toBe(202);
  await until(account.received, (requests) => requests.length === 3);
});

test('operations move, retry and cancel scheduled deliveries', async () => {
  const account = await open();
  const act = async (body: object): Promise<Operation> => {
    const response = await account.call<Operation>('POST', '/v1/deliveries/actions', body);
    expect(response.status).toBe(202);
    return until(
      async () => (await account.call<Operation>('GET', `/v1/operations/${response.body.id}`)).body,
      ({ status }) => status === 'completed',
    );
  };
  const ids = await account.publish(6, { deliver_at: inSeconds(hour) });
  const later = inSeconds(2 * hour);
  const done = { done: 2, failed: 0 };
  expect(
    await act({ action: 'reschedule', next_attempt_at: later, filter: { ids: ids.slice(0, 2) } }),
  ).toMatchObject(done);
  expect(await act({ action: 'retry', filter: { ids: ids.slice(2, 4) } })).toMatchObject(done);
  expect(await act({ action: 'cancel', filter: { ids: ids.slice(4) } })).toMatchObject(done);
  for (const id of ids.slice(2, 4)) await waitFor(account, id, 'delivered');
  const states = await Promise.all(ids.map((id) => read(account, id)));
  expect(states.map(({ status, next_attempt_at: next }) => [status, next])).toEqual([
    ['pending', later],
    ['pending', later],
    ['delivered', null],
    ['delivered', null],
    ['canceled', null],
    ['canceled', null],
  ]);
});

test('with its webhook it is held and released, and keeps its time; held, it expires that much later', async () => {
  const account = await open();
  const set = (active: boolean) => account.call('PATCH', `/v1/webhooks/${account.webhookId}`, { active });
  const [soon, later] = [
    await account.publishOne({ deliver_at: inSeconds(2) }),
    await account.publishOne({ deliver_at: inSeconds(100 * hour) }),
  ];
  await set(false);
  const heldAtOnce = await account.publishOne({ deliver_at: inSeconds(hour) });
  for (const id of [soon, later, heldAtOnce])
    expect(await read(account, id)).toMatchObject({ status: 'held', next_attempt_at: null, waits_for: null });
  const { rows } = await service.pool.query<{ hours: number }>(
    `select round(extract(epoch from held_until - now()) / 3600)::int as hours from deliveries
     where account_id = $1 order by id`,
    [account.accountId],
  );
  expect(rows.map(({ hours }) => hours)).toEqual([72, 172, 73]);
  const soonAt = await service.pool.query<{ at: Date }>(
    'select deliver_at as at from deliveries where id = $1',
    [soon],
  );
  await until(
    () => new Date(),
    (now) => now > (soonAt.rows[0]?.at ?? now),
  );
  expect(account.received()).toEqual([]);
  await set(true);
  expect(await waitFor(account, later, 'pending')).toMatchObject({ waits_for: { reason: 'scheduled' } });
  expect((await waitFor(account, heldAtOnce, 'pending')).timeline.map(({ type }) => type)).toEqual([
    'accepted',
    'wait',
    'held',
    'released',
  ]);
  await waitFor(account, soon, 'delivered');
  expect(account.received()).toHaveLength(1);
  await account.call('DELETE', `/v1/webhooks/${account.webhookId}`);
  for (const id of [later, heldAtOnce])
    expect(await read(account, id)).toMatchObject({ status: 'canceled', reason: 'webhook_deleted' });
});

test('scheduled deliveries stand in nobody’s way: neither in the queue of a limit, nor in the backlog', async () => {
  const account = await open({ rate_limit: { attempts: 1, seconds: 1 } });
  await account.publish(20, { deliver_at: inSeconds(hour) });
  const [first = ''] = await account.publish(1);
  await waitFor(account, first, 'delivered');
  // They take slots once they are due.
  const due = inSeconds(1);
  const ids = await account.publish(3, { deliver_at: due });
  for (const id of ids) await waitFor(account, id, 'delivered');
  const times = account.received().map(({ at }) => at.getTime());
  for (const [index, time] of times.entries())
    if (index > 0) expect(time - (times[index - 1] ?? 0)).toBeGreaterThan(950);
  const stats = await account.call<WebhookStats>('GET', `/v1/webhooks/${account.webhookId}/stats`);
  expect(stats.body.waiting).toMatchObject({ pending: 20, scheduled: 20, deferred: 0 });
});

test('with ordering, it joins its line when its time comes, or when it is sent now, and delays nobody before', async () => {
  const account = await open({ ordering: 'by_key' });
  const at = inSeconds(2);
  const later = await account.publish(3, { deliver_at: at, order_key: 'k' });
  const hurried = await account.publishOne({ deliver_at: inSeconds(hour), order_key: 'k' });
  const first = await account.publishOne({ order_key: 'k' });
  await waitFor(account, first, 'delivered');
  expect((await account.call('POST', `/v1/deliveries/${hurried}/retry`)).status).toBe(202);
  await waitFor(account, hurried, 'delivered');
  for (const id of later) await waitFor(account, id, 'delivered');
  const { rows } = await service.pool.query<{ id: string; eventId: string }>(
    'select id, event_id as "eventId" from deliveries where account_id = $1',
    [account.accountId],
  );
  const ids = new Map(rows.map(({ id, eventId }) => [eventId, id]));
  const order = account.received().map(({ headers }) => ids.get(String(headers['webhook-id'])));
  // Those of one time in the order of their acceptance.
  expect(order.filter((id) => id !== hurried)).toEqual([first, ...later]);
  expect(order).toHaveLength(5);
});

test('deleting its account ends a scheduled delivery', async () => {
  const account = await open();
  await account.publishOne({ deliver_at: inSeconds(hour) });
  const key = await service.newKey({ accountId: null });
  expect((await call(service.apiUrl, key, 'DELETE', `/v1/accounts/${account.accountId}`)).status).toBe(202);
  await until(
    () => service.pool.query(`select 1 from deliveries where account_id = $1`, [account.accountId]),
    ({ rowCount }) => rowCount === 0,
  );
  expect(account.received()).toEqual([]);
});

test('many that are due at once are each sent once, by two processes, and after one of them was killed', async () => {
  const account = await open();
  const processes = await Promise.all(
    [1, 2].map(async () => {
      const port = await reservePort();
      const child = startProcess(['up'], { ...service.env, PORT: String(port) });
      onTestFinished(() => child.kill('SIGKILL'));
      await untilReady(`http://127.0.0.1:${port}`, child);
      return { url: `http://127.0.0.1:${port}`, child };
    }),
  );
  const [other] = processes;
  // Known to another process only, which dies before the time.
  const event = { event: 'document.deleted', data: { document_id: 'd', dataset_id: 's' } };
  const ofOther = await call<{ deliveries: { id: string }[] }>(
    other?.url ?? '',
    account.key,
    'POST',
    '/v1/events',
    {
      ...event,
      deliver_at: inSeconds(3),
    },
  );
  other?.child.kill('SIGKILL');
  const ids = [
    ...(await account.publish(300, { deliver_at: inSeconds(2 * hour) })),
    ofOther.body.deliveries[0]?.id,
  ];
  await passTime(service.pool, 2 * hour);
  await until(
    () => account.received().length,
    (count) => count >= ids.length,
  );
  const { rows } = await until(
    () =>
      service.pool.query<{ status: string; attempts: number }>(
        `select status, attempt_count as attempts from deliveries where account_id = $1`,
        [account.accountId],
      ),
    ({ rows: all }) => all.every(({ status }) => status === 'delivered'),
  );
  expect(rows.filter(({ attempts }) => attempts !== 1)).toEqual([]);
  expect(new Set(account.received().map(({ headers }) => headers['webhook-id'])).size).toBe(ids.length);
  expect(account.received()).toHaveLength(ids.length);
});
