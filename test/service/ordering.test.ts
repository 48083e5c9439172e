import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { advanceLines } from '../../src/db/delivery-lines.ts';
import { readDelivery, waitForAll, waitForStatus } from '../kit/delivery-steps.ts';
import {
  acceptKeyed,
  firstAttempts,
  ofKey,
  publishKeyed,
  startOrderedReceiver,
  untilInOrder,
  type OrderedReceiver,
} from '../kit/ordered.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '1,600', FLTR_DELIVERIES_PER_HOUR: '0' });
});
afterAll(() => stopAll(service));
afterEach(async () => {
  const { body } = await service.call<{ data: { webhook_id: string }[] }>('GET', '/v1/webhooks');
  for (const { webhook_id: id } of body.data) await service.call('DELETE', `/v1/webhooks/${id}`);
  // No line and no check is left behind.
  await until(
    async () =>
      (await service.pool.query(`select from delivery_lines union all select from line_checks`)).rowCount,
    (count) => count === 0,
  );
});

async function receive(respond?: Parameters<typeof startOrderedReceiver>[0]): Promise<OrderedReceiver> {
  const receiver = await startOrderedReceiver(respond);
  onTestFinished(() => receiver.close());
  return receiver;
}
const newOrdered = async (url: string, more: Record<string, unknown> = {}): Promise<string> =>
  (await service.newWebhook(url, { ordering: 'by_key', ...more })).webhook_id;
const patch = (id: string, body: unknown) => service.call<Webhook>('PATCH', `/v1/webhooks/${id}`, body);

test('each key gets its events one after the other, in order of acceptance; keys do not wait for each other', async () => {
  const receiver = await receive();
  await newOrdered(receiver.url);
  const keys = ['a', 'b', 'c'];
  for (let number = 1; number <= 10; number += 1)
    await publishKeyed(
      service,
      keys.map((key) => ({ key, number })),
    );
  for (const key of keys) await untilInOrder(receiver, key, 10);
});

test('in a burst, deliveries of different lines share workflows, and order stays where some are retried', async () => {
  const isRetried = ({ key, number }: { key: string; number: number }) => number === 2 && key.endsWith('0');
  const receiver = await receive((seen, response) => {
    if (isRetried(seen) && seen.attempt === 1) response.writeHead(503).end();
    else setTimeout(() => response.end('ok'), 5);
  });
  await newOrdered(receiver.url, { retry: { schedule_seconds: [1] } });
  const keys = Array.from({ length: 60 }, (_, index) => `key_${index}`);
  const ids = await publishKeyed(
    service,
    [1, 2, 3, 4].flatMap((number) => keys.map((key) => ({ key, number }))),
  );
  for (const key of keys) await untilInOrder(receiver, key, 4);
  await until(
    () => receiver.seen.length,
    (count) => count >= 246,
  );
  for (const key of keys) {
    const made = receiver.seen.filter((seen) => seen.key === key).map(({ number }) => number);
    expect(made).toEqual(key.endsWith('0') ? [1, 2, 2, 3, 4] : [1, 2, 3, 4]);
  }
  const { rows } = await until(
    () =>
      service.pool.query<{ delivered: number; shared: number; own: number }>(
        `select count(*)::int as delivered, count(*) filter (where owner_id <> id)::int as shared,
           count(*) filter (where owner_id = id)::int as own
         from deliveries where id = any($1) and status = 'delivered'`,
        [ids],
      ),
    (found) => found.rows[0]?.delivered === 240,
  );
  // The first lines have workflows of their own, and so has each delivery that is retried.
  expect(rows[0]?.shared).toBeGreaterThan(120);
  expect(rows[0]?.own).toBeGreaterThanOrEqual(6);
});

test('the order within a batch is that of its events, not of their ids', async () => {
  const receiver = await receive();
  await newOrdered(receiver.url);
  const ids = await publishKeyed(service, ofKey('a', 30));
  await untilInOrder(receiver, 'a', 30);
  await waitForAll(service, ids, 'delivered', 1);
});

test('with all, events of all keys and of none are one line', async () => {
  const receiver = await receive((seen, response) => {
    seen.key = 'all';
    setTimeout(() => response.end('ok'), 10);
  });
  await newOrdered(receiver.url, { ordering: 'all' });
  for (let number = 1; number <= 8; number += 1)
    await service.publish({ data: { document_id: 'all', dataset_id: String(number) } });
  await untilInOrder(receiver, 'all', 8);
});

