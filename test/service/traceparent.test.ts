import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { traceparentPattern } from '../../src/contracts/trace-context.ts';
import { toTraceparent, traceIdOf, traceparentOfAttempt } from '../../src/domain/traceparent.ts';
import { readDelivery, waitForStatus } from '../kit/delivery-steps.ts';
import { startProcess } from '../kit/process.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, until, untilReady, type Service } from '../kit/service.ts';

const newTraceId = () => randomBytes(16).toString('hex');
const newTraceparent = (flags = '01') => `00-${newTraceId()}-${randomBytes(8).toString('hex')}-${flags}`;
const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parentId = 'b7ad6b7169203331';
const invalid = [
  '',
  'garbage',
  `00-${traceId}-${parentId}`,
  `00-${traceId}-${parentId}-01-more`,
  `00-${traceId}-${parentId}-01-`,
  `00-${traceId}-${parentId}-1`,
  `00-${traceId}-${parentId}-0x`,
  `ff-${traceId}-${parentId}-01`,
  `0-${traceId}-${parentId}-01`,
  `00-${'0'.repeat(32)}-${parentId}-01`,
  `00-${traceId}-${'0'.repeat(16)}-01`,
  `00-${traceId.toUpperCase()}-${parentId}-01`,
  `00-${traceId.slice(1)}-${parentId}-01`,
  `00-${traceId}-${parentId}0-01`,
  `01-${traceId}-${parentId}-01more`,
  ` 00-${traceId}-${parentId}-01 `,
  `00-${traceId}-${parentId}-01\n`,
  `01-${traceId}-${parentId}-01-${'x'.repeat(201)}`,
];

describe("W3C's rules", () => {
  test.each(invalid)('the traceparent "%s" is invalid', (text) => {
    expect(traceparentPattern.test(text)).toBe(false);
  });

  test.each([
    [`00-${traceId}-${parentId}-01`, `00-${traceId}-${parentId}-01`],
    [`00-${traceId}-${parentId}-00`, `00-${traceId}-${parentId}-00`],
    [`00-${traceId}-${parentId}-03`, `00-${traceId}-${parentId}-03`],
    // Flags without a meaning are not sent on, and a later version is read as far as it is known.
    [`00-${traceId}-${parentId}-fd`, `00-${traceId}-${parentId}-01`],
    [`cc-${traceId}-${parentId}-01`, `00-${traceId}-${parentId}-01`],
    [`01-${traceId}-${parentId}-00-what.the-future/brings`, `00-${traceId}-${parentId}-00`],
    [`01-${traceId}-${parentId}-01-${'x'.repeat(200)}`, `00-${traceId}-${parentId}-01`],
  ])('%s is kept as %s', (given, kept) => {
    expect(traceparentPattern.test(given)).toBe(true);
    expect(toTraceparent(given)).toBe(kept);
  });

  test('the traceparent of an attempt is valid, of the same trace, and its own', () => {
    const hex = (length: number) =>
      fc
        .uint8Array({ minLength: length, maxLength: length })
        .filter((bytes) => bytes.some((byte) => byte !== 0))
        .map((bytes) => Buffer.from(bytes).toString('hex'));
    fc.assert(
      fc.property(
        hex(16),
        hex(8),
        fc.constantFrom('00', '01', '02', '03'),
        fc.string(),
        (trace, parent, flags, id) => {
          const given = `00-${trace}-${parent}-${flags}`;
          const sent = traceparentOfAttempt(given, id);
          expect(sent).toMatch(traceparentPattern);
          expect([traceIdOf(sent), sent.slice(-2)]).toEqual([trace, flags]);
          expect(sent).not.toBe(traceparentOfAttempt(given, `${id}x`));
        },
      ),
    );
  });
});

