import type { IncomingHttpHeaders } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { createAddressGuard } from '../../src/outbound/address-guard.ts';
import { createSender, type SenderOptions, type SendResult } from '../../src/outbound/sender.ts';
import { makeCertificate, startRawReceiver, startReceiver } from '../kit/raw-receiver.ts';

const guard = createAddressGuard({ production: false, allowedCidrs: [] });

function makeSender(options: Partial<SenderOptions> = {}): (url: string) => Promise<SendResult> {
  const sender = createSender({ guard, timeoutMs: 20_000, ...options });
  onTestFinished(() => sender.close());
  const headers = { 'X-FLTR-Event': 'test' };
  return (url) => sender.send({ url, accountId: 'acc_1', headers, body: Buffer.from('{"a":1}') });
}

function responseOf(result: SendResult): Extract<SendResult, { kind: 'responded' }> {
  if (result.kind === 'failed') throw new Error(`failed: ${result.code}`);
  return result;
}

test('the request arrives as it was given', async () => {
  const seen: { method?: string; url?: string; headers: IncomingHttpHeaders; body: string }[] = [];
  const { origin, port } = await startReceiver((request, response) => {
    const { method = '', url = '', headers } = request;
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      seen.push({ method, url, headers, body });
      response.end('thanks');
    });
  });
  const result = await makeSender()(`${origin}/events/ü?a=1&b=%20`);
  expect(result).toMatchObject({ kind: 'responded', statusCode: 200, truncated: false });
  expect(responseOf(result).body.toString()).toBe('thanks');
  expect(result.startedAt.getTime()).toBeGreaterThan(Date.now() - 10_000);
  expect(result.durationMs).toBeLessThan(20_000);
  expect(seen).toEqual([
    {
      method: 'POST',
      url: '/events/%C3%BC?a=1&b=%20',
      headers: {
        host: `127.0.0.1:${port}`,
        connection: 'keep-alive',
        'x-fltr-event': 'test',
        'content-length': '7',
      },
      body: '{"a":1}',
    },
  ]);
});

test('the bytes on the wire are the caller’s, and three headers of the client’s own', async () => {
  let text = '';
  const { origin, port } = await startRawReceiver((socket) => {
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
      if (text.endsWith('}')) socket.write('HTTP/1.1 204 No Content\r\n\r\n');
    });
  });
  const sender = createSender({ guard, timeoutMs: 2_000 });
  onTestFinished(() => sender.close());
  const headers = { 'Content-Type': 'application/json', 'X-FLTR-Event': 'é', 'webhook-id': 'evt_1' };
  await sender.send({
    url: `${origin}/events?a=1`,
    accountId: 'acc_1',
    headers,
    body: Buffer.from('{"ü":1}'),
  });
  const lines = [
    'POST /events?a=1 HTTP/1.1',
    `host: 127.0.0.1:${port}`,
    'connection: keep-alive',
    'Content-Type: application/json',
    'X-FLTR-Event: é',
    'webhook-id: evt_1',
    'content-length: 8',
  ];
  expect(text).toBe(`${lines.join('\r\n')}\r\n\r\n${Buffer.from('{"ü":1}').toString('latin1')}`);
});

test.each([200, 204, 299, 301, 302, 307, 308, 400, 404, 410, 429, 500, 503, 599])(
  '%i is a response, and its headers are seen',
  async (statusCode) => {
    const redirected = await startReceiver((_request, response) => void response.end());
    const { origin } = await startReceiver((_request, response) => {
      response.writeHead(statusCode, { 'Retry-After': '30', Location: `${redirected.origin}/elsewhere` });
      response.end();
    });
    const result = responseOf(await makeSender()(origin));
    expect(result.statusCode).toBe(statusCode);
    expect(result.headers['retry-after']).toBe('30');
    await sleep(20);
    expect(redirected.connectionCount()).toBe(0);
  },
);

test('over TLS the host is named (SNI) and its certificate checked', async () => {
  const certificate = makeCertificate(['localhost', '127.0.0.1']);
  const names: unknown[] = [];
  const { port } = await startReceiver((request, response) => {
    names.push(Reflect.get(request.socket, 'servername'));
    response.end('secret thanks');
  }, certificate);
  const send = makeSender({ ca: certificate.cert });
  expect(responseOf(await send(`https://localhost:${port}/`)).body.toString()).toBe('secret thanks');
  expect(responseOf(await send(`https://127.0.0.1:${port}/`)).statusCode).toBe(200);
  expect(names).toEqual(['localhost', false]);
});