test('an event without a key is not held up, and not in a line', async () => {
  const receiver = await receive((_seen, response) => void response.writeHead(503).end());
  await newOrdered(receiver.url);
  await publishKeyed(service, ofKey('a', 2));
  const { deliveries } = await service.publish({ data: { document_id: 'none', dataset_id: '1' } });
  await until(
    () => firstAttempts(receiver, 'none').length,
    (count) => count === 1,
  );
  expect(await readDelivery(service, deliveries[0]?.id ?? '')).toMatchObject({ waits_for: null });
});

test('those behind a retry wait, say for which one, and have no workflow', async () => {
  let isDown = true;
  const receiver = await receive((_seen, response) => void response.writeHead(isDown ? 503 : 200).end());
  await newOrdered(receiver.url);
  const [first = '', second = '', third = ''] = await publishKeyed(service, ofKey('a', 3));
  await waitForStatus(service, first, 'retrying', 2);
  for (const id of [second, third])
    expect(await readDelivery(service, id)).toMatchObject({
      status: 'pending',
      waits_for: { reason: 'order', delivery_id: first },
      attempts: [],
      workflow: { run_id: null },
    });
  const { body } = await service.call<{ data: { id: string; waits_for: unknown }[] }>(
    'GET',
    '/v1/deliveries?limit=3',
  );
  expect(body.data.map(({ id, waits_for }) => [id, waits_for])).toEqual([
    [third, { reason: 'order', delivery_id: first }],
    [second, { reason: 'order', delivery_id: first }],
    [first, null],
  ]);
  for (const [method, path, more] of [
    ['POST', `/v1/deliveries/${second}/retry`, undefined],
    ['PATCH', `/v1/deliveries/${second}`, { next_attempt_at: new Date(Date.now() + 60_000).toISOString() }],
  ] as const) {
    const refused = await service.call<{ code: string; detail: string }>(method, path, more);
    expect(refused).toMatchObject({ status: 409, body: { code: 'delivery_state_conflict' } });
    expect(refused.body.detail).toContain(first);
  }
  isDown = false;
  expect((await service.call('POST', `/v1/deliveries/${first}/retry`)).status).toBe(202);
  await untilInOrder(receiver, 'a', 3);
  await waitForStatus(service, third, 'delivered', 1);
});

test('a failed one is skipped, and the next one begins', async () => {
  const receiver = await receive(
    ({ number }, response) => void response.writeHead(number === 1 ? 400 : 200).end(),
  );
  await newOrdered(receiver.url);
  const [first = '', second = ''] = await publishKeyed(service, ofKey('a', 2));
  await waitForStatus(service, first, 'failed', 1);
  await waitForStatus(service, second, 'delivered', 1);
});

test('one that is canceled in the middle is passed over; when the head is canceled, the next one begins', async () => {
  const receiver = await receive(
    ({ number }, response) => void response.writeHead(number === 1 ? 503 : 200).end(),
  );
  await newOrdered(receiver.url);
  const [first = '', second = '', third = ''] = await publishKeyed(service, ofKey('a', 3));
  await waitForStatus(service, first, 'retrying', 2);
  expect((await service.call('POST', `/v1/deliveries/${second}/cancel`)).status).toBe(202);
  await waitForStatus(service, second, 'canceled', 0);
  expect(await readDelivery(service, third)).toMatchObject({ waits_for: { delivery_id: first } });
  expect((await service.call('POST', `/v1/deliveries/${first}/cancel`)).status).toBe(202);
  await waitForStatus(service, third, 'delivered', 1);
  expect(firstAttempts(receiver, 'a')).toEqual([1, 3]);
});

test('on_failure block: those behind a failed one wait until it is retried with success', async () => {
  let isRefusing = true;
  const receiver = await receive(({ key, number }, response) => {
    response.writeHead(key === 'a' && number === 1 && isRefusing ? 400 : 200).end();
  });
  const id = await newOrdered(receiver.url, { on_failure: 'block' });
  const [first = '', second = ''] = await publishKeyed(service, ofKey('a', 2));
  const [other = ''] = await publishKeyed(service, ofKey('b', 1));
  await waitForStatus(service, other, 'delivered', 1);
  await untilBlocked(id, 1);
  expect(await readDelivery(service, second)).toMatchObject({ waits_for: { delivery_id: first } });
  expect((await service.call('GET', `/v1/webhooks/${id}`)).body).toMatchObject({ blocked_lines: 1 });
  // It fails again.
  expect((await service.call('POST', `/v1/deliveries/${first}/retry`)).status).toBe(202);
  await waitForStatus(service, first, 'failed', 2);
  await untilBlocked(id, 1);
  isRefusing = false;
  expect((await service.call('POST', `/v1/deliveries/${first}/retry`)).status).toBe(202);
  await waitForStatus(service, second, 'delivered', 1);
  expect((await service.call('GET', `/v1/webhooks/${id}`)).body).toMatchObject({ blocked_lines: 0 });
  expect(receiver.overlaps).toEqual([]);
});

