import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verify } from '../../src/client/verify.ts';
import type { Delivery } from '../../src/contracts/delivery.ts';
import { eventTypeExamples } from '../../src/contracts/event-types.ts';
import { requestFormats, type RequestFormat } from '../../src/contracts/webhook-format.ts';
import { runInProcess } from '../kit/command.ts';
import { startProcess } from '../kit/process.ts';
import { startReceiver, type Received, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

/** Requests under another name and in other formats, as receivers, the log and the commands see them. */
const custom = {
  FLTR_HEADER_PREFIX: 'X-Acme-',
  FLTR_USER_AGENT: 'Acme Webhooks/2 (+https://acme.example)',
  FLTR_RETRY_SCHEDULE_SECONDS: '600,600,600',
};
let service: Service;
let receiver: Receiver;
/** By path. */
const statuses = new Map<string, number>();
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService(custom),
    startReceiver(({ path }, response) => response.writeHead(statuses.get(path) ?? 200).end('ok')),
  ]);
});
afterAll(() => stopAll(service, receiver));

const requestsTo = (path: string, count: number): Promise<Received[]> =>
  until(
    () => receiver.requests.filter((request) => request.path === path),
    ({ length }) => length >= count,
  );

const readDelivery = async (id: string): Promise<Delivery> =>
  (await service.call<Delivery>('GET', `/v1/deliveries/${id}`)).body;

/** The delivery, once it has so many attempts. */
const withAttempts = (id: string, count: number): Promise<Delivery> =>
  until(
    () => readDelivery(id),
    ({ attempts }) => attempts.length >= count,
  );

/** Headers that HTTP itself adds. */
const ofHttp = ['host', 'connection', 'content-length'];

/** The log's headers and the signatures are all that came, under the names that came. */
function expectLogged(
  attempt: Delivery['attempts'][number] | undefined,
  received: Received | undefined,
): void {
  const headers = Object.entries(attempt?.request.headers ?? {});
  expect(received?.headers).toMatchObject(
    Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])),
  );
  const names = [...headers.map(([name]) => name), ...(attempt?.request.signature_headers ?? [])];
  expect(names.map((name) => name.toLowerCase()).sort()).toEqual(
    Object.keys(received?.headers ?? {})
      .filter((name) => !ofHttp.includes(name))
      .sort(),
  );
  expect(attempt?.request.body_bytes).toBe(received?.body.length);
}

test('receivers and the log have the own prefix and user agent, for deliveries and test events', async () => {
  const { webhook_id, secret } = await service.newWebhook(`${receiver.url}/named`);
  const { id, deliveries } = await service.publish();
  const [received] = await requestsTo('/named', 1);
  expect(received?.headers).toMatchObject({
    'x-acme-event': 'document.deleted',
    'x-acme-delivery': expect.stringMatching(/^att_/) as string,
    'x-acme-signature': expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    'user-agent': custom.FLTR_USER_AGENT,
    'webhook-id': id,
  });
  expect(Object.keys(received?.headers ?? {}).filter((name) => name.includes('fltr'))).toEqual([]);
  const { body = '', headers = {} } = received ?? {};
  verify({ body, headers, secret, headerPrefix: 'X-Acme-', signatures: ['fltr', 'standard'] });
  const delivery = await withAttempts(deliveries[0]?.id ?? '', 1);
  expectLogged(delivery.attempts[0], received);
  expect(delivery.attempts[0]?.request.signature_headers).toEqual(['X-Acme-Signature', 'webhook-signature']);

  const tested = await service.call<{ attempt: Delivery['attempts'][number] }>('POST', '/v1/webhooks/test', {
    webhook_id,
    event: 'document.processed',
  });
  const [, second] = await requestsTo('/named', 2);
  expect(second?.headers['x-acme-test']).toBe('true');
  expectLogged(tested.body.attempt, second);

  const settings = await service.call<Record<string, unknown>>('GET', '/v1/settings');
  expect(settings.body).toMatchObject({
    account_id: service.accountId,
    header_prefix: 'X-Acme-',
    user_agent: custom.FLTR_USER_AGENT,
    signatures: ['fltr', 'standard'],
  });
});

const dataText =
  '{"document_id":"d\\u00e9","dataset_id":"ds_1","metadata":{"10":1.50,"big":12345678901234567890}}';

