import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { startService, stopAll, type ApiResponse, type Service } from '../kit/service.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver((request, response) => {
    const waitMs = Number(/wait=(\d+)/.exec(request.path)?.[1] ?? 0);
    setTimeout(() => response.end('ok'), waitMs);
  });
  service = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '', FLTR_DELIVERIES_PER_WORKFLOW: '1' });
});
afterAll(() => stopAll(service, receiver));

type Problem = { code: string; errors: { pointer: string; message: string }[] };
const create = (more: Record<string, unknown>) =>
  service.call<Webhook & Problem>('POST', '/v1/webhooks', {
    url: `${receiver.url}/headers`,
    events: ['document.deleted'],
    ...more,
  });
const patch = (id: string, change: Record<string, unknown>) =>
  service.call<Webhook & Problem>('PATCH', `/v1/webhooks/${id}`, change);
const namesOf = ({ body }: ApiResponse<Webhook>) => Object.keys(body.headers).sort();
const pointersOf = ({ status, body }: ApiResponse<Problem>) => [
  status,
  body.errors?.map(({ pointer }) => pointer),
];

/** The headers of the next request to the webhook. */
async function received(webhookId: string) {
  const count = receiver.requests.length;
  const { deliveries } = await service.publish();
  const delivery = deliveries.find((each) => each.webhook_id === webhookId);
  const { attempts } = await waitForStatus(service, delivery?.id ?? '', 'delivered');
  const request = receiver.requests
    .slice(count)
    .find(({ headers }) => headers['x-fltr-delivery'] === attempts[0]?.id);
  return { headers: request?.headers ?? {}, attempt: attempts[0] };
}

describe('headers', () => {
  test('are sent with every request, shown as set, and changed one by one', async () => {
    const created = await create({ headers: { 'X-Api-Key': 'key-1', 'X-Tenant': 'acme' } });
    expect(created.status).toBe(201);
    expect(created.body.headers).toEqual({ 'X-Api-Key': { set: true }, 'X-Tenant': { set: true } });
    const id = created.body.webhook_id;
    const first = await received(id);
    expect(first.headers).toMatchObject({ 'x-api-key': 'key-1', 'x-tenant': 'acme' });
    expect(Object.keys(first.attempt?.request.headers ?? {})).not.toContain('X-Api-Key');
    expect(JSON.stringify(first.attempt)).not.toContain('key-1');

    expect(namesOf(await patch(id, { headers: { 'x-api-key': 'key-2', 'X-More': 'm' } }))).toEqual([
      'X-More',
      'X-Tenant',
      'x-api-key',
    ]);
    expect((await received(id)).headers).toMatchObject({
      'x-api-key': 'key-2',
      'x-tenant': 'acme',
      'x-more': 'm',
    });
    expect(namesOf(await patch(id, { headers: { 'X-MORE': null, 'X-Unknown': null } }))).toEqual([
      'X-Tenant',
      'x-api-key',
    ]);
    // Another change leaves them.
    expect(namesOf(await patch(id, { description: 'changed' }))).toEqual(['X-Tenant', 'x-api-key']);
    const test = await service.call<{ attempt: { outcome: string } }>('POST', '/v1/webhooks/test', {
      webhook_id: id,
      event: 'document.deleted',
    });
    expect(test.body.attempt.outcome).toBe('delivered');
    expect(receiver.requests.at(-1)?.headers).toMatchObject({ 'x-api-key': 'key-2', 'x-fltr-test': 'true' });
    expect(namesOf(await patch(id, { headers: null }))).toEqual([]);
    expect((await received(id)).headers['x-api-key']).toBeUndefined();
    await service.call('DELETE', `/v1/webhooks/${id}`);
    const { rows } = await service.pool.query(
      `select header_names, sealed_headers from webhooks where id = $1`,
      [id],
    );
    expect(rows).toEqual([{ header_names: [], sealed_headers: null }]);
  });

  test('a replaced webhook has the headers of the last body alone', async () => {
    const put = (headers?: Record<string, string>) =>
      service.call<Webhook>('PUT', '/v1/webhooks/with-headers', {
        url: `${receiver.url}/put`,
        events: ['dataset.*'],
        ...(headers && { headers }),
      });
    expect(namesOf(await put({ 'X-A': '1', 'X-B': '2' }))).toEqual(['X-A', 'X-B']);
    expect(namesOf(await put({ 'X-B': '3' }))).toEqual(['X-B']);
    expect(namesOf(await put())).toEqual([]);
  });

  test('reserved ones, too many and too large ones are refused; at the limits they are accepted', async () => {
    const reserved = await create({
      headers: { Host: 'a', 'X-FLTR-Event': 'b', 'webhook-id': 'c', 'X-Fine': 'd', 'Content-Type': 'e' },
    });
    expect(pointersOf(reserved)).toEqual([
      422,
      ['/headers/Host', '/headers/X-FLTR-Event', '/headers/webhook-id', '/headers/Content-Type'],
    ]);
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`X-H-${index}`, 'v']));
    const full = await create({ headers: many });
    expect(full.status).toBe(201);
    const { webhook_id: id } = full.body;
    expect(pointersOf(await create({ headers: { ...many, 'X-H-20': 'v' } }))).toEqual([422, ['/headers']]);
    // The change is judged by its result.
    expect(pointersOf(await patch(id, { headers: { 'X-H-20': 'v' } }))).toEqual([422, ['/headers']]);
    expect((await patch(id, { headers: { 'X-H-20': 'v', 'X-H-0': null } })).status).toBe(200);
    expect(namesOf(await service.call<Webhook>('GET', `/v1/webhooks/${id}`))).toHaveLength(20);
    const large = (size: number) => ({ 'X-L': 'v'.repeat(size - 'X-L: \r\n'.length) });
    expect((await create({ headers: large(8192) })).status).toBe(201);
    expect(pointersOf(await create({ headers: large(8193) }))).toEqual([422, ['/headers']]);
    const odd = await create({ headers: { 'X-A': 'secret\r\nvalue' } });
    expect(odd.text).not.toContain('secret');
    expect(odd.status).toBe(422);
  });

  test('two changes at once lose neither', async () => {
    const { webhook_id: id } = (await create({ headers: { 'X-0': 'v' } })).body;
    const changes = Array.from({ length: 10 }, (_, index) =>
      patch(id, { headers: { [`X-${index + 1}`]: 'v' } }),
    );
    expect((await Promise.all(changes)).map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(namesOf(await service.call<Webhook>('GET', `/v1/webhooks/${id}`))).toHaveLength(11);
  });
});