const untilBlocked = (webhookId: string, count: number) =>
  until(
    async () =>
      (
        await service.pool.query(
          `select from delivery_lines where webhook_id = $1 and blocked_at is not null`,
          [webhookId],
        )
      ).rowCount,
    (blocked) => blocked === count,
  );

test('on_failure block: canceling the failed one, or changing to skip, lets the next one begin', async () => {
  const receiver = await receive(
    ({ number }, response) => void response.writeHead(number === 1 ? 400 : 200).end(),
  );
  const id = await newOrdered(receiver.url, { on_failure: 'block' });
  const [canceled = '', second = ''] = await publishKeyed(service, ofKey('a', 2));
  const [failed = '', other = ''] = await publishKeyed(service, ofKey('b', 2));
  await untilBlocked(id, 2);
  expect(await service.call('POST', `/v1/deliveries/${canceled}/cancel`)).toMatchObject({
    status: 202,
    body: { status: 'canceled', reason: 'canceled' },
  });
  await waitForStatus(service, second, 'delivered', 1);
  expect(await readDelivery(service, other)).toMatchObject({ waits_for: { delivery_id: failed } });
  expect((await patch(id, { on_failure: 'skip' })).body).toMatchObject({ on_failure: 'skip' });
  await waitForStatus(service, other, 'delivered', 1);
  // It blocks none now.
  expect((await service.call('POST', `/v1/deliveries/${failed}/cancel`)).status).toBe(409);
});

test('one that ended and is sent again joins its line at its old position: never two at once', async () => {
  const receiver = await receive((_seen, response) => void setTimeout(() => response.end('ok'), 150));
  await newOrdered(receiver.url);
  const ids = await publishKeyed(service, ofKey('a', 6));
  const [first = '', second = ''] = ids;
  await waitForStatus(service, second, 'delivered', 1);
  const again = await service.call('POST', `/v1/deliveries/${first}/retry?force=true`);
  expect(again).toMatchObject({ status: 202, body: { status: 'pending' } });
  await waitForAll(service, [first], 'delivered', 2);
  // Next after the head of that moment, before most of the others.
  const index = receiver.seen.findIndex(({ number, attempt }) => number === 1 && attempt === 2);
  expect(index).toBeLessThan(5);
  await untilInOrder(receiver, 'a', 6);
  // The line is gone by now, and is made again.
  await waitForAll(service, ids.slice(1), 'delivered', 1);
  await Promise.all(
    [second, first].map((id) => service.call('POST', `/v1/deliveries/${id}/retry?force=true`)),
  );
  await waitForAll(service, [first], 'delivered', 3);
  await waitForAll(service, [second], 'delivered', 2);
  expect(receiver.overlaps).toEqual([]);
});

test('a pause holds a line, and its order stays', async () => {
  const receiver = await receive();
  const id = await newOrdered(receiver.url);
  await patch(id, { active: false });
  const ids = await publishKeyed(service, ofKey('a', 5));
  await waitForAll(service, ids, 'held', 0);
  await patch(id, { active: true });
  await publishKeyed(service, ofKey('a', 3, 6));
  await untilInOrder(receiver, 'a', 8);
  await waitForAll(service, ids, 'delivered', 1);
});

test('a recovery sends failed deliveries in their order, and missed ones after them', async () => {
  let isRefusing = true;
  const receiver = await receive(
    (_seen, response) => void setTimeout(() => response.writeHead(isRefusing ? 400 : 200).end(), 20),
  );
  const id = await newOrdered(receiver.url);
  // The account has events of other tests.
  const since = new Date().toISOString();
  const failed = await publishKeyed(service, ofKey('a', 4));
  await waitForAll(service, failed, 'failed', 1);
  await patch(id, { events: ['document.processed'] });
  expect(await publishKeyed(service, ofKey('a', 3, 5))).toEqual([]);
  await patch(id, { events: ['*'] });
  isRefusing = false;
  expect((await service.call('POST', `/v1/webhooks/${id}/recover`, { since })).status).toBe(202);
  await untilInOrder(receiver, 'a', 7);
  await waitForAll(service, failed, 'delivered', 2);
  const again = receiver.seen.filter(({ attempt }) => attempt === 2).map(({ number }) => number);
  expect(again).toEqual([1, 2, 3, 4]);
  expect(receiver.overlaps).toEqual([]);
});

