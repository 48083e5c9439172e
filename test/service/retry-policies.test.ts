import { defaultPayloadConverter } from '@temporalio/common';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Delivery } from '../../src/contracts/delivery.ts';
import type { RetryPolicy } from '../../src/contracts/webhook-policy.ts';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { disableGone } from '../../src/db/receiver-requests.ts';
import { findDelivery } from '../../src/db/deliveries-table.ts';
import { isGroupId } from '../../src/domain/ids.ts';
import { scheduleOf } from '../../src/domain/retry-policy.ts';
import { archivedTimeline, readStory } from '../../src/temporal/history.ts';
import { publishOne, readDelivery, waitForStatus, workflowStatus } from '../kit/delivery-steps.ts';
import { openAccount } from '../kit/recoveries.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

let shared: Service;
let receiver: Receiver;
/** `/503`, `/429/900`: the status, and `Retry-After`. The response of a path can be changed. */
const changed = new Map<string, number>();
beforeAll(async () => {
  [shared, receiver] = await Promise.all([
    startService({ FLTR_AUTO_DISABLE_MIN_DELIVERIES: '100000' }),
    startReceiver(({ path }, response) => {
      const [, status = '200', retryAfter] = path.split('/');
      response.writeHead(
        changed.get(path) ?? Number(status),
        retryAfter ? { 'retry-after': retryAfter } : {},
      );
      response.end();
    }),
  ]);
});
afterAll(() => stopAll(shared, receiver));

/** The service as an account of its own sees it. */
async function newAccount(): Promise<Service> {
  const { accountId, key } = await shared.newAccount();
  const mine: Service = { ...shared, accountId, key };
  mine.call = (...args) => call(shared.apiUrl, key, ...args);
  mine.newWebhook = async (url, more = {}) => {
    const body = { url, events: ['document.*'], ...more };
    const response = await mine.call<{ webhook_id: string; secret: string }>('POST', '/v1/webhooks', body);
    if (response.status !== 201) throw new Error(response.text);
    return response.body;
  };
  mine.publish = async (more = {}) => {
    const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' }, ...more };
    const response = await mine.call<Awaited<ReturnType<Service['publish']>>>('POST', '/v1/events', event);
    if (response.status !== 202) throw new Error(response.text);
    return response.body;
  };
  return mine;
}

/** A webhook with that policy, and the delivery of an event to it. */
async function send(path: string, retry: RetryPolicy | null, more: Record<string, unknown> = {}) {
  const mine = await newAccount();
  const { webhook_id: webhookId } = await mine.newWebhook(receiver.url + path, {
    ...(retry && { retry }),
    ...more,
  });
  return { mine, webhookId, id: await publishOne(mine) };
}
const attemptNow = (mine: Service, id: string) => mine.call('POST', `/v1/deliveries/${id}/retry`);
const patch = (mine: Service, webhookId: string, change: object) =>
  mine.call<Webhook>('PATCH', `/v1/webhooks/${webhookId}`, change);
const readWebhook = async (mine: Service, webhookId: string) =>
  (await mine.call<Webhook>('GET', `/v1/webhooks/${webhookId}`)).body;

/** The waits after attempts, as the timeline has them. */
const waitsOf = ({ timeline }: Delivery) =>
  timeline.flatMap((entry) => (entry.type === 'wait' && entry.reason === undefined ? [entry.seconds] : []));

/** History and archive say the same. */
async function expectSameStory(mine: Service, id: string): Promise<void> {
  const row = await findDelivery(mine.pool, mine.accountId, id);
  if (!row) throw new Error('no row');
  expect((await readStory(mine.temporal, row)).timeline).toEqual(archivedTimeline(row));
}