describe('from the producer to the receiver', () => {
  let service: Service;
  let receiver: Receiver;
  beforeAll(async () => {
    receiver = await startReceiver((_request, response, all) => {
      response.writeHead(all.length === 1 ? 503 : 200).end();
    });
    service = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '1' });
    await service.newWebhook(receiver.url);
  });
  beforeEach(() => receiver.requests.splice(0));
  afterAll(async () => {
    await service.stop();
    await receiver.close();
  });

  const publish = (body: object, headers: Record<string, string> = {}) =>
    service.call<{ id: string; deliveries: { id: string }[] }>('POST', '/v1/events', body, headers);
  const storedOf = async (id: string) =>
    (await service.call<{ traceparent: string | null }>('GET', `/v1/events/${id}`)).body.traceparent;
  const sentOf = async (id: string) => {
    const [request] = await until(
      () => receiver.requests.filter(({ headers }) => headers['webhook-id'] === id),
      ({ length }) => length > 0,
    );
    return request?.headers['traceparent'];
  };

  test('each attempt sends the trace on, with a parent id of its own, and the log shows which', async () => {
    const traceparent = newTraceparent();
    const { body } = await publish(event, { traceparent });
    const [delivery] = body.deliveries;
    await waitForStatus(service, delivery?.id ?? '', 'delivered', 2);
    const sent = receiver.requests.map(({ headers }) => String(headers['traceparent']));
    expect(sent).toHaveLength(2);
    for (const each of sent) {
      expect(each).toMatch(traceparentPattern);
      expect([traceIdOf(each), each.slice(-2)]).toEqual([traceIdOf(traceparent), '01']);
    }
    expect(new Set([traceparent, ...sent]).size).toBe(3);
    expect(await storedOf(body.id)).toBe(traceparent);
    const { attempts } = await readDelivery(service, delivery?.id ?? '');
    expect(attempts.map(({ request }) => request.headers['traceparent'])).toEqual(sent);
    const { body: list } = await service.call<{ data: { id: string; traceparent: string }[] }>(
      'GET',
      '/v1/events',
    );
    expect(list.data.find(({ id }) => id === body.id)?.traceparent).toBe(traceparent);
  });

  test('without a traceparent none is sent', async () => {
    receiver.requests.push({ method: '', path: '', headers: {}, body: Buffer.alloc(0), at: new Date() });
    const { body } = await publish(event);
    expect(await sentOf(body.id)).toBeUndefined();
    expect(await storedOf(body.id)).toBeNull();
  });

  test('the field wins over the header; a bad header is ignored, a bad field refused', async () => {
    const [field, header] = [newTraceparent('00'), newTraceparent()];
    const both = await publish({ ...event, traceparent: field }, { traceparent: header });
    expect(await storedOf(both.body.id)).toBe(field);
    const ignored = await publish(event, { traceparent: `00-${'0'.repeat(32)}-${parentId}-01` });
    expect([ignored.status, await storedOf(ignored.body.id)]).toEqual([202, null]);
    for (const traceparent of [...invalid, null, 1]) {
      const refused = await service.call<{ errors: { pointer: string }[] }>('POST', '/v1/events', {
        ...event,
        traceparent,
      });
      expect([refused.status, refused.body.errors[0]?.pointer]).toEqual([422, '/traceparent']);
    }
  });

  test('in a batch each event has its own, and the header is for those that have none', async () => {
    const [own, header] = [newTraceparent(), newTraceparent()];
    const events = [{ ...event, traceparent: own }, event, { ...event, traceparent: 'garbage' }];
    const { body } = await service.call<{
      data: { status: number; id: string; error?: { errors: { pointer: string }[] } }[];
    }>('POST', '/v1/events/batch', { events }, { traceparent: header });
    const [first, second, third] = body.data;
    expect(await storedOf(first?.id ?? '')).toBe(own);
    expect(await storedOf(second?.id ?? '')).toBe(header);
    expect([third?.status, third?.error?.errors[0]?.pointer]).toEqual([422, '/traceparent']);
  });

  test('the same event again is a duplicate under any trace, and stays in its first one', async () => {
    const traceparent = newTraceparent();
    await publish({ ...event, id: 'evt_again', timestamp: '2024-01-10T12:01:30Z' }, { traceparent });
    const again = {
      ...event,
      id: 'evt_again',
      timestamp: '2024-01-10T12:01:30Z',
      traceparent: newTraceparent(),
    };
    expect((await publish(again)).body).toMatchObject({ duplicate: true });
    expect(await storedOf('evt_again')).toBe(traceparent);
  });

  test('another account sees nothing of it', async () => {
    const { body } = await publish(event, { traceparent: newTraceparent() });
    const other = await service.newAccount();
    const response = await call(service.apiUrl, other.key, 'GET', `/v1/events/${body.id}`);
    expect(response.status).toBe(404);
    expect(response.text).not.toContain('traceparent');
  });
});

test('the lines of the log name the trace', async () => {
  const receiver = await startReceiver((_request, response) => response.writeHead(404).end());
  const service = await startService({ LOG_LEVEL: 'debug' }, null);
  const child = startProcess(['up'], service.env);
  await untilReady(service.apiUrl);
  await service.newWebhook(receiver.url);
  const traceparent = newTraceparent();
  const published = await service.call<{ id: string; deliveries: { id: string }[] }>(
    'POST',
    '/v1/events',
    event,
    { traceparent, 'x-request-id': 'req_of_the_test' },
  );
  const delivery = published.body.deliveries[0]?.id ?? '';
  await waitForStatus(service, delivery, 'failed');
  child.kill('SIGTERM');
  await child.exited();
  await receiver.close();
  await service.stop();
  const lines = child
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ trace_id: id }) => id === traceIdOf(traceparent));
  expect(lines.map(({ msg, level }) => [msg, level])).toEqual([
    ['event accepted', 'debug'],
    ['delivery failed', 'info'],
  ]);
  const [accepted, failed] = lines;
  expect(accepted).toMatchObject({
    request_id: 'req_of_the_test',
    event: published.body.id,
    deliveries: [delivery],
  });
  expect(failed).toMatchObject({ event: published.body.id, delivery, reason: 'client_error', status: 404 });
});
