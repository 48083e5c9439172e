import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Operation } from '../../src/contracts/operation.ts';
import {
  publishOne,
  readDelivery,
  waitForAll,
  waitForStatus,
  workflowStatus,
} from '../kit/delivery-steps.ts';
import {
  deleteWebhooks,
  probeNow,
  readPacing,
  setWebhook,
  startFickleReceiver,
  type FickleReceiver,
} from '../kit/outages.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: FickleReceiver;
let webhookId: string;
beforeAll(async () => {
  service = await startService({ FLTR_DELIVERIES_PER_HOUR: '0' });
});
afterAll(() => stopAll(service));
beforeEach(async () => {
  receiver = await startFickleReceiver();
});
afterEach(async () => {
  await deleteWebhooks(service);
  await receiver.close();
});

const probeDue = () => setWebhook(service, webhookId, `next_probe_at = now()`);

type Row = { id: string; wait: string | null; owner: string | null; status: string; reason: string | null };
const rowsOf = async (): Promise<Row[]> =>
  (
    await service.pool.query<Row>(
      `select id, wait_reason as wait, owner_id as owner, status, reason from deliveries where webhook_id = $1 order by id`,
      [webhookId],
    )
  ).rows;
const untilParked = (count: number) =>
  until(
    rowsOf,
    (rows) => rows.filter(({ wait, owner }) => wait === 'down' && owner === null).length === count,
  );
const untilEnded = (status: string, reason: string | null) =>
  until(rowsOf, (rows) => rows.every((row) => row.status === status && row.reason === reason));

/** A webhook that is down, with parked deliveries, oldest first. */
async function park(
  count: number,
  policy: object = {},
  events: Record<string, unknown>[] = [],
): Promise<string[]> {
  const { webhook_id } = await service.newWebhook(receiver.url, { probe_when_down: true, ...policy });
  webhookId = webhook_id;
  await setWebhook(
    service,
    webhookId,
    `next_probe_at = date_trunc('milliseconds', now()) + interval '1 hour'`,
  );
  for (let index = 0; index < count; index += 1) await publishOne(service, events[index] ?? {});
  return (await until(rowsOf, (rows) => rows.length === count)).map(({ id }) => id);
}

test('a parked delivery has no running workflow; lists, counts and its timeline show that it waits', async () => {
  const ids = await park(3);
  await untilParked(3);
  for (const id of ids) {
    expect(await workflowStatus(service, id)).toBe('COMPLETED');
    const delivery = await readDelivery(service, id);
    expect(delivery).toMatchObject({
      status: 'pending',
      next_attempt_at: null,
      waits_for: { reason: 'down' },
    });
    expect(delivery.timeline.map(({ type }) => type)).toEqual(['accepted', 'started', 'wait']);
  }
  const { body: list } = await service.call<{ data: { id: string }[] }>(
    'GET',
    `/v1/deliveries?webhook_id=${webhookId}&status=pending`,
  );
  expect(list.data.map(({ id }) => id).toSorted()).toEqual(ids);
  const { body: stats } = await service.call<{ waiting: object }>('GET', `/v1/webhooks/${webhookId}/stats`);
  expect(stats).toMatchObject({ waiting: { pending: 3 } });
  receiver.behave('down');
  await probeDue();
  const [first = ''] = ids;
  const probed = await waitForStatus(service, first, 'pending', 1);
  expect(probed.timeline.map(({ type }) => type)).toEqual([
    'accepted',
    'started',
    'wait',
    'started',
    'attempt',
    'wait',
  ]);
  expect(probed.timeline.filter((entry) => entry.type === 'wait' && entry.reason === 'down')).toHaveLength(2);
  receiver.behave('up');
  await probeDue();
  await waitForStatus(service, first, 'delivered', 2);
  await waitForAll(service, ids.slice(1), 'delivered', 1);
});

test('the time at which it fails does not move when it is parked again', async () => {
  const [id = ''] = await park(1);
  await untilParked(1);
  const timeOf = async () =>
    (
      await service.pool.query<{ at: Date }>(`select next_attempt_at as at from deliveries where id = $1`, [
        id,
      ])
    ).rows[0]?.at;
  const before = await timeOf();
  receiver.behave('down');
  await probeDue();
  await waitForStatus(service, id, 'pending', 1);
  await untilParked(1);
  expect(Math.abs(Number(await timeOf()) - Number(before))).toBeLessThan(2);
  expect((await service.call('POST', `/v1/deliveries/${id}/retry`)).status).toBe(202);
  await until(
    () => readDelivery(service, id),
    ({ timeline }) => timeline.some(({ type }) => type === 'signal') && timeline.at(-1)?.type === 'wait',
  );
  expect(Math.abs(Number(await timeOf()) - Number(before))).toBeLessThan(2);
});