const bodyIn: Record<RequestFormat, (id: string) => string> = {
  fltr: (id) =>
    `{"id":"${id}","event":"document.uploaded","timestamp":"2024-01-10T12:00:00Z","data":${dataText}}`,
  standard: (id) =>
    `{"id":"${id}","type":"document.uploaded","timestamp":"2024-01-10T12:00:00Z","data":${dataText}}`,
  data: () => dataText,
  cloudevents: (id) =>
    `{"specversion":"1.0","id":"${id}","source":"/accounts/${service.accountId}","type":"document.uploaded","time":"2024-01-10T12:00:00Z","datacontenttype":"application/json","data":${dataText}}`,
  slack: () =>
    JSON.stringify({
      text: '*document.uploaded* at 2024-01-10T12:00:00Z\n• document_id: dé\n• dataset_id: ds_1\n• metadata: {"10":1.50,"big":12345678901234567890}',
    }),
};

const publishText = async (id: string) => {
  const text = `{"id":"${id}","event":"document.uploaded","timestamp":"2024-01-10T12:00:00Z","data":${dataText}}`;
  const { status, body } = await service.call<{ deliveries: { id: string; webhook_id: string }[] }>(
    'POST',
    '/v1/events',
    text,
  );
  expect(status).toBe(202);
  return body.deliveries;
};

test('each webhook gets the event in its format, signed, with the same bytes in each attempt', async () => {
  const webhooks = new Map<RequestFormat, { webhook_id: string; secret: string }>();
  for (const format of requestFormats) {
    statuses.set(`/${format}`, 503);
    webhooks.set(format, await service.newWebhook(`${receiver.url}/${format}`, { format }));
  }
  const deliveries = await publishText('evt_formats');
  for (const [format, { webhook_id, secret }] of webhooks) {
    const deliveryId = deliveries.find((one) => one.webhook_id === webhook_id)?.id ?? '';
    await withAttempts(deliveryId, 1);
    statuses.set(`/${format}`, 200);
    await service.call('POST', `/v1/deliveries/${deliveryId}/retry`);
    const { attempts } = await withAttempts(deliveryId, 2);
    const requests = await requestsTo(`/${format}`, 2);
    for (const [index, { headers, body }] of requests.entries()) {
      expect(body.toString()).toBe(bodyIn[format]('evt_formats'));
      expect(headers['content-type']).toBe(
        format === 'cloudevents' ? 'application/cloudevents+json' : 'application/json',
      );
      expect([headers['webhook-id'], headers['x-acme-event']]).toEqual(['evt_formats', 'document.uploaded']);
      verify({ headers, body, secret, headerPrefix: 'X-Acme-', signatures: ['fltr', 'standard'] });
      expectLogged(attempts[index], requests[index]);
      expect(attempts[index]?.request.format).toBe(format);
    }
    await service.call('DELETE', `/v1/webhooks/${webhook_id}`);
  }
});

test('a test event has the format of its webhook; an unknown format is refused', async () => {
  const { webhook_id } = await service.newWebhook(`${receiver.url}/tested`, { format: 'data' });
  await service.call('POST', '/v1/webhooks/test', { webhook_id, event: 'dataset.deleted' });
  const [received] = await requestsTo('/tested', 1);
  expect(JSON.parse(received?.body.toString() ?? '')).toEqual(eventTypeExamples['dataset.deleted'].data);
  const change = (format: string) => service.call('PATCH', `/v1/webhooks/${webhook_id}`, { format });
  expect((await change('CloudEvents')).status).toBe(422);
  for (const format of requestFormats) expect((await change(format)).status).toBe(200);
  await service.call('DELETE', `/v1/webhooks/${webhook_id}`);
});