test('the limits of a webhook and its order hold together', async () => {
  const receiver = await receive();
  await newOrdered(receiver.url, {
    rate_limit: { attempts: 5, seconds: 1 },
    max_concurrent: 2,
    probe_when_down: true,
  });
  const keys = ['a', 'b', 'c'];
  for (let number = 1; number <= 5; number += 1)
    await publishKeyed(
      service,
      keys.map((key) => ({ key, number })),
    );
  for (const key of keys) await untilInOrder(receiver, key, 5);
});

test('ordering that is switched on or off applies to events from then on', async () => {
  const receiver = await receive((_seen, response) => void response.writeHead(503).end());
  const { webhook_id: id } = await service.newWebhook(receiver.url);
  const before = await publishKeyed(service, ofKey('a', 2));
  await waitForAll(service, before, 'retrying', 1);
  expect((await patch(id, { ordering: 'by_key' })).body).toMatchObject({
    ordering: 'by_key',
    on_failure: 'skip',
  });
  const [first = '', second = ''] = await publishKeyed(service, ofKey('a', 2, 3));
  await waitForAll(service, [first], 'retrying', 1);
  expect(await readDelivery(service, second)).toMatchObject({ waits_for: { delivery_id: first } });
  expect((await patch(id, { ordering: null })).body).toMatchObject({ ordering: null });
  const [unordered = ''] = await publishKeyed(service, ofKey('a', 1, 5));
  await waitForAll(service, [unordered], 'retrying', 1);
  expect(await readDelivery(service, second)).toMatchObject({ waits_for: { delivery_id: first } });
});

test('a deleted webhook leaves no line, whether it was blocked or not', async () => {
  const receiver = await receive(
    ({ key }, response) => void response.writeHead(key === 'blocked' ? 400 : 503).end(),
  );
  const id = await newOrdered(receiver.url, { on_failure: 'block' });
  const ids = await publishKeyed(service, [...ofKey('blocked', 3), ...ofKey('b', 3)]);
  await untilBlocked(id, 1);
  expect((await service.call('DELETE', `/v1/webhooks/${id}`)).status).toBe(204);
  await waitForAll(service, [...ids.slice(1, 3), ...ids.slice(4)], 'canceled', 0);
});

test('10,000 keys, of which one is blocked: no other is delayed', async () => {
  const idle = await startService({ FLTR_DELIVERIES_PER_HOUR: '0' }, null);
  onTestFinished(() => idle.stop());
  const { rows } = await idle.pool.query<{ id: string }>(
    `insert into webhooks (id, account_id, url, events, active, sealed_secret, ordering, on_failure)
     values ('wh_1', $1, 'http://localhost:1', '{*}', true, 'x', 'by_key', 'block') returning id`,
    [idle.accountId],
  );
  expect(rows).toHaveLength(1);
  const keys = Array.from({ length: 10_000 }, (_, index) => `key-${index}`);
  const publishEach = (number: number) =>
    acceptKeyed(
      idle,
      keys.map((key) => ({ key, number })),
    );
  await publishEach(1);
  const heads = async () =>
    (
      await idle.pool.query<{ key: string }>(
        `select order_key as key from deliveries where start_after is null and status = 'pending'`,
      )
    ).rowCount;
  const advanceAll = async () => {
    for (;;) if ((await advanceLines(idle.pool)).checked === 0) return;
  };
  await advanceAll();
  expect(await heads()).toBe(10_000);
  const end = (status: string, where: string) =>
    idle.pool.query(
      `update deliveries set status = $1, ended_at = now() where ${where} and status = 'pending' and start_after is null`,
      [status],
    );
  await end('failed', `order_key = 'key-7'`);
  await advanceAll();
  await publishEach(2);
  await end('delivered', 'true');
  await advanceAll();
  expect(await heads()).toBe(9999);
  const { rows: waiting } = await idle.pool.query<{ key: string }>(
    `select order_key as key from deliveries where status = 'pending' and start_after = 'line'`,
  );
  expect(waiting).toEqual([{ key: 'key-7' }]);
});
