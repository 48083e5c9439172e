import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { findDelivery } from '../../src/db/deliveries-table.ts';
import { decidePermit } from '../../src/delivery/permits.ts';
import { archivedTimeline, readStory } from '../../src/temporal/history.ts';
import { publishOne, readDelivery, waitForStatus, workflowStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let responseStatus = 200;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService({ FLTR_ATTEMPT_TIMEOUT_MS: '3000', FLTR_DELIVERIES_PER_HOUR: '250' }),
    startReceiver((request, response) => {
      if (!request.path.includes('hangs')) response.writeHead(responseStatus).end();
    }),
  ]);
});
afterAll(() => stopAll(service, receiver));
afterEach(async () => {
  const { body } = await service.call<{ data: { webhook_id: string }[] }>('GET', '/v1/webhooks');
  for (const { webhook_id: id } of body.data) await service.call('DELETE', `/v1/webhooks/${id}`);
  responseStatus = 200;
  receiver.requests.length = 0;
});

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();

test('a waiting delivery is rescheduled: row, timeline and timer say so, and then it goes', async () => {
  responseStatus = 503;
  await service.newWebhook(receiver.url);
  const id = await publishOne(service);
  await waitForStatus(service, id, 'retrying');
  const later = inSeconds(7200);
  const response = await service.call<{ next_attempt_at: string }>('PATCH', `/v1/deliveries/${id}`, {
    next_attempt_at: later,
  });
  expect([response.status, response.body.next_attempt_at]).toEqual([200, later]);
  const moved = await until(
    () => readDelivery(service, id),
    ({ timeline }) => timeline.some((entry) => entry.type === 'wait' && entry.reason === 'rescheduled'),
  );
  expect(moved).toMatchObject({ status: 'retrying', next_attempt_at: later });
  responseStatus = 200;
  await service.call('PATCH', `/v1/deliveries/${id}`, { next_attempt_at: inSeconds(2) });
  const delivered = await waitForStatus(service, id, 'delivered', 2);
  const signals = delivered.timeline.filter((entry) => entry.type === 'signal');
  expect(
    signals.map((entry) => entry.type === 'signal' && [entry.name, entry.by.startsWith('key_')]),
  ).toEqual([
    ['reschedule', true],
    ['reschedule', true],
  ]);
  const row = await findDelivery(service.pool, service.accountId, id);
  if (!row) throw new Error('no row');
  expect((await readStory(service.temporal, row)).timeline).toEqual(archivedTimeline(row));
});

test('rescheduling is refused for times too far ahead and for ended deliveries', async () => {
  await service.newWebhook(receiver.url);
  const id = await publishOne(service);
  await waitForStatus(service, id, 'delivered');
  const patch = (body: unknown) => service.call<{ code: string }>('PATCH', `/v1/deliveries/${id}`, body);
  expect((await patch({ next_attempt_at: inSeconds(60) })).status).toBe(409);
  for (const at of [inSeconds(-60), inSeconds(30 * 86_400 + 60), 'tomorrow'])
    expect((await patch({ next_attempt_at: at })).status).toBe(422);
  expect((await patch({})).status).toBe(422);
});

test('held deliveries expire after their time, and an event says so', async () => {
  await service.newWebhook(receiver.url, { events: ['delivery.failed'] });
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url, { active: false });
  const { deliveries } = await service.publish();
  const id = deliveries[0]?.id ?? '';
  const { rows } = await service.pool.query<{ hours: string }>(
    `select extract(epoch from held_until - now()) / 3600 as hours from deliveries where id = $1`,
    [id],
  );
  expect(Number(rows[0]?.hours)).toBeCloseTo(72, 1);
  await service.pool.query(
    `update deliveries set held_until = now(), reconcile_at = now() where webhook_id = $1`,
    [webhookId],
  );
  const expired = await waitForRow(id, 'failed');
  expect(expired).toMatchObject({ reason: 'expired', attempts: [] });
  expect(expired.timeline.map(({ type }) => type)).toEqual(['accepted', 'held', 'ended']);
  const [alert] = await until(
    () => receiver.requests,
    ({ length }) => length > 0,
  );
  expect(JSON.parse(alert?.body.toString() ?? '')).toMatchObject({
    event: 'delivery.failed',
    data: { delivery_id: id, reason: 'expired', attempts: 0 },
  });
});

const waitForRow = (id: string, status: string) =>
  until(
    () => readDelivery(service, id),
    (delivery) => delivery.status === status,
  );

test('activating can discard held deliveries', async () => {
  responseStatus = 503;
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  const waiting = await publishOne(service);
  await waitForStatus(service, waiting, 'retrying');
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: false });
  await workflowStatus(service, waiting);
  const held = (await service.publish()).deliveries[0]?.id ?? '';
  expect((await service.call('PATCH', `/v1/webhooks/${webhookId}`, { held: 'discard' })).status).toBe(422);
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: true, held: 'discard' });
  for (const id of [waiting, held])
    expect(await readDelivery(service, id)).toMatchObject({ status: 'canceled', reason: 'discarded' });
  await delay(1500);
  expect(receiver.requests).toHaveLength(1);
});

