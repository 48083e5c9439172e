import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { startProcess, type ServiceProcess } from '../kit/process.ts';
import { call, startService, until, untilReady, type Service } from '../kit/service.ts';

let service: Service;
let child: ServiceProcess;
let apiUrl: string;
// A process of its own: the tests' own work must not count as a stall of the service.
beforeAll(async () => {
  service = await startService({ LOG_LEVEL: 'warn' }, null);
  const port = await reservePort();
  child = startProcess(['api'], { ...service.env, PORT: String(port) });
  apiUrl = `http://127.0.0.1:${port}`;
  await untilReady(apiUrl);
});
afterAll(async () => {
  child.kill('SIGKILL');
  await child.exited();
  await service.stop();
});

const fields = (count: number, nameOf = (index: number) => `k${index}`) =>
  Array.from({ length: count }, (_, index) => `"${nameOf(index)}":0`).join(',');
const batchOf = (count: number, item: string) => `{"events":[${Array(count).fill(item).join(',')}]}`;
const data = '"document_id":"d","dataset_id":"s"';
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
const metadata = `{"event":"document.uploaded","data":{${data},"metadata":{${fields(1200)}}}}`;
const tildes = (index: number) => '~'.repeat(94) + String(index).padStart(6, '0');

type Result = { status: number; error?: { code: string; errors?: { pointer: string }[] } };

/** Sends a batch; how long the worst of the calls took that were made meanwhile, and the batch itself. */
async function send(batch: string) {
  const done = new AbortController();
  let worstMs = 0;
  const watching = (async () => {
    while (!done.signal.aborted) {
      const startedAt = performance.now();
      await (await fetch(`${apiUrl}/healthz`)).text();
      worstMs = Math.max(worstMs, performance.now() - startedAt);
      await delay(2);
    }
  })();
  await delay(50);
  const sentAt = performance.now();
  const response = await call<{ data?: Result[]; code?: string }>(
    apiUrl,
    service.key,
    'POST',
    '/v1/events/batch',
    batch,
  );
  const batchMs = performance.now() - sentAt;
  done.abort();
  await watching;
  return { response, worstMs, batchMs };
}

type Sent = Awaited<ReturnType<typeof send>>;

/**
 * Parsed in one go, a batch stalls the process for as long as it takes itself: 1 to 7 s. Other work on the machine makes all
 * of it slower, so it is compared with itself and with an ordinary batch.
 */
const isStall = ({ worstMs, batchMs }: Sent, ordinary: Sent): boolean =>
  worstMs >= Math.max(400, batchMs / 2, 3 * ordinary.worstMs);

/** Other work on the machine may stall the process once. A batch that stalls it does so each time that it is sent. */
async function expectNoStall(text: string, first: Sent, ordinary: Sent): Promise<void> {
  let sent = first;
  for (let more = 2; more > 0 && isStall(sent, ordinary); more -= 1) sent = await send(text);
  expect(isStall(sent, ordinary), `${sent.worstMs} ms of ${sent.batchMs}`).toBe(false);
}

