import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { everyItem, FltrWebhooks, FltrWebhooksError } from '../../src/client/index.ts';
import { startReceiver } from '../kit/test-receiver.ts';
import { startService, until, type Service } from '../kit/service.ts';

let service: Service;
let client: FltrWebhooks;
beforeAll(async () => {
  service = await startService();
  client = new FltrWebhooks({ url: service.apiUrl, apiKey: service.key });
});
afterAll(() => service.stop());

const deletion = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } } as const;
const openApi = JSON.parse(readFileSync(new URL('../../src/api/openapi.json', import.meta.url), 'utf8')) as {
  paths: Record<string, Record<string, { operationId?: string; requestBody?: unknown }>>;
};

/** The requests of the client, to a server that responds to each with the next of `responses`. */
async function sent(
  run: (client: FltrWebhooks) => Promise<unknown>,
  responses: ({ status: number; headers?: Record<string, string>; body?: string } | 'none')[] = [],
) {
  let number = 0;
  const server = await startReceiver((_request, response) => {
    const next = responses[number] ?? { status: 200 };
    number += 1;
    if (next === 'none') response.destroy();
    else response.writeHead(next.status, next.headers).end(next.body ?? '{}');
  });
  try {
    const outcome = await run(new FltrWebhooks({ url: server.url, apiKey: 'the-key' })).then(
      (value) => ({ value, error: null }),
      (error: unknown) => ({ value: null, error }),
    );
    return { ...outcome, requests: server.requests };
  } finally {
    await server.close();
  }
}

test('each call of the OpenAPI document is a method of its name, and sends the documented request', async () => {
  const operations = Object.entries(openApi.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { operationId, requestBody }]) =>
      operationId === undefined ? [] : [{ path, method, operationId, hasBody: requestBody !== undefined }],
    ),
  );
  expect(operations.length).toBeGreaterThan(20);
  const names = Object.getOwnPropertyNames(FltrWebhooks.prototype).filter(
    // An export is a list with another header.
    (name) => name !== 'constructor' && !name.startsWith('export'),
  );
  expect(names.sort()).toEqual(operations.map(({ operationId }) => operationId).sort());
  for (const { path, method, operationId, hasBody } of operations) {
    const parameters = [...(path.includes('{') ? ['x/y'] : []), ...(hasBody ? [bodyFor(operationId)] : [])];
    const { requests } = await sent(async (each) => {
      const call = each[operationId as keyof FltrWebhooks] as (...args: unknown[]) => unknown;
      const returned = call.apply(each, parameters) as Promise<unknown> | AsyncGenerator;
      // A stream sends its request when it is read.
      return Symbol.asyncIterator in returned ? returned.next() : returned;
    });
    const [request] = requests;
    expect([operationId, requests.length]).toEqual([operationId, 1]);
    expect(request?.path).toBe(path.replace(/\{\w+\}/, 'x%2Fy'));
    expect(request?.headers.authorization).toBe('Bearer the-key');
    expect([operationId, (request?.body.length ?? 0) > 0]).toEqual([operationId, hasBody]);
    expect([operationId, request?.method]).toEqual([operationId, method.toUpperCase()]);
  }
});

const bodyFor = (operationId: string): unknown =>
  operationId === 'publishEvents' ? [deletion] : operationId === 'publishEvent' ? deletion : { active: true };

test('an event is published, delivered, and found; lists continue page after page', async () => {
  const receiver = await startReceiver();
  const webhook = await client.createWebhook({ url: receiver.url, events: ['*'] });
  const { id, deliveries } = await client.publishEvent(deletion);
  expect(deliveries.map(({ webhook_id }) => webhook_id)).toEqual([webhook.webhook_id]);
  const [delivery] = deliveries;
  await until(
    () => client.getDelivery(delivery?.id ?? ''),
    ({ status }) => status === 'delivered',
  );
  expect(receiver.requests.map(({ headers }) => headers['webhook-id'])).toEqual([id]);
  expect((await client.getEvent(id)).data).toEqual(deletion.data);

  const batch = await client.publishEvents([deletion, deletion, { ...deletion, id }]);
  expect(batch.data.map(({ status }) => status)).toEqual([202, 202, 202]);
  const listed: string[] = [];
  for await (const event of everyItem((page) => client.listEvents({ limit: 1, ...page })))
    listed.push(event.id);
  expect(listed).toHaveLength(3);
  expect(new Set(listed).size).toBe(3);

  await client.deleteWebhook(webhook.webhook_id);
  await receiver.close();
});

