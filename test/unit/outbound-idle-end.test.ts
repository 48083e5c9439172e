import type { Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createAddressGuard } from '../../src/outbound/address-guard.ts';
import { createSender, type SendResult } from '../../src/outbound/sender.ts';
import { startRawReceiver, type Receiver } from '../kit/raw-receiver.ts';

const guard = createAddressGuard({ production: false, allowedCidrs: [] });
const okay = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
const refusal = (status: number, close: string) =>
  `HTTP/1.1 ${status} No\r\n${close}Content-Length: 0\r\n\r\n`;
const closing = 'Connection: close\r\n';

function makeSender(timeoutMs = 4_000): (url: string) => Promise<SendResult> {
  const sender = createSender({ guard, timeoutMs });
  onTestFinished(() => sender.close());
  return (url) => sender.send({ url, accountId: 'acc_1', headers: {}, body: Buffer.from('{}') });
}

/** `handle` gets each request with its number and its connection's, both from 1. */
async function startCounting(
  handle: (socket: Socket, request: number, connection: number) => void,
): Promise<Receiver & { requestCount: () => number }> {
  let requests = 0;
  const receiver = await startRawReceiver((socket, connection) => {
    socket.on('data', () => handle(socket, (requests += 1), connection));
  });
  return { ...receiver, requestCount: () => requests };
}

// Bytes that the receiver wrote before the second request look the same as bytes that it writes after it.
test.each([
  [408, okay, 200],
  [400, okay, 200],
  [408, refusal(503, ''), 503],
  [400, refusal(400, closing), 400],
  [408, refusal(408, closing), 408],
])(
  '%i that ends a kept connection: the result on a new connection counts',
  async (status, next, expected) => {
    const { origin, requestCount, connectionCount } = await startCounting((socket, request, connection) => {
      if (request === 1) socket.write(okay);
      else if (connection === 1) socket.end(refusal(status, closing));
      else socket.write(next);
    });
    const send = makeSender();
    expect(await send(origin)).toMatchObject({ statusCode: 200 });
    expect(await send(origin)).toMatchObject({ statusCode: expected });
    expect([requestCount(), connectionCount()]).toEqual([3, 2]);
  },
);

test('a 408 that crosses with the request on a slow network is no response to it', async () => {
  const { origin, connectionCount } = await startRawReceiver((socket, connection) => {
    let isFirst = true;
    socket.on('data', () => {
      if (isFirst || connection > 1) socket.write(okay);
      else setTimeout(() => socket.end(refusal(408, closing)), 120);
      isFirst = false;
    });
  });
  const send = makeSender();
  expect(await send(origin)).toMatchObject({ statusCode: 200 });
  expect(await send(origin)).toMatchObject({ statusCode: 200 });
  expect(connectionCount()).toBe(2);
});

test.each([408, 400])('a %i on a fresh connection is the response', async (status) => {
  const { origin, requestCount } = await startCounting((socket) => socket.end(refusal(status, closing)));
  expect(await makeSender()(origin)).toMatchObject({ statusCode: status });
  expect(requestCount()).toBe(1);
});

test.each([
  [408, ''],
  [400, ''],
  [404, closing],
  [422, closing],
  [503, closing],
])('%i (%j) on a kept connection is the response', async (status, close) => {
  const { origin, requestCount } = await startCounting((socket, request) => {
    if (request === 1) socket.write(okay);
    else socket.write(refusal(status, close));
  });
  const send = makeSender();
  expect(await send(origin)).toMatchObject({ statusCode: 200 });
  expect(await send(origin)).toMatchObject({ statusCode: status });
  expect(requestCount()).toBe(2);
});

test.each([
  ['connection_closed', (socket: Socket): unknown => socket.end()],
  ['connection_reset', (socket: Socket): unknown => socket.resetAndDestroy()],
] as const)('%s 1.5 s after the request came: it is not sent again', async (code, end) => {
  const { origin, requestCount, connectionCount } = await startCounting((socket, request) => {
    if (request === 1) socket.write(okay);
    else setTimeout(() => end(socket), 1_500);
  });
  const send = makeSender();
  expect(await send(origin)).toMatchObject({ statusCode: 200 });
  expect(await send(origin)).toMatchObject({ kind: 'failed', code });
  expect([requestCount(), connectionCount()]).toEqual([2, 1]);
});