test('deleting its webhook, discarding what is held, expunging its event and canceling many end it', async () => {
  await park(3);
  await untilParked(3);
  await service.call('DELETE', `/v1/webhooks/${webhookId}`);
  await untilEnded('canceled', 'webhook_deleted');

  await park(3);
  await untilParked(3);
  await service.call('POST', `/v1/webhooks/${webhookId}/pause`);
  await until(rowsOf, (rows) => rows.every(({ status, wait }) => status === 'held' && wait === null));
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: true, held: 'discard' });
  await untilEnded('canceled', 'discarded');
  await service.call('DELETE', `/v1/webhooks/${webhookId}`);

  const [id = ''] = await park(1);
  await untilParked(1);
  const { event_id } = await readDelivery(service, id);
  expect((await service.call('POST', '/v1/events/expunge', { ids: [event_id] })).status).toBeLessThan(300);
  await untilEnded('canceled', 'expunged');
  await service.call('DELETE', `/v1/webhooks/${webhookId}`);

  await park(5);
  await untilParked(5);
  await actOnAll('cancel');
  await untilEnded('canceled', 'canceled');
  expect(receiver.requests).toEqual([]);
});

async function actOnAll(action: string, more: object = {}): Promise<void> {
  const filter = { webhook_id: webhookId, since: new Date(Date.now() - 3_600_000).toISOString() };
  const { status, body, text } = await service.call<Operation>('POST', '/v1/deliveries/actions', {
    action,
    filter,
    ...more,
  });
  if (status !== 202) throw new Error(text);
  await until(
    async () => (await service.call<Operation>('GET', `/v1/operations/${body.id}`)).body,
    (operation) =>
      operation.status === 'completed' && operation.failed === 0 && operation.done === body.total,
  );
}

test('retrying many parks them again; rescheduling many gives them the time', async () => {
  await park(5);
  await untilParked(5);
  await actOnAll('retry');
  await untilParked(5);
  expect(receiver.requests).toEqual([]);
  const next_attempt_at = new Date(Date.now() + 3_600_000).toISOString();
  await actOnAll('reschedule', { next_attempt_at });
  await until(rowsOf, (rows) => rows.every(({ wait, owner, id }) => wait === 'rescheduled' && owner === id));
  expect(receiver.requests).toEqual([]);
});

test('another limit that is used up delays the probe, and starts no workflow meanwhile', async () => {
  const ids = await park(4, { rate_limit: { attempts: 1, seconds: 4 } });
  await untilParked(4);
  receiver.behave('down');
  await probeDue();
  await until(
    () => receiver.requests.length,
    (count) => count === 1,
  );
  receiver.behave('up');
  await probeDue();
  await waitForStatus(service, ids[0] ?? '', 'delivered', 2);
  const [first, second] = receiver.requests.map(({ at }) => at.getTime());
  expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(3990);
  const { rows } = await service.pool.query<{ started: number }>(
    `select jsonb_array_length(jsonb_path_query_array(timeline, '$[*] ? (@.type == "started")')) as started
     from deliveries where id = any($1) order by id`,
    [ids.slice(0, 1)],
  );
  // When it was accepted, for the probe that failed, and for the one that succeeded.
  expect(rows).toEqual([{ started: 3 }]);
  await waitForAll(service, ids.slice(1), 'delivered', 1);
}, 60_000);

test('in a line, the head is parked, and the deliveries behind it wait for it', async () => {
  const events = Array.from({ length: 4 }, () => ({ order_key: 'a' }));
  const ids = await park(4, { ordering: 'by_key' }, events);
  await untilParked(1);
  const [head = '', second = ''] = ids;
  expect(await readDelivery(service, head)).toMatchObject({ waits_for: { reason: 'down' } });
  expect(await readDelivery(service, second)).toMatchObject({
    waits_for: { reason: 'order', delivery_id: head },
  });
  receiver.behave('down');
  await probeDue();
  await waitForStatus(service, head, 'pending', 1);
  // The next probe is the same delivery: its line does not advance.
  receiver.behave('up');
  await probeNow(service, webhookId, receiver);
  await waitForAll(service, ids.slice(1), 'delivered', 1);
  const order = receiver.taken.map(({ headers }) => headers['webhook-id']);
  const { rows } = await service.pool.query<{ id: string }>(
    `select event_id as id from deliveries where id = any($1) order by id`,
    [ids],
  );
  expect(order).toEqual(rows.map(({ id }) => id));
});

test('a delivery whose attempt fails when the webhook is no longer paced is sent again', async () => {
  const ids = await park(2);
  await untilParked(2);
  receiver.behave('hangs');
  await probeDue();
  await until(
    () => receiver.requests.length,
    (count) => count === 1,
  );
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { probe_when_down: false });
  receiver.behave('up');
  expect((await readPacing(service, webhookId)).nextProbeAt).toBeNull();
  await waitForStatus(service, ids[0] ?? '', 'delivered', 2);
  await waitForStatus(service, ids[1] ?? '', 'delivered', 1);
});