test.each(['100 Continue', '102 Processing', '103 Early Hints'])(
  '%s is not the response',
  async (interim) => {
    const { origin } = await startRawReceiver((socket) => {
      socket.on('data', () => {
        socket.write(`HTTP/1.1 ${interim}\r\n\r\n`);
        setTimeout(() => {
          socket.write(`HTTP/1.1 ${interim}\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n`);
        }, 20);
      });
    });
    expect(responseOf(await makeSender()(origin)).statusCode).toBe(201);
  },
);

const okay = 'Content-Length: 2\r\n\r\nok';

test.each([
  ['17 KiB of headers', `HTTP/1.1 200 OK\r\nX-Long: ${'b'.repeat(17 * 1024)}\r\n${okay}`],
  ['60 KiB of headers', `HTTP/1.1 200 OK\r\n${`X-Long: ${'b'.repeat(1012)}\r\n`.repeat(60)}${okay}`],
  ['a folded header', `HTTP/1.1 200 OK\r\nX-A: one\r\n two\r\n${okay}`, { 'x-a': 'one two' }],
  ['line feeds alone', `HTTP/1.1 200 OK\nX-A: b\n${okay.replaceAll('\r', '')}`, { 'x-a': 'b' }],
  ['an empty line before it', `\r\nHTTP/1.1 200 OK\r\n${okay}`],
  [
    'a length beside chunks',
    'HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
  ],
  [
    'chunks beside a length',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n',
  ],
  ['100, 100 and 200 at once', `${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(2)}HTTP/1.1 200 OK\r\n${okay}`],
  [
    '103, 100 and 200 at once',
    `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n${okay}`,
  ],
  ['an empty line before a 100', `\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n${okay}`],
] as [string, string, Record<string, string>?][])(
  'a valid response: %s',
  async (_name, text, headers = {}) => {
    const { origin, connectionCount } = await startRawReceiver((socket) => {
      socket.on('data', () => socket.write(text));
    });
    const send = makeSender();
    for (let n = 0; n < 2; n += 1) {
      const result = responseOf(await send(origin));
      expect(result).toMatchObject({ statusCode: 200, truncated: false, headers });
      expect(result.body.toString()).toBe('ok');
    }
    // Where the next response begins is uncertain after two framings.
    expect(connectionCount()).toBe(/Transfer-Encoding/.test(text) ? 2 : 1);
  },
);

test('interim responses are skipped, however they are split into packets', async () => {
  const text = `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\n${okay}`;
  const { origin } = await startReceiver((request) => {
    const at = Number(request.url?.slice(1));
    request.socket.write(text.slice(0, at));
    setTimeout(() => request.socket.end(text.slice(at)), 30);
  });
  const send = makeSender({ connectionsPerOrigin: 2 * text.length, timeoutMs: 10_000 });
  const results = await Promise.all(Array.from(text, (_character, at) => send(`${origin}/${at}`)));
  expect(results.map((result) => responseOf(result).body.toString())).toEqual(Array.from(text, () => 'ok'));
});

test('304 has no body, with any Content-Length', async () => {
  const { origin } = await startRawReceiver((socket) => {
    socket.on('data', () => socket.write('HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n'));
  });
  expect(responseOf(await makeSender()(origin))).toMatchObject({ statusCode: 304, truncated: false });
});

test('a body that ends with the connection is truncated where the connection was reset', async () => {
  const { origin } = await startRawReceiver((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\nhalf');
      setTimeout(() => socket.resetAndDestroy(), 30);
    });
  });
  const result = responseOf(await makeSender()(origin));
  expect(result).toMatchObject({ statusCode: 200, truncated: true });
  expect(result.body.toString()).toBe('half');
});

test.each([
  ['a bad chunk', 'Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n', true],
  ['more than its length', `${okay}more`, false],
])('the response stands where its body goes wrong: %s', async (_name, rest, truncated) => {
  const { origin } = await startRawReceiver((socket) => {
    socket.on('data', () => socket.write(`HTTP/1.1 200 OK\r\n${rest}`));
  });
  const result = responseOf(await makeSender()(origin));
  expect(result).toMatchObject({ statusCode: 200, truncated });
  expect(result.body.toString()).toBe('ok');
});

test('a body without end is cut at the deadline, and the response stands', async () => {
  const { origin } = await startReceiver((_request, response) => {
    const timer = setInterval(() => response.write('more '), 20);
    response.on('close', () => clearInterval(timer));
  });
  const result = responseOf(await makeSender({ timeoutMs: 400 })(origin));
  expect(result).toMatchObject({ statusCode: 200, truncated: true });
  expect(result.body.toString()).toMatch(/^(more )+$/);
  expect(result.durationMs).toBeGreaterThan(350);
  expect(result.durationMs).toBeLessThan(10_000);
});