type Row = [
  name: string,
  retry: RetryPolicy | null,
  path: string,
  outcome: 'delivered' | 'failed' | 'retrying',
  code: string | null,
  /** The wait, or why it failed. */
  next: number | string | null,
];
const week: RetryPolicy = { preset: 'week' };
const outcomes: Row[] = [
  ['no policy', null, '/200', 'delivered', null, null],
  ['no policy', null, '/503', 'retrying', 'server_error', 60],
  ['no policy', null, '/302/900', 'retrying', 'redirect', 60],
  ['no policy', null, '/429/900', 'failed', 'client_error', 'client_error'],
  ['no policy', null, '/410', 'failed', 'client_error', 'client_error'],
  ['page', { preset: 'page' }, '/503', 'retrying', 'server_error', 60],
  // The default, written out.
  ['page', { preset: 'page' }, '/302/900', 'retrying', 'redirect', 60],
  ['page with jitter 0', { preset: 'page', jitter: 0 }, '/302/900', 'retrying', 'redirect', 900],
  ['page', { preset: 'page' }, '/429', 'failed', 'client_error', 'client_error'],
  ['day', { preset: 'day' }, '/503', 'retrying', 'server_error', 5],
  ['three_days', { preset: 'three_days' }, '/503', 'retrying', 'server_error', 5],
  ['week', week, '/503', 'retrying', 'server_error', 5],
  ['week', week, '/503/90000', 'retrying', 'server_error', 43_200],
  ['none', { preset: 'none' }, '/503', 'failed', 'server_error', 'retries_exhausted'],
  ['none', { preset: 'none' }, '/200', 'delivered', null, null],
  ['none', { preset: 'none' }, '/404', 'failed', 'client_error', 'client_error'],
  ['own waits', { schedule_seconds: [86_400] }, '/503', 'retrying', 'server_error', 86_400],
  ['own waits', { schedule_seconds: [1800] }, '/503/90000', 'retrying', 'server_error', 1800],
  ['no wait', { schedule_seconds: [] }, '/503/900', 'failed', 'server_error', 'retries_exhausted'],
  ['also 408', { ...week, also: ['408'] }, '/408', 'retrying', 'client_error_retried', 5],
  ['also 425', { ...week, also: ['425'] }, '/425/30', 'retrying', 'client_error_retried', 30],
  ['also 429', { ...week, also: ['429'] }, '/429', 'retrying', 'client_error_retried', 5],
  ['also 429', { ...week, also: ['429'] }, '/408', 'failed', 'client_error', 'client_error'],
  ['also 4xx', { ...week, also: ['4xx'] }, '/404', 'retrying', 'client_error_retried', 5],
  ['also 4xx', { ...week, also: ['4xx'] }, '/410', 'failed', 'client_error', 'client_error'],
  [
    'also 4xx, none',
    { preset: 'none', also: ['4xx'] },
    '/404',
    'failed',
    'client_error_retried',
    'retries_exhausted',
  ],
  ['on_gone fail', { ...week, on_gone: 'fail' }, '/410', 'failed', 'client_error', 'client_error'],
];

test.each(outcomes)('%s (%o): %s → %s', async (_name, retry, path, status, code, next) => {
  const { mine, webhookId, id } = await send(path, retry);
  const delivery = await waitForStatus(mine, id, status, 1);
  const [attempt] = delivery.attempts;
  expect(attempt?.error?.code ?? null).toBe(code);
  expect(await readWebhook(mine, webhookId)).toMatchObject({
    active: true,
    retry: retry ?? { preset: 'page' },
  });
  if (status === 'retrying') {
    expect(waitsOf(delivery)).toEqual([next]);
    const endedAt = Date.parse(attempt?.started_at ?? '') + (attempt?.duration_ms ?? 0);
    expect(Date.parse(delivery.next_attempt_at ?? '') - endedAt).toBe(Number(next) * 1000);
  } else {
    expect(delivery.reason).toBe(next);
    expect(await workflowStatus(mine, id)).toBe(status === 'failed' ? 'FAILED' : 'COMPLETED');
  }
  await expectSameStory(mine, id);
});

