import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import express, { type Response } from 'express';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPageSender } from '../../src/api/send-pages.ts';
import { ApiError } from '../../src/errors.ts';

const rowsOfPage = 500;
const mostPages = 600;
const row = { id: 'dlv_', text: 'x'.repeat(400) };
let pulled = 0;
let isClosed = false;
/** The response to the next request. */
let pages: () => AsyncGenerator<object[]>;

async function* many(end = mostPages): AsyncGenerator<object[]> {
  pulled = 0;
  isClosed = false;
  try {
    for (let page = 0; page < end; page += 1) {
      pulled += 1;
      await delay(0);
      yield Array.from({ length: rowsOfPage }, (_, index) => ({ ...row, number: page * rowsOfPage + index }));
    }
  } finally {
    isClosed = true;
  }
}

let url: string;
let close: () => void;
beforeAll(async () => {
  const send = createPageSender(pino({ level: 'silent' }));
  const app = express();
  app.get('/', async (_request, response: Response) => {
    response.locals['requestId'] = 'req_1';
    await send(response, 'acc_1', pages()).catch((error: unknown) =>
      response.writeHead(error instanceof ApiError ? error.status : 500).end(),
    );
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  close = () => {
    server.closeAllConnections();
    server.close();
  };
});
afterAll(() => close());

const open = async (): Promise<IncomingMessage> => {
  const [response] = (await once(get(url), 'response')) as [IncomingMessage];
  return response;
};
const until = async (isTrue: () => boolean) => {
  for (let round = 0; !isTrue(); round += 1) {
    expect(round).toBeLessThan(500);
    await delay(10);
  }
};

test(
  'all rows arrive, in order, each in a line, while the memory stays as it was',
  { timeout: 60_000 },
  async () => {
    pages = many;
    const before = process.memoryUsage().rss;
    let most = 0;
    let rest = '';
    let next = 0;
    const response = await open();
    expect(response.headers['content-type']).toBe('application/x-ndjson; charset=utf-8');
    for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        expect((JSON.parse(line) as { number: number }).number === next).toBe(true);
        next += 1;
      }
      most = Math.max(most, process.memoryUsage().rss - before);
    }
    expect([rest, next]).toEqual(['', mostPages * rowsOfPage]);
    expect(most).toBeLessThan(100 * 1024 * 1024);
  },
);

test('no more is read than a slow client takes, and nothing after it is gone', async () => {
  pages = many;
  const response = await open();
  response.once('readable', () => response.read(1));
  await delay(300);
  const taken = pulled;
  expect(taken).toBeLessThan(60);
  await delay(300);
  expect(pulled).toBe(taken);
  expect(isClosed).toBe(false);
  response.on('error', () => undefined);
  response.destroy();
  await until(() => isClosed);
  expect(pulled).toBeLessThanOrEqual(taken + 1);
});

test('an error in the middle ends the connection visibly; one before the first page is an error response', async () => {
  pages = async function* () {
    yield* many(2);
    throw new Error('the database is gone');
  };
  const response = await open();
  let received = 0;
  const read = async () => {
    for await (const chunk of response as AsyncIterable<Buffer>) received += chunk.length;
  };
  await expect(read()).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(received).toBeGreaterThan(0);
  pages = async function* () {
    await delay(0);
    yield* [];
    throw new Error('the database is gone');
  };
  expect((await open()).resume().statusCode).toBe(500);
});

test('an empty list is an empty body', async () => {
  pages = () => many(0);
  const response = await open();
  expect(response.statusCode).toBe(200);
  expect((await response.toArray()).length).toBe(0);
});

test('a fifth export of the account at once is refused; when one ends there is room again', async () => {
  pages = many;
  const running = await Promise.all([open(), open(), open(), open()]);
  expect((await open()).resume().statusCode).toBe(429);
  for (const each of running) each.on('error', () => undefined).destroy();
  await delay(200);
  pages = () => many(1);
  expect((await open()).resume().statusCode).toBe(200);
});