describe('timeout_ms', () => {
  test('is the limit of each attempt, and of test events', async () => {
    const short = await create({ url: `${receiver.url}/slow?wait=1800`, timeout_ms: 1000 });
    const long = await create({ url: `${receiver.url}/slow?wait=5500`, timeout_ms: 7000 });
    expect([short.body.timeout_ms, long.body.timeout_ms]).toEqual([1000, 7000]);
    const { deliveries } = await service.publish();
    const idOf = (webhookId: string) => deliveries.find((each) => each.webhook_id === webhookId)?.id ?? '';
    const failed = await waitForStatus(service, idOf(short.body.webhook_id), 'failed');
    expect(failed.attempts[0]?.error?.code).toBe('timeout_response');
    expect(failed.attempts[0]?.duration_ms).toBeGreaterThanOrEqual(995);
    expect(failed.attempts[0]?.duration_ms).toBeLessThan(1700);
    const done = await waitForStatus(service, idOf(long.body.webhook_id), 'delivered');
    expect(done.attempts[0]?.duration_ms).toBeGreaterThan(5400);
    const tested = await service.call<{ attempt: { error: { code: string } } }>('POST', '/v1/webhooks/test', {
      webhook_id: short.body.webhook_id,
      event: 'document.deleted',
    });
    expect(tested.body.attempt.error.code).toBe('timeout_response');
    // Changed: the receiver is quick enough for the setting.
    expect((await patch(short.body.webhook_id, { timeout_ms: null })).body.timeout_ms).toBeNull();
    await service.call('DELETE', `/v1/webhooks/${long.body.webhook_id}`);
    const again = await service.publish();
    const second = again.deliveries.find((each) => each.webhook_id === short.body.webhook_id);
    await waitForStatus(service, second?.id ?? '', 'delivered');
    await service.call('DELETE', `/v1/webhooks/${short.body.webhook_id}`);
  });

  test.each([
    [999, 422],
    [1000, 201],
    [30_000, 201],
    [30_001, 422],
    [1000.5, 422],
    ['5000', 422],
  ])('%j: %d', async (timeout, status) => {
    const created = await create({ timeout_ms: timeout });
    expect(created.status).toBe(status);
    if (status === 422) expect(pointersOf(created)).toEqual([422, ['/timeout_ms']]);
    else await service.call('DELETE', `/v1/webhooks/${created.body.webhook_id}`);
  });
});