const whole: [string, RetryPolicy | null, number[]][] = [
  ['the default', null, [60, 300, 1800]],
  ['page', { preset: 'page' }, [60, 300, 1800]],
  ...(['day', 'three_days', 'week'] as const).map((preset): [string, RetryPolicy, number[]] => [
    preset,
    { preset },
    scheduleOf({ preset }) ?? [],
  ]),
  [
    '20 own waits',
    { schedule_seconds: Array.from({ length: 20 }, (_, index) => 1000 + index) },
    Array.from({ length: 20 }, (_, index) => 1000 + index),
  ],
];

test.concurrent.each(whole)(
  'the whole schedule of %s, each attempt requested by hand',
  { timeout: 120_000 },
  async (_name, retry, schedule) => {
    const { mine, id } = await send('/503', retry);
    for (let made = 1; made <= schedule.length; made += 1) {
      await waitForStatus(mine, id, 'retrying', made);
      await attemptNow(mine, id);
    }
    const failed = await waitForStatus(mine, id, 'failed', schedule.length + 1);
    expect(failed.reason).toBe('retries_exhausted');
    expect(waitsOf(failed)).toEqual(schedule);
    await expectSameStory(mine, id);
    // A failed one starts again, with a fresh schedule.
    await attemptNow(mine, id);
    const again = await waitForStatus(mine, id, 'retrying', schedule.length + 2);
    expect(waitsOf(again).at(-1)).toBe(schedule[0]);
  },
);

test('timers of a short schedule run by themselves, and Temporal knows numbers only', async () => {
  const { mine, id } = await send('/503/', { schedule_seconds: [1, 1] });
  const failed = await waitForStatus(mine, id, 'failed', 3);
  const times = failed.attempts.map(({ started_at: at }) => Date.parse(at));
  for (const [index, at] of times.slice(1).entries()) {
    expect(at - (times[index] ?? 0)).toBeGreaterThanOrEqual(1000);
    expect(at - (times[index] ?? 0)).toBeLessThan(10_000);
  }
  const { workflow } = failed;
  const { events } = await mine.temporal.client.workflow.getHandle(workflow.id).fetchHistory();
  const summaries = (events ?? []).flatMap(({ userMetadata }) => {
    const summary = userMetadata?.summary;
    return summary ? [defaultPayloadConverter.fromPayload<string>(summary)] : [];
  });
  expect(summaries).toEqual(expect.arrayContaining(['attempt 2 of 3', 'retry 2 in 1 s', 'attempt 3 of 3']));
});

test('jitter spreads the waits within its share', async () => {
  const mine = await newAccount();
  for (let index = 0; index < 30; index += 1)
    await mine.newWebhook(`${receiver.url}/503/`, { retry: { schedule_seconds: [1000], jitter: 0.2 } });
  const { deliveries } = await mine.publish();
  const waits: number[] = [];
  for (const { id } of deliveries) waits.push(...waitsOf(await waitForStatus(mine, id, 'retrying', 1)));
  expect(waits).toHaveLength(30);
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(800);
  expect(Math.max(...waits)).toBeLessThanOrEqual(1200);
  expect(new Set(waits).size).toBeGreaterThan(5);
});

const waitsForReceiver = ({ timeline }: Delivery) =>
  timeline.some((entry) => entry.type === 'wait' && entry.reason === 'receiver_requested');