test('no batch stalls the process for longer than one that is valid', { timeout: 120_000 }, async () => {
  const valid = batchOf(500, metadata);
  expect(valid.length).toBeGreaterThan(5 * 1024 * 1024);
  await send(valid);
  const ordinary = await send(valid);
  expect(ordinary.response.body.data?.every(({ status }) => status === 202)).toBe(true);
  const attacks: [string, string, number, number][] = [
    ['700,000 unknown fields in one event', batchOf(1, `{${fields(700_000)}}`), 207, 413],
    [
      '1,500 unknown fields in each',
      batchOf(500, `{"event":"document.deleted","data":{${data},${fields(1500)}}}`),
      207,
      422,
    ],
    [
      '130 long unknown names in each',
      batchOf(500, `{"event":"document.deleted","data":{${data},${fields(130, tildes)}}}`),
      207,
      422,
    ],
    ['4,000,000 nested arrays', batchOf(1, nested(4_000_000)), 207, 413],
    ['8,000 nested arrays in each', batchOf(500, nested(8000)), 207, 422],
    ['21,000 unknown fields in each', batchOf(32, `{${fields(21_000)}}`), 207, 422],
    ['700,000 fields beside the events', `{"events":[],${fields(700_000)}}`, 413, 0],
    ['4,000,000 events', `{"events":[${'0,'.repeat(4_000_000)}0]}`, 422, 0],
    ['a list of 4,000,000', `[${'0,'.repeat(4_000_000)}0]`, 413, 0],
  ];
  for (const [name, batch, status, statusOfEach] of attacks) {
    const attack = await send(batch);
    const { response } = attack;
    expect([name, response.status]).toEqual([name, status]);
    const results = response.body.data ?? [];
    expect(results.every((result) => result.status === statusOfEach)).toBe(true);
    expect(results.flatMap(({ error }) => error?.errors ?? []).length).toBeLessThanOrEqual(100);
    expect(response.text.length).toBeLessThan(512 * 1024);
    await expectNoStall(batch, attack, ordinary);
  }
});

test('a batch of known events in another order, which takes comparing, stalls nothing either', async () => {
  const names = Array.from({ length: 700 }, (_, index) => `"k${index}":${index}.5`);
  const known = (order: string[]) =>
    `{"events":[${Array.from(
      { length: 300 },
      (_, index) =>
        `{"id":"known_${index}","event":"document.uploaded","data":{${data},"metadata":{${order.join(',')}}}}`,
    ).join(',')}]}`;
  const first = await send(known(names));
  const reversed = known(names.toReversed());
  const again = await send(reversed);
  const isDuplicate = (result: Result) => (result as { duplicate?: boolean }).duplicate === true;
  expect(first.response.body.data?.some(isDuplicate)).toBe(false);
  expect(again.response.body.data?.every(isDuplicate)).toBe(true);
  await expectNoStall(reversed, again, first);
});

/** A batch of which the head is sent, and no byte of the body. */
async function beginBatch(key: string, length: string): Promise<{ socket: Socket; text(): string }> {
  const socket = connect(Number(new URL(apiUrl).port), '127.0.0.1');
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  socket.on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  socket.write(
    `POST /v1/events/batch HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n${length}\r\n\r\n`,
  );
  return { socket, text: () => text };
}

test('bodies that are under way have a limit for each account, which a refusal does not wait for', async () => {
  const { key } = await service.newAccount();
  const batch = { events: [{ event: 'document.deleted', data: { document_id: 'd', dataset_id: 's' } }] };
  const publish = (as: string) => call<{ code?: string }>(apiUrl, as, 'POST', '/v1/events/batch', batch);
  const open = await Promise.all([1, 2, 3, 4, 5].map(() => beginBatch(key, 'Content-Length: 8388608')));
  // Four fill it, so one is refused, though none has sent anything yet.
  await until(
    () => open.filter(({ text }) => text().startsWith('HTTP/1.1 503')),
    ({ length }) => length === 1,
  );
  const refused = await publish(key);
  expect([refused.status, refused.body.code]).toEqual([503, 'unavailable']);
  expect(refused.headers.get('retry-after')).toBe('1');
  // Neither of these sends a body.
  const declared = await beginBatch(key, 'Content-Length: 8388608');
  await until(declared.text, (text) => text.startsWith('HTTP/1.1 503'));
  const packed = await beginBatch(key, 'Content-Encoding: gzip\r\nContent-Length: 20');
  await until(packed.text, (text) => text.startsWith('HTTP/1.1 503'));
  // Of this one, nobody knows how long it is: it is counted as it comes.
  const chunked = await beginBatch(key, 'Transfer-Encoding: chunked');
  chunked.socket.write('5\r\n{"eve\r\n');
  await until(chunked.text, (text) => text.startsWith('HTTP/1.1 503'));
  // Another account has room, and so has this one when the others have gone.
  expect((await publish(service.key)).status).toBe(207);
  for (const { socket } of open) socket.destroy();
  await until(
    () => publish(key),
    ({ status }) => status === 207,
  );
});