test('listen and verify follow the settings of the service', async () => {
  const local = await startReceiver();
  const { secret, webhook_id } = await service.newWebhook(`${receiver.url}/listen`, {
    format: 'cloudevents',
  });
  const env = { FLTR_API_URL: service.apiUrl, FLTR_API_KEY: service.key };
  const options = ['--forward-to', local.url, '--secret', secret, '--format', 'cloudevents'];
  const listen = startProcess(['listen', ...options], env);
  await until(
    () => listen.output(),
    (output) => output.includes('Forwarding events'),
  );
  await until(
    async () => {
      await service.publish();
      return local.requests.length;
    },
    (count) => count > 0,
  );
  listen.kill('SIGINT');
  await listen.exited();
  await local.close();
  const [got] = local.requests;
  const [same] = await until(
    () => receiver.requests.filter(({ path, body }) => path === '/listen' && body.equals(got?.body ?? body)),
    ({ length }) => length > 0,
  );
  for (const name of ['content-type', 'user-agent', 'x-acme-event', 'x-acme-signature', 'webhook-id'])
    expect(got?.headers[name]).toBe(same?.headers[name]);
  await service.call('DELETE', `/v1/webhooks/${webhook_id}`);

  const lines = Object.entries(got?.headers ?? {}).flatMap(([name, value]) => [
    '--header',
    `${name}: ${String(value)}`,
  ]);
  const file = `${service.dataDir}/body`;
  await writeFile(file, got?.body ?? '');
  const verifying = ['verify', '--body', file, '--secret', secret, ...lines];
  const run = (more: string[], settings: Record<string, string> = {}) =>
    runInProcess([...verifying, ...more], settings);
  const both = { code: 0, output: 'X-Acme-Signature: valid\nwebhook-signature: valid\n' };
  expect(await run(['--header-prefix', 'X-Acme-'])).toEqual(both);
  expect(await run([], { FLTR_HEADER_PREFIX: 'X-Acme-' })).toEqual(both);
  // Without the prefix, only the other one is found.
  expect(await run([])).toEqual({ code: 0, output: 'webhook-signature: valid\n' });
  expect(await run(['--signatures', 'fltr'])).toEqual({
    code: 1,
    output:
      'X-FLTR-Signature: invalid. The header X-FLTR-Signature is missing. The request has x-acme-signature, a signature of the kind fltr: check signatures and header prefix, and who sent it.\n',
  });
  for (const wrong of ['', 'v1', 'fltr,fltr', 'fltr,v1'])
    expect((await run(['--signatures', wrong])).output).toMatch(/--signatures must be fltr, standard or/);
});

// Last, because it starts the service again.
test('after a change of the settings, the log shows each attempt as it was sent, and a retry has the same body', async () => {
  statuses.set('/changed', 503);
  const { webhook_id, secret } = await service.newWebhook(`${receiver.url}/changed`, {
    format: 'cloudevents',
  });
  const deliveries = await publishText('evt_changed');
  const deliveryId = deliveries.find((one) => one.webhook_id === webhook_id)?.id ?? '';
  await withAttempts(deliveryId, 1);
  await service.stopApp();
  const restarted = await startService({
    ...service.env,
    FLTR_HEADER_PREFIX: 'X-Other-',
    FLTR_USER_AGENT: 'Other/1',
    FLTR_SIGNATURES: 'standard',
  });
  try {
    statuses.set('/changed', 200);
    await service.call('POST', `/v1/deliveries/${deliveryId}/retry`);
    const { attempts } = await withAttempts(deliveryId, 2);
    const requests = await requestsTo('/changed', 2);
    const [first, second] = requests;
    requests.forEach((request, index) => expectLogged(attempts[index], request));
    expect(attempts.map(({ request }) => request.signature_headers)).toEqual([
      ['X-Acme-Signature', 'webhook-signature'],
      ['webhook-signature'],
    ]);
    expect(attempts.map(({ request }) => request.headers['User-Agent'])).toEqual([
      custom.FLTR_USER_AGENT,
      'Other/1',
    ]);
    expect(second?.body).toEqual(first?.body);
    verify({ headers: second?.headers ?? {}, body: second?.body ?? '', secret });
    const names = Object.keys(second?.headers ?? {});
    expect(names.filter((name) => name.endsWith('signature'))).toEqual(['webhook-signature']);
  } finally {
    await restarted.stop();
  }
});

test('with FLTR_SIGNATURES=fltr, the event id is still there, and no time that nobody signed', async () => {
  const alone = await startService({ FLTR_SIGNATURES: 'fltr' });
  try {
    const { secret } = await alone.newWebhook(`${receiver.url}/alone`, { format: 'data' });
    const { id } = await alone.publish();
    const [received] = await requestsTo('/alone', 1);
    const { headers = {}, body = '' } = received ?? {};
    expect(Object.keys(headers).filter((name) => name.startsWith('webhook-'))).toEqual(['webhook-id']);
    expect(headers['webhook-id']).toBe(id);
    verify({ headers, body, secret, signatures: ['fltr'] });
    expect(() => verify({ headers, body, secret })).toThrow(/^The header webhook-signature is missing\./);
  } finally {
    await alone.stop();
  }
});