test('a 429 that is retried defers the whole webhook, also a retry that is requested, and no other webhook', async () => {
  const path = '/429/4/whole';
  const { mine, id } = await send(path, { schedule_seconds: [1], also: ['429'] });
  await mine.newWebhook(`${receiver.url}/200/other`);
  expect(waitsOf(await waitForStatus(mine, id, 'retrying', 1))).toEqual([4]);
  changed.set(path, 200);
  const { deliveries } = await mine.publish();
  const [deferred, free] = deliveries.map((each) => each.id);
  await waitForStatus(mine, free ?? '', 'delivered', 1);
  const waiting = await until(() => readDelivery(mine, deferred ?? ''), waitsForReceiver);
  expect(waiting).toMatchObject({ status: 'pending', attempts: [] });
  await attemptNow(mine, id);
  await until(() => readDelivery(mine, id), waitsForReceiver);
  for (const each of [id, deferred ?? '']) await waitForStatus(mine, each, 'delivered');
  const times = receiver.requests.filter((request) => request.path === path).map(({ at }) => at.getTime());
  expect(times).toHaveLength(3);
  for (const at of times.slice(1)) {
    expect(at - (times[0] ?? 0)).toBeGreaterThanOrEqual(4000);
    expect(at - (times[0] ?? 0)).toBeLessThan(10_000);
  }
  for (const each of [id, deferred ?? '']) await expectSameStory(mine, each);
});

test("another URL ends a receiver's deferral; a 429 that is not retried defers nothing", async () => {
  const { mine, webhookId, id } = await send('/429/900/moved', { ...week, also: ['429'] });
  await waitForStatus(mine, id, 'retrying', 1);
  const deferred = await publishOne(mine);
  const { next_attempt_at: at } = await until(() => readDelivery(mine, deferred), waitsForReceiver);
  expect(Date.parse(at ?? '') - Date.now()).toBeGreaterThan(880_000);
  await patch(mine, webhookId, { url: `${receiver.url}/200/moved` });
  await waitForStatus(mine, deferred, 'delivered', 1);

  const last = await send('/429/900/last', { preset: 'none', also: ['429'] });
  await waitForStatus(last.mine, last.id, 'failed', 1);
  const next = await publishOne(last.mine);
  await waitForStatus(last.mine, next, 'failed', 1);
});

test('410 disables the webhook where its policy says so: once, with an event, and its deliveries are held', async () => {
  const mine = await newAccount();
  const path = '/503/gone';
  const { webhook_id: listener } = await mine.newWebhook(`${receiver.url}/200/listens`, {
    events: ['webhook.disabled'],
  });
  const { webhook_id: webhookId } = await mine.newWebhook(receiver.url + path, {
    retry: { ...week, also: ['4xx'], on_gone: 'disable' },
  });
  const waiting = await publishOne(mine);
  await waitForStatus(mine, waiting, 'retrying', 1);
  changed.set(path, 410);
  const gone = await publishOne(mine);
  const failed = await waitForStatus(mine, gone, 'failed', 1);
  expect(failed).toMatchObject({ reason: 'client_error' });
  await waitForStatus(mine, waiting, 'held', 1);
  expect(await readWebhook(mine, webhookId)).toMatchObject({
    active: false,
    auto_disabled: { reason: 'gone', ended: 1, failed: 1, failure_rate: 1 },
  });
  const later = await publishOne(mine);
  expect((await readDelivery(mine, later)).status).toBe('held');
  const events = await until(
    () => receiver.requests.filter(({ path: to }) => to === '/200/listens'),
    ({ length }) => length > 0,
  );
  expect(events.map(({ body }) => JSON.parse(body.toString()) as object)).toEqual([
    expect.objectContaining({
      event: 'webhook.disabled',
      data: { webhook_id: webhookId, reason: 'gone', ended: 1, failed: 1, failure_rate: 1 },
    }),
  ]);
  const audit = await mine.pool.query(
    `select actor, action from audit_records where target = $1 and action = 'webhook.disabled'`,
    [webhookId],
  );
  expect(audit.rows).toEqual([{ actor: 'gone', action: 'webhook.disabled' }]);
  // Its activity runs again after its worker died, when the webhook has been activated.
  changed.set(path, 200);
  expect((await patch(mine, webhookId, { active: true })).body).toMatchObject({ auto_disabled: null });
  const attemptId = failed.attempts[0]?.id ?? '';
  expect(await disableGone(mine.pool, { webhookId, attemptId })).toBe(false);
  await waitForStatus(mine, waiting, 'delivered', 2);
  await waitForStatus(mine, later, 'delivered', 1);
  expect(await readWebhook(mine, webhookId)).toMatchObject({ active: true });
  expect(await readWebhook(mine, listener)).toMatchObject({ active: true });
});