test.each([
  [16 * 1024, false],
  [16 * 1024 + 1, true],
])('of a body of %i bytes 16 KiB are kept, truncated: %s', async (size, truncated) => {
  const { origin } = await startReceiver((_request, response) => void response.end('x'.repeat(size)));
  const result = responseOf(await makeSender()(origin));
  expect(result.truncated).toBe(truncated);
  expect(result.body.length).toBe(16 * 1024);
});

test('a body of 1 GiB costs neither time nor memory, and ends its connection', async () => {
  let closed: Promise<unknown> = Promise.resolve();
  const { origin } = await startRawReceiver((socket) => {
    closed = new Promise((resolve) => {
      socket.once('close', resolve);
    });
    const piece = Buffer.alloc(1024 * 1024, 'x');
    const pour = (): void => {
      while (socket.writable && socket.write(piece));
    };
    socket.on('drain', pour);
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${1024 ** 3}\r\n\r\n`);
      pour();
    });
  });
  const before = process.memoryUsage.rss();
  const result = responseOf(await makeSender()(origin));
  expect(result).toMatchObject({ statusCode: 200, truncated: true });
  expect(result.body.length).toBe(16 * 1024);
  // Not only cut at the deadline.
  expect(result.durationMs).toBeLessThan(15_000);
  expect(process.memoryUsage.rss() - before).toBeLessThan(128 * 1024 * 1024);
  await closed;
});

test('a body that breaks off is truncated, and the response stands', async () => {
  const { origin } = await startRawReceiver((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
      setTimeout(() => socket.resetAndDestroy(), 30);
    });
  });
  const result = responseOf(await makeSender()(origin));
  expect(result).toMatchObject({ statusCode: 200, truncated: true });
  expect(result.body.toString()).toBe('half');
});

test('a compressed body is not inflated', async () => {
  const bomb = gzipSync(Buffer.alloc(8 * 1024 * 1024));
  const { origin } = await startReceiver((_request, response) => {
    response.writeHead(200, { 'Content-Encoding': 'gzip' });
    response.end(bomb);
  });
  const result = responseOf(await makeSender()(origin));
  expect(result.body.equals(bomb.subarray(0, 16 * 1024))).toBe(true);
});

test('64 of many headers are kept, Retry-After among them', async () => {
  const { origin } = await startReceiver((_request, response) => {
    for (let n = 0; n < 100; n += 1) response.setHeader(`x-${n}`, 'y'.repeat(20));
    response.setHeader('set-cookie', ['a=1', 'b=2']);
    response.setHeader('retry-after', '9');
    response.writeHead(503).end();
  });
  const { headers } = responseOf(await makeSender()(origin));
  expect(Object.keys(headers)).toHaveLength(64);
  expect(headers['retry-after']).toBe('9');
});

test('8 KiB of long headers are kept', async () => {
  const { origin } = await startReceiver((_request, response) => {
    for (let n = 0; n < 10; n += 1) response.setHeader(`x-${n}`, 'y'.repeat(1_000));
    response.setHeader('via', ['one', 'two']);
    response.end();
  });
  const { headers } = responseOf(await makeSender()(origin));
  expect(JSON.stringify(headers).length).toBeLessThan(8.5 * 1024);
  expect(headers['x-0']).toHaveLength(1_000);
  expect(headers['via']).toBe('one, two');
});

test('headers that a caller may not send are refused before anything is sent', async () => {
  const { origin, connectionCount } = await startReceiver((_request, response) => void response.end());
  const sender = createSender({ guard, timeoutMs: 400 });
  const request = { url: origin, accountId: 'acc_1', body: Buffer.from('{}') };
  for (const headers of [
    { 'X-A': 'a\r\nX-B: b' },
    { 'X-A': 'a\nb' },
    { 'X-A': '\u0000' },
    { 'X-A': '☃' },
    { 'X A': 'a' },
    { '': 'a' },
    { Host: 'elsewhere.example' },
    { 'Content-Length': '0' },
    { 'Transfer-Encoding': 'chunked' },
  ]) {
    await expect(sender.send({ ...request, headers: { ...headers } })).rejects.toThrow(TypeError);
  }
  expect(connectionCount()).toBe(0);
  await sender.close();
  await expect(sender.send({ ...request, headers: {} })).rejects.toThrow('closed');
});