test('held deliveries are released oldest first, within the cap', async () => {
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url, { active: false });
  const events = Array.from({ length: 500 }, () => ({
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
  }));
  await service.call('POST', '/v1/events/batch', { events });
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { active: true });
  const statuses = async () =>
    (
      await service.pool.query<{ status: string; isDeferred: boolean }>(
        `select status, wait_reason is not null as "isDeferred" from deliveries where webhook_id = $1 order by id`,
        [webhookId],
      )
    ).rows.map(({ status, isDeferred }) => (isDeferred ? 'deferred' : status));
  const ended = await until(statuses, (all) =>
    all.every((status) => status === 'delivered' || status === 'deferred'),
  );
  expect(ended).toEqual(Array.from({ length: 500 }, (_, index) => (index < 250 ? 'delivered' : 'deferred')));
});

test('a receiver that hangs holds up its own deliveries alone', async () => {
  await service.newWebhook(`${receiver.url}/hangs`, { events: ['dataset.deleted'] });
  await service.newWebhook(`${receiver.url}/quick`, { events: ['document.deleted'] });
  const slow = Array.from({ length: 150 }, () => ({
    event: 'dataset.deleted',
    data: { dataset_id: 'ds_1' },
  }));
  await service.call('POST', '/v1/events/batch', { events: slow });
  await until(
    () => receiver.requests.filter(({ path }) => path === '/hangs').length,
    (count) => count >= 20,
  );
  const quick = Array.from({ length: 50 }, () => ({
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
  }));
  await service.call('POST', '/v1/events/batch', { events: quick });
  const quickDone = () => receiver.requests.filter(({ path }) => path === '/quick').length;
  await until(quickDone, (count) => count === 50);
  // Behind the hanging ones, they would be done when all of those had begun, 20 in 3 s.
  expect(receiver.requests.filter(({ path }) => path === '/hangs').length).toBeLessThan(140);
});

test('permits: granted below the limit, waited for if that is short, else requested again later', () => {
  const now = Date.now();
  expect(decidePermit({ underWay: 19, waiting: 0, waitingInGroups: 0, averageMs: 10 }, false, 0, now)).toBe(
    'grant',
  );
  expect(decidePermit({ underWay: 20, waiting: 19, waitingInGroups: 0, averageMs: 10 }, false, 0, now)).toBe(
    'wait',
  );
  expect(
    decidePermit({ underWay: 20, waiting: 20, waitingInGroups: 0, averageMs: 10 }, false, 0, now),
  ).toMatchObject({
    seconds: 1,
  });
  expect(decidePermit({ underWay: 4, waiting: 0, waitingInGroups: 0, averageMs: 5000 }, false, 0, now)).toBe(
    'grant',
  );
  expect(
    decidePermit({ underWay: 5, waiting: 0, waitingInGroups: 0, averageMs: 5000 }, false, 0, now),
  ).toMatchObject({
    seconds: 2,
  });
  // Each that is sent away comes back after the one before.
  expect(
    decidePermit({ underWay: 5, waiting: 0, waitingInGroups: 0, averageMs: 5000 }, false, now + 60_000, now),
  ).toMatchObject({ seconds: 61 });
  expect(
    decidePermit(
      { underWay: 5, waiting: 0, waitingInGroups: 0, averageMs: 5000 },
      false,
      now + 9_000_000,
      now,
    ),
  ).toMatchObject({
    seconds: 300,
  });
});

test('a Slack-compatible target gets a text, signed like any body', async () => {
  await service.newWebhook(receiver.url, { format: 'slack' });
  await service.publish({
    event: 'document.deleted',
    data: { document_id: '<!channel> & co', dataset_id: 'ds_1' },
  });
  const [request] = await until(
    () => receiver.requests,
    ({ length }) => length === 1,
  );
  const { text } = JSON.parse(request?.body.toString() ?? '') as { text: string };
  expect(text).toContain('*document.deleted*');
  expect(text).toContain('document_id: &lt;!channel&gt; &amp; co');
});

test('each attempt shows its request and URL, also after changes of the webhook', async () => {
  responseStatus = 503;
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url, { format: 'slack' });
  const id = await publishOne(service);
  await waitForStatus(service, id, 'retrying');
  responseStatus = 200;
  const moved = `${receiver.url}/moved`;
  await service.call('PATCH', `/v1/webhooks/${webhookId}`, { url: moved, format: 'fltr' });
  await service.call('POST', `/v1/deliveries/${id}/retry`);
  await waitForStatus(service, id, 'delivered', 2);
  await service.call('DELETE', `/v1/webhooks/${webhookId}`);
  const { attempts } = await readDelivery(service, id);
  const bytes = receiver.requests.map(({ body }) => body.length);
  expect(attempts.map(({ request }) => request)).toMatchObject([
    { method: 'POST', url: receiver.url, format: 'slack', body_bytes: bytes[0] },
    { method: 'POST', url: moved, format: 'fltr', body_bytes: bytes[1] },
  ]);
  expect(bytes[0]).not.toBe(bytes[1]);
});