test('50 deliveries at once to a receiver that is gone disable it once', async () => {
  const mine = await newAccount();
  const { webhook_id: webhookId } = await mine.newWebhook(`${receiver.url}/410`, {
    retry: { preset: 'page', on_gone: 'disable' },
  });
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  await mine.call('POST', '/v1/events/batch', { events: Array.from({ length: 50 }, () => event) });
  await until(
    async () => (await readWebhook(mine, webhookId)).active,
    (active) => !active,
  );
  await until(
    async () => {
      const { rows } = await mine.pool.query<{ count: number }>(
        `select count(*)::int as count from deliveries where webhook_id = $1 and status not in ('failed', 'held')`,
        [webhookId],
      );
      return rows[0]?.count;
    },
    (count) => count === 0,
  );
  const audit = await mine.pool.query(
    `select 1 from audit_records where target = $1 and action = 'webhook.disabled'`,
    [webhookId],
  );
  expect(audit.rowCount).toBe(1);
});

test(
  'a new policy is for new deliveries; apply_to gives it to those that wait',
  { timeout: 120_000 },
  async () => {
    const { mine, webhookId, id } = await send('/503/applied', null);
    await waitForStatus(mine, id, 'retrying', 1);
    expect((await patch(mine, webhookId, { retry: { schedule_seconds: [11, 12] } })).status).toBe(200);
    const other = await publishOne(mine);
    expect(waitsOf(await waitForStatus(mine, other, 'retrying', 1))).toEqual([11]);
    // It keeps its own.
    await attemptNow(mine, id);
    expect(waitsOf(await waitForStatus(mine, id, 'retrying', 2))).toEqual([60, 300]);
    const applied = { retry: { schedule_seconds: [21, 22, 23, 24] }, apply_to: 'waiting' };
    expect((await patch(mine, webhookId, applied)).body.retry).toEqual(applied.retry);
    // The wait under way stays; the waits that were used count.
    expect(waitsOf(await readDelivery(mine, id))).toEqual([60, 300]);
    await attemptNow(mine, id);
    expect(waitsOf(await waitForStatus(mine, id, 'retrying', 3))).toEqual([60, 300, 23]);
    // A change that is not applied concerns neither of them.
    await patch(mine, webhookId, { retry: { preset: 'none' } });
    await attemptNow(mine, id);
    expect(waitsOf(await waitForStatus(mine, id, 'retrying', 4))).toEqual([60, 300, 23, 24]);
    await attemptNow(mine, other);
    expect(waitsOf(await waitForStatus(mine, other, 'retrying', 2))).toEqual([11, 22]);
    const last = await publishOne(mine);
    expect(await waitForStatus(mine, last, 'failed', 1)).toMatchObject({ reason: 'retries_exhausted' });
    // The setting, applied.
    expect((await patch(mine, webhookId, { retry: null, apply_to: 'waiting' })).body.retry).toEqual({
      preset: 'page',
    });
    await attemptNow(mine, other);
    expect(waitsOf(await waitForStatus(mine, other, 'retrying', 3))).toEqual([11, 22, 1800]);
    // No wait is left.
    await patch(mine, webhookId, { retry: { schedule_seconds: [1, 1] }, apply_to: 'waiting' });
    await attemptNow(mine, other);
    expect(await waitForStatus(mine, other, 'failed', 4)).toMatchObject({ reason: 'retries_exhausted' });
    // A delivery that starts again has the webhook's schedule of that moment, not the one that was applied before.
    await patch(mine, webhookId, { retry: { schedule_seconds: [31] } });
    await attemptNow(mine, other);
    expect(waitsOf(await waitForStatus(mine, other, 'retrying', 5)).at(-1)).toBe(31);
    for (const each of [id, other]) await expectSameStory(mine, each);
  },
);