test('a refusal names the field, its pointer and the reason, and is not sent again', async () => {
  const refused = client.createWebhook({ url: 'ftp://example.com', events: ['*'] });
  const error = await refused.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(FltrWebhooksError);
  const { status, code, errors, message, requestId } = error as FltrWebhooksError;
  expect([status, code, errors[0]?.pointer]).toEqual([422, 'validation_failed', '/url']);
  // The message has each fault once.
  expect(message).toContain(errors[0]?.message);
  expect(message.split(errors[0]?.message ?? '')).toHaveLength(2);
  expect(requestId).toMatch(/^req_/);
  const { requests } = await sent((each) => each.getWebhook('wh_1'), [{ status: 404 }]);
  expect(requests).toHaveLength(1);
});

test('an event that got no response is published again under the same id', async () => {
  const { requests, error } = await sent((each) => each.publishEvent(deletion), ['none', 'none']);
  expect(error).toBeNull();
  expect(requests).toHaveLength(3);
  const ids = requests.map(({ body }) => (JSON.parse(body.toString()) as { id: string }).id);
  expect(ids[0]).toMatch(/^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
  expect(new Set(ids).size).toBe(1);
});

test('a webhook is created under one Idempotency-Key, however often it is requested', async () => {
  const { requests } = await sent(
    (each) => each.createWebhook({ url: 'http://localhost', events: ['*'] }),
    ['none'],
  );
  const keys = requests.map(({ headers }) => headers['idempotency-key']);
  expect(keys).toHaveLength(2);
  expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
  expect(keys[1]).toBe(keys[0]);
});

test('a call that may have succeeded, and must not be repeated, is not sent again', async () => {
  const { requests, error } = await sent((each) => each.retryDelivery('dlv_1'), ['none']);
  expect(requests).toHaveLength(1);
  expect(error).toMatchObject({ name: 'FltrWebhooksError', status: 0, code: 'no_response' });
});

test('after 429 and 503 the client waits for Retry-After, and sends again', async () => {
  const later = { status: 503, headers: { 'retry-after': '1' } };
  const { requests, error } = await sent(
    (each) => each.retryDelivery('dlv_1'),
    [later, { ...later, status: 429 }],
  );
  expect(error).toBeNull();
  expect(requests).toHaveLength(3);
  const [first, second] = requests;
  expect((second?.at.getTime() ?? 0) - (first?.at.getTime() ?? 0)).toBeGreaterThanOrEqual(990);
});

test('it gives up after its retries, with an error', async () => {
  const { requests, error } = await sent(
    (each) => each.listEvents(),
    Array.from({ length: 9 }, () => 'none' as const),
  );
  expect(requests).toHaveLength(4);
  expect(error).toMatchObject({ code: 'no_response' });
});

test('a redirect is not followed: the key goes nowhere else', async () => {
  const other = await startReceiver();
  const { error } = await sent(
    (each) => each.listEvents(),
    Array.from({ length: 4 }, () => ({ status: 302, headers: { location: other.url } })),
  );
  expect(error).toMatchObject({ code: 'no_response' });
  expect(other.requests).toEqual([]);
  await other.close();
});

test('a response that is not one of the service is reported as such', async () => {
  const page = { status: 200, body: '<html>' };
  expect((await sent((each) => each.listEvents(), [page])).error).toMatchObject({
    code: 'malformed_response',
  });
  const gateway = { status: 502, body: '<html>' };
  expect((await sent((each) => each.listEvents(), [gateway])).error).toMatchObject({
    status: 502,
    code: 'unexpected_response',
  });
});
