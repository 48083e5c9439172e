import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { readDelivery, waitForStatus, workflowStatus } from '../kit/delivery-steps.ts';
import { makeCertificate, startRawReceiver, startReceiver } from '../kit/raw-receiver.ts';
import { startService, until, type Service } from '../kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({ FLTR_ATTEMPT_TIMEOUT_MS: '2000', FLTR_RETRY_SCHEDULE_SECONDS: '600' });
});
afterAll(() => service.stop());

const respondWith =
  (status: number, headers: Record<string, string> = {}) =>
  async () => {
    const listener: RequestListener = (_request, response) => response.writeHead(status, headers).end('body');
    return (await startReceiver(listener)).origin;
  };
const raw = (onBytes: (socket: Socket) => void) => async () =>
  (await startRawReceiver((socket) => socket.once('data', () => onBytes(socket)))).origin;

type Row = [string, () => Promise<string>, 'delivered' | 'failed' | 'retrying', number | null, string | null];
const rows: Row[] = [
  ['200', respondWith(200), 'delivered', 200, null],
  ['204', respondWith(204), 'delivered', 204, null],
  ['299', respondWith(299), 'delivered', 299, null],
  ['301', respondWith(301, { location: 'https://example.com/' }), 'retrying', 301, 'redirect'],
  ['302', respondWith(302, { location: 'https://example.com/' }), 'retrying', 302, 'redirect'],
  ['400', respondWith(400), 'failed', 400, 'client_error'],
  ['404', respondWith(404), 'failed', 404, 'client_error'],
  ['410', respondWith(410), 'failed', 410, 'client_error'],
  ['429', respondWith(429, { 'retry-after': '1' }), 'failed', 429, 'client_error'],
  ['500', respondWith(500), 'retrying', 500, 'server_error'],
  ['503 with Retry-After', respondWith(503, { 'retry-after': '900' }), 'retrying', 503, 'server_error'],
  ['no response', raw(() => undefined), 'retrying', null, 'timeout_response'],
  [
    'dripping headers',
    raw((socket) => {
      const timer = setInterval(() => socket.write('x'), 100);
      socket.write('HTTP/1.1 200 OK\r\nA: ');
      socket.on('close', () => clearInterval(timer));
    }),
    'retrying',
    null,
    'timeout_response',
  ],
  [
    'an endless body',
    raw((socket) => {
      const timer = setInterval(() => socket.write('x'.repeat(100)), 20);
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.on('close', () => clearInterval(timer));
    }),
    'delivered',
    200,
    null,
  ],
  [
    'a body of 1 GB',
    raw((socket) => {
      const chunk = Buffer.alloc(65_536, 'x');
      const push = (): void => {
        while (!socket.destroyed && socket.write(chunk));
      };
      socket.on('drain', push);
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n');
      push();
    }),
    'delivered',
    200,
    null,
  ],
  ['a reset', raw((socket) => socket.resetAndDestroy()), 'retrying', null, 'connection_reset'],
  [
    'a connection refused',
    async () => `http://127.0.0.1:${await reservePort()}`,
    'retrying',
    null,
    'connection_refused',
  ],
  [
    'an unknown host',
    () => Promise.resolve('https://does-not-exist.invalid'),
    'retrying',
    null,
    'dns_not_found',
  ],
  [
    'a bad certificate',
    async () =>
      (await startReceiver((_request, response) => response.end(), makeCertificate(['localhost']))).origin,
    'retrying',
    null,
    'tls_certificate',
  ],
  [
    'a length twice',
    raw((socket) => {
      const length = 'Content-Length: 2\r\n';
      socket.write(`HTTP/1.1 200 OK\r\nX-A: b\r\n${length}${length}\r\nok`);
    }),
    'retrying',
    200,
    'malformed_response',
  ],
  [
    'garbage instead of HTTP',
    raw((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')),
    'retrying',
    null,
    'malformed_response',
  ],
];

test.each(rows)('%s', async (_name, target, status, statusCode, errorCode) => {
  const { accountId, key } = await service.newAccount();
  const mine = { ...service, accountId, key, call: service.call };
  const { call } = await import('../kit/service.ts');
  mine.call = (method, path, body, headers) => call(service.apiUrl, key, method, path, body, headers);
  await mine.call('POST', '/v1/webhooks', { url: `${await target()}/events`, events: ['*'] });
  const { body } = await mine.call<{ deliveries: { id: string }[] }>('POST', '/v1/events', {
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
  });
  const id = body.deliveries[0]?.id ?? '';
  const delivery = await waitForStatus(mine, id, status);
  const [attempt] = delivery.attempts;
  expect(delivery.attempts).toHaveLength(1);
  // A name server that is away gives another code for a name that cannot exist.
  const codes = errorCode === 'dns_not_found' ? ['dns_not_found', 'dns_failure', 'timeout_dns'] : [errorCode];
  expect(codes).toContain(attempt?.error?.code ?? null);
  expect(attempt).toMatchObject({
    number: 1,
    status_code: statusCode,
    outcome: status === 'retrying' ? 'retry' : status,
  });
  if (status === 'retrying') {
    const endedAt = Date.parse(attempt?.started_at ?? '') + (attempt?.duration_ms ?? 0);
    const seconds = statusCode === 503 ? 900 : 600;
    expect(Date.parse(delivery.next_attempt_at ?? '') - endedAt).toBe(seconds * 1000);
    expect(delivery.timeline.at(-1)).toMatchObject({
      type: 'wait',
      seconds,
      until: delivery.next_attempt_at,
    });
    expect(await mine.call('POST', `/v1/deliveries/${id}/cancel`)).toMatchObject({ status: 202 });
    await waitForStatus(mine, id, 'canceled');
  } else {
    expect(delivery.reason).toBe(status === 'failed' ? 'client_error' : null);
    expect(await workflowStatus(mine, id)).toBe(status === 'failed' ? 'FAILED' : 'COMPLETED');
  }
  if (attempt?.response) expect(Buffer.byteLength(attempt.response.body)).toBeLessThanOrEqual(16_384);
});

test('of a response that is not valid HTTP the log has the reason, the status and the headers', async () => {
  const { origin } = await startRawReceiver((socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: two\r\n\r\nok'));
  });
  const { webhook_id: webhookId } = await service.newWebhook(origin);
  onTestFinished(async () => void (await service.call('DELETE', `/v1/webhooks/${webhookId}`)));
  const { deliveries } = await service.publish();
  const delivery = await waitForStatus(service, deliveries[0]?.id ?? '', 'retrying');
  const expected = {
    status_code: 200,
    error: {
      code: 'malformed_response',
      message: 'The response is not valid HTTP: Invalid character in Content-Length.',
    },
    response: { headers: { 'x-a': 'b', 'content-length': 'two' }, body: '', truncated: true },
  };
  expect(delivery.attempts).toMatchObject([expected]);
  // It is no 200.
  expect(delivery.timeline).toContainEqual(expect.objectContaining({ type: 'attempt', status_code: null }));
  const log = await service.call<{ data: { last_status_code: number | null }[] }>(
    'GET',
    `/v1/deliveries?webhook_id=${webhookId}`,
  );
  expect(log.body.data).toMatchObject([{ last_status_code: null, last_error_code: 'malformed_response' }]);
  const tested = await service.call<{ attempt: object }>('POST', '/v1/webhooks/test', {
    webhook_id: webhookId,
    event: 'document.deleted',
  });
  expect(tested.body.attempt).toMatchObject({ ...expected, outcome: 'failed' });
});

test('the guard refuses an address at the attempt too: failed at once, blocked_address', async () => {
  const { webhook_id: webhookId } = await service.newWebhook('https://example.com/');
  // As a name whose address changed after the webhook was created.
  await service.pool.query(`update webhooks set url = 'https://10.0.0.1/' where id = $1`, [webhookId]);
  const { deliveries } = await service.publish();
  const delivery = await waitForStatus(service, deliveries[0]?.id ?? '', 'failed');
  expect(delivery).toMatchObject({
    reason: 'blocked_address',
    attempts: [{ outcome: 'failed', error: { code: 'blocked_address' } }],
  });
  expect(await workflowStatus(service, delivery.id)).toBe('FAILED');
});

test('a 2xx that comes late, but within the limit, is delivered', async () => {
  const { origin } = await startReceiver((_request, response) => void delay(400).then(() => response.end()));
  const { accountId } = service;
  await service.pool.query(
    `update webhooks set deleted_at = now(), sealed_secret = null where account_id = $1`,
    [accountId],
  );
  await service.newWebhook(origin);
  const { deliveries } = await service.publish();
  await until(
    () => readDelivery(service, deliveries[0]?.id ?? ''),
    ({ status }) => status === 'delivered',
  );
});