test('a delivery that waits by its own schedule is canceled, rescheduled, held and released, and then continues', async () => {
  const retry = { schedule_seconds: [600, 700] };
  const canceled = await send('/503', retry);
  await waitForStatus(canceled.mine, canceled.id, 'retrying', 1);
  await canceled.mine.call('POST', `/v1/deliveries/${canceled.id}/cancel`);
  await waitForStatus(canceled.mine, canceled.id, 'canceled', 1);

  const { mine, id } = await send('/503', retry);
  await waitForStatus(mine, id, 'retrying', 1);
  const next_attempt_at = new Date(Date.now() + 1500).toISOString();
  expect((await mine.call('PATCH', `/v1/deliveries/${id}`, { next_attempt_at })).status).toBe(200);
  expect(waitsOf(await waitForStatus(mine, id, 'retrying', 2))).toEqual([600, 700]);

  const held = await send('/503', retry);
  await waitForStatus(held.mine, held.id, 'retrying', 1);
  await patch(held.mine, held.webhookId, { active: false });
  await waitForStatus(held.mine, held.id, 'held', 1);
  // Applied while it is held.
  await patch(held.mine, held.webhookId, { retry: { schedule_seconds: [1, 900] }, apply_to: 'waiting' });
  const inactive = await publishOne(held.mine);
  await patch(held.mine, held.webhookId, { active: true });
  expect(waitsOf(await waitForStatus(held.mine, held.id, 'retrying', 2))).toEqual([600, 900]);
  expect(waitsOf(await waitForStatus(held.mine, inactive, 'retrying', 2))).toEqual([1, 900]);
});

test('every source of deliveries gives them the schedule of the webhook', async () => {
  const mine = await newAccount();
  await mine.publish();
  const { webhook_id: webhookId } = await mine.newWebhook(`${receiver.url}/503`, {
    retry: { schedule_seconds: [41] },
  });
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  await mine.call('POST', '/v1/events/batch', { events: [event, event] });
  await mine.call('POST', `/v1/webhooks/${webhookId}/recover`, { since: '2020-01-01T00:00:00Z' });
  const { webhook_id: operational } = await mine.newWebhook(`${receiver.url}/503/`, {
    events: ['delivery.failed'],
    retry: { schedule_seconds: [42] },
  });
  await mine.newWebhook(`${receiver.url}/404`, { events: ['document.*'] });
  await mine.publish();
  const rows = await until(
    async () =>
      (
        await mine.pool.query<{ webhookId: string; schedule: number[]; waits: number[] }>(
          `select webhook_id as "webhookId", schedule,
             array(select wait_seconds from attempts a where a.delivery_id = d.id) as waits
           from deliveries d where webhook_id = any($1) and status = 'retrying'`,
          [[webhookId, operational]],
        )
      ).rows,
    ({ length }) => length === 5,
  );
  for (const { webhookId: of, schedule, waits } of rows) {
    expect(schedule).toEqual([of === webhookId ? 41 : 42]);
    expect(waits).toEqual(schedule);
  }
});

test('PUT replaces the policy: fields that it leaves out have their defaults again', async () => {
  const mine = await newAccount();
  const url = `${receiver.url}/503/put`;
  const put = (body: object) =>
    mine.call<Webhook>('PUT', '/v1/webhooks/mine', { url, events: ['document.*'], ...body });
  expect((await put({ retry: { preset: 'day', jitter: 0.1 } })).body.retry).toEqual({
    preset: 'day',
    jitter: 0.1,
  });
  expect((await put({})).body.retry).toEqual({ preset: 'page' });
  const id = await publishOne(mine);
  expect(waitsOf(await waitForStatus(mine, id, 'retrying', 1))).toEqual([60]);
  expect((await put({ retry: { schedule_seconds: [9] } })).body.retry).toEqual({ schedule_seconds: [9] });
  // A change of another field leaves it.
  const { body } = await mine.call<{ data: Webhook[] }>('GET', '/v1/webhooks');
  await patch(mine, body.data[0]?.webhook_id ?? '', { description: 'x' });
  const other = await publishOne(mine);
  expect(waitsOf(await waitForStatus(mine, other, 'retrying', 1))).toEqual([9]);
});

