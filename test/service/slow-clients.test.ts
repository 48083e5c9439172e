import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import express from 'express';
import { createHttpServer } from '../../src/api/server.ts';
import { startService, type Service } from '../kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({}, 'api');
});
afterAll(() => service.stop());

type Client = { socket: Socket; text(): string; closedAfterMs: Promise<number> };

/** A connection that sends `head` at once, then `drip` again and again. */
async function openClient(port: number, head = '', drip = '', everyMs = 500): Promise<Client> {
  const startedAt = performance.now();
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  socket.on('error', () => undefined);
  // Not by `once`, which would take a reset for a failure: a server may end a connection so.
  const closedAfterMs = new Promise<number>((resolve) => {
    socket.once('close', () => resolve(performance.now() - startedAt));
  });
  await once(socket, 'connect');
  socket.write(head);
  const timer = drip === '' ? undefined : setInterval(() => socket.write(drip), everyMs);
  socket.on('close', () => clearInterval(timer));
  onTestFinished(() => void socket.destroy());
  return { socket, text: () => text, closedAfterMs };
}

test('1,000 silent connections and clients that drip are disconnected in time, and others are served meanwhile', async () => {
  const port = Number(service.env['PORT']);
  const serveOthers = async (): Promise<number> => {
    const startedAt = performance.now();
    for (let index = 0; index < 20; index += 1) {
      expect((await service.call('GET', '/v1/webhooks')).status).toBe(200);
    }
    return performance.now() - startedAt;
  };
  await serveOthers();
  const aloneMs = await serveOthers();
  const start = `POST /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${service.key}\r\n`;
  const silent = await Promise.all(Array.from({ length: 1000 }, () => openClient(port)));
  const headers = await openClient(port, start, 'X-Drip: x\r\n');
  const unfinishedLine = await openClient(port, 'POST /v1/ev', 'e');
  const body = await openClient(port, `${start}Content-Length: 1000\r\n\r\n{`, ' ');
  const chunks = await openClient(port, `${start}Transfer-Encoding: chunked\r\n\r\n`, '1\r\n \r\n');

  for (const client of [headers, unfinishedLine, body, chunks]) expect(client.text()).toBe('');
  expect(await serveOthers()).toBeLessThan(20 * aloneMs + 5000);

  // 10 s for headers, looked at every second.
  const inTime = (ms: number, limitMs: number) => {
    expect(ms).toBeGreaterThan(limitMs - 500);
    expect(ms).toBeLessThan(limitMs + 60_000);
  };
  const waits = await Promise.all(silent.map(({ closedAfterMs }) => closedAfterMs));
  inTime(Math.max(...waits), 10_000);
  for (const client of [headers, unfinishedLine]) {
    inTime(await client.closedAfterMs, 10_000);
    expect(client.text()).toMatch(/^HTTP\/1\.1 408 /);
  }
  expect((await service.call('GET', '/v1/webhooks')).status).toBe(200);
  // 30 s for the whole request.
  for (const client of [body, chunks]) {
    inTime(await client.closedAfterMs, 30_000);
    expect(client.text()).toMatch(/^HTTP\/1\.1 (408|400) /);
  }
});

test.each([
  ['one of 17 KiB', `X-Long: ${'x'.repeat(17 * 1024)}\r\n`],
  ['many', Array.from({ length: 2000 }, (_, index) => `X-${index}: value\r\n`).join('')],
  ['one without end', `X-Long: ${'x'.repeat(1024 * 1024)}`],
])('headers that are too large, %s: 431, and the connection ends', async (_name, headers) => {
  const client = await openClient(
    Number(service.env['PORT']),
    `GET /v1/webhooks HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`,
  );
  // Not because of the 10 s for headers.
  expect(await client.closedAfterMs).toBeLessThan(9500);
  // A reset may overtake the response where more was sent than was read.
  expect(client.text() === '' || client.text().startsWith('HTTP/1.1 431 ')).toBe(true);
});

test('a client that does not read its response is disconnected', async () => {
  const app = express();
  const large = Buffer.alloc(64 * 1024 * 1024, 'x');
  app.get('/', (_request, response) => {
    response.send(large);
  });
  const server = createHttpServer(app, { timeout: 1500 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const client = await openClient(port, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  client.socket.pause();
  const count = () =>
    new Promise<number>((resolve) => {
      server.getConnections((_error, connections) => resolve(connections));
    });
  await expect.poll(count).toBe(1);
  await expect.poll(count).toBe(0);
  // One that takes it slowly, but takes it, gets all of it.
  const slow = await openClient(port, 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  for (let index = 0; index < 5; index += 1) {
    slow.socket.pause();
    await delay(100);
    slow.socket.resume();
    await delay(20);
  }
  await slow.closedAfterMs;
  expect(slow.text().length).toBeGreaterThan(large.length);
});

test('the headers of a response are those of an API', async () => {
  for (const path of ['/v1/webhooks', '/healthz', '/nothing']) {
    const { headers } = await service.call('GET', path);
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-security-policy': "default-src 'none';frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      'strict-transport-security': 'max-age=31536000',
    });
    for (const name of ['x-powered-by', 'server', 'etag', 'access-control-allow-origin']) {
      expect(headers.get(name)).toBeNull();
    }
    expect(headers.get('cache-control')).toBe(path.startsWith('/v1/') ? 'no-store' : null);
  }
});