test('in a burst to mixed policies each delivery has its own, and one that may not share is in no group', async () => {
  const mine = await newAccount();
  const policies: [string, Record<string, unknown>, string, number[]][] = [
    ['/503/', {}, 'retrying', [60]],
    ['/503/', { retry: { preset: 'day' } }, 'retrying', [5]],
    ['/503/', { retry: { preset: 'none' } }, 'failed', []],
    ['/503/', { retry: { schedule_seconds: [77] } }, 'retrying', [77]],
    ['/429/', { retry: { preset: 'three_days', also: ['429'] } }, 'retrying', [5]],
    ['/410', { retry: { preset: 'day', on_gone: 'disable' } }, 'failed', []],
    ['/200', { retry: { preset: 'week' } }, 'delivered', []],
    ['/200', { timeout_ms: 10_000 }, 'delivered', []],
    ['/200', { timeout_ms: 10_001 }, 'delivered', []],
    ['/503/', { timeout_ms: 30_000, retry: { schedule_seconds: [99] } }, 'retrying', [99]],
  ];
  const ids = new Map<string, (typeof policies)[number]>();
  for (const policy of policies)
    ids.set((await mine.newWebhook(receiver.url + policy[0], policy[1])).webhook_id, policy);
  // More at once than are started each by itself.
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  const { body } = await mine.call<{
    data: { deliveries: { id: string; webhook_id: string }[] }[];
  }>('POST', '/v1/events/batch', { events: Array.from({ length: 20 }, () => event) });
  const deliveries = body.data.flatMap((accepted) => accepted.deliveries);
  expect(deliveries).toHaveLength(200);
  let grouped = 0;
  for (const { id, webhook_id: webhookId } of deliveries) {
    const [path, more, status, waits] = ids.get(webhookId) ?? [];
    // Its webhook is disabled by the first ones.
    if (path === '/410') continue;
    const delivery = await until(
      () => readDelivery(mine, id),
      (now) => now.status === status,
    );
    // The shortest wait may be over by now.
    expect(waitsOf(delivery).slice(0, 1)).toEqual(waits);
    const { rows } = await mine.pool.query<{ entry: { workflow_id?: string } }>(
      `select jsonb_array_elements(timeline) as entry from deliveries where id = $1`,
      [id],
    );
    const isGrouped = rows.some(({ entry }) => isGroupId(entry.workflow_id ?? ''));
    if (isGrouped) grouped += 1;
    if (Number(more?.['timeout_ms'] ?? 0) > 10_000) expect(isGrouped).toBe(false);
  }
  if (mine.env['FLTR_DELIVERIES_PER_WORKFLOW'] !== '1') expect(grouped).toBeGreaterThan(0);
});

test('a failed delivery that a recovery sends again has the schedule that its webhook has now', async () => {
  const account = await openAccount(shared);
  const webhookId = await account.newWebhook(`${receiver.url}/503/`, { retry: { preset: 'none' } });
  await account.publish(1);
  const read = async () =>
    (
      await shared.pool.query<{ status: string; schedule: number[]; waits: (number | null)[] }>(
        `select status, schedule, array(select wait_seconds from attempts a where a.delivery_id = d.id order by number) as waits
         from deliveries d where webhook_id = $1`,
        [webhookId],
      )
    ).rows[0];
  await until(read, (row) => row?.status === 'failed');
  await account.call('PATCH', `/v1/webhooks/${webhookId}`, { retry: { schedule_seconds: [51] } });
  await account.recover(webhookId, { since: '2020-01-01T00:00:00Z' });
  const row = await until(read, (now) => now?.status === 'retrying');
  expect(row).toEqual({ status: 'retrying', schedule: [51], waits: [null, 51] });
});
