import { expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { choosePort } from '../../src/embedded/free-port.ts';
import { createAddressGuard } from '../../src/outbound/address-guard.ts';
import { classifyFailure } from '../../src/outbound/attempt-failure.ts';
import { createSender, type SenderOptions, type SendResult } from '../../src/outbound/sender.ts';
import { failingLookup, lookupOf } from '../kit/lookups.ts';
import { startNameServer } from '../kit/name-server.ts';
import { makeCertificate, startRawReceiver, startReceiver } from '../kit/raw-receiver.ts';

const guard = createAddressGuard({ production: false, allowedCidrs: [] });
const timeoutMs = 400;
/** For attempts that end by themselves, also on a machine with other work. */
const longMs = 20_000;

function send(url: string, options: Partial<SenderOptions> = {}): Promise<SendResult> {
  const sender = createSender({ guard, timeoutMs: longMs, ...options });
  onTestFinished(() => sender.close());
  return sender.send({ url, accountId: 'acc_1', headers: {}, body: Buffer.from('{}') });
}

async function codeOf(result: Promise<SendResult>): Promise<string | number> {
  const ended = await result;
  return ended.kind === 'failed' ? ended.code : ended.statusCode;
}

function expectAround({ durationMs }: SendResult, expectedMs: number): void {
  expect(durationMs).toBeGreaterThanOrEqual(expectedMs - 20);
  expect(durationMs).toBeLessThan(expectedMs + 10_000);
}

test('a receiver without a response is a timeout', async () => {
  const { origin } = await startRawReceiver(() => {});
  const result = await send(origin, { timeoutMs });
  expect(result).toMatchObject({ kind: 'failed', code: 'timeout_response' });
  expectAround(result, timeoutMs);
});

test('an attempt without a response ends after the default 5 s', async () => {
  const { origin } = await startRawReceiver(() => {});
  const result = await send(origin, { timeoutMs: 5_000 });
  expect(result).toMatchObject({ kind: 'failed', code: 'timeout_response' });
  expectAround(result, 5_000);
});

test('headers that drip byte by byte do not extend the deadline', async () => {
  const { origin } = await startRawReceiver((socket) => {
    const bytes = 'HTTP/1.1 200 OK\r\nX-Long: '.split('');
    const timer = setInterval(() => socket.write(bytes.shift() ?? 'z'), 5);
    socket.on('close', () => clearInterval(timer));
  });
  const result = await send(origin, { timeoutMs });
  expect(result).toMatchObject({ kind: 'failed', code: 'timeout_response' });
  expectAround(result, timeoutMs);
});

test('interim responses do not extend the deadline', async () => {
  const { origin } = await startRawReceiver((socket) => {
    const timer = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 50);
    socket.on('close', () => clearInterval(timer));
  });
  expectAround(await send(origin, { timeoutMs }), timeoutMs);
});

test('a TLS handshake that never finishes is a timeout', async () => {
  const { origin } = await startRawReceiver(() => {}, 'https');
  const result = await send(origin, { timeoutMs });
  expect(result).toMatchObject({ kind: 'failed', code: 'timeout_tls' });
  expectAround(result, timeoutMs);
});

test('a lookup that never ends is a DNS timeout', async () => {
  const { nameServers } = await startNameServer(() => 'silence');
  const result = await send('https://example.com/', { nameServers, timeoutMs });
  expect(result).toMatchObject({ kind: 'failed', code: 'timeout_dns' });
  expectAround(result, timeoutMs);
});

test('a port where nobody listens is a refused connection', async () => {
  const port = await reservePort();
  expect(await codeOf(send(`http://127.0.0.1:${port}`))).toBe('connection_refused');
  // Two addresses, two refusals: Node reports an AggregateError.
  const { lookup } = lookupOf(['::1', '127.0.0.1']);
  expect(await codeOf(send(`http://localhost:${port}`, { lookup }))).toBe('connection_refused');
});

test('a reset instead of a response is a connection reset', async () => {
  const { origin } = await startRawReceiver((socket) => {
    socket.once('data', () => socket.resetAndDestroy());
  });
  expect(await codeOf(send(origin))).toBe('connection_reset');
});

test('a reset in the middle of the headers is a connection reset', async () => {
  const { origin } = await startRawReceiver((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nX-A');
      setTimeout(() => socket.resetAndDestroy(), 30);
    });
  });
  expect(await codeOf(send(origin))).toBe('connection_reset');
});

test.each(['', 'HTTP/1.1 200 OK\r\nX-A: b\r\n'])(
  'a connection closed without a whole response (%j) is reported as such',
  async (text) => {
    const { origin } = await startRawReceiver((socket) => {
      socket.once('data', () => socket.end(text));
    });
    expect(await codeOf(send(origin))).toBe('connection_closed');
  },
);

test('a connection closed at once is reported as such', async () => {
  const { origin } = await startRawReceiver((socket) => void socket.destroy());
  expect(['connection_closed', 'connection_reset']).toContain(await codeOf(send(origin)));
});

test.each([
  ['garbage', 'SSH-2.0-OpenSSH_9.9\r\n'],
  ['garbage without end', '\u0000'.repeat(5_000)],
  ['a header bomb', `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(50_000)}\r\n`],
  ['one endless header', `HTTP/1.1 200 OK\r\nX-A: ${'b'.repeat(70_000)}`],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc'],
  ['status 099', 'HTTP/1.1 099 What\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 42 What\r\n\r\n'],
  ['101 with upgrade', 'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n'],
  ['101 without upgrade', 'HTTP/1.1 101 Switching\r\n\r\n'],
  ['a flood of interim responses', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100)],
])('malformed: %s', async (_name, text) => {
  const { origin } = await startRawReceiver((socket) => {
    socket.once('data', () => socket.write(text, 'latin1'));
  });
  expect(await codeOf(send(origin))).toBe('malformed_response');
});

test.each([
  [
    'Content-Length: 2\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok',
    'Duplicate Content-Length',
    200,
    { 'content-length': '2, 2', 'x-a': 'b' },
  ],
  ['X-A: b\r\nContent-Length: 2, 2\r\n\r\nok', 'Invalid character in Content-Length', 200, { 'x-a': 'b' }],
  ['__proto__: b\r\nX A\r\n\r\n', 'Invalid header token', 200, { ['__proto__']: 'b' }],
  [`X-A: b\r\nX-B: ${'c'.repeat(70_000)}`, 'its headers are larger than 64 KiB', 200, { 'x-a': 'b' }],
  ['SSH-2.0-OpenSSH_9.9\r\n', 'it does not begin with "HTTP/"', null, {}],
  [
    'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    'status 101: no other protocol was requested',
    101,
    { upgrade: 'websocket' },
  ],
  ['HTTP/1.1 099 What\r\nX-A: b\r\n\r\n', 'its status is 99', 99, { 'x-a': 'b' }],
  [
    'HTTP/1.1 103 Early Hints\r\nX-Early: x\r\n\r\nHTTP/1.1 200 OK\r\nX-A: b\r\nno header\r\n\r\n',
    'Invalid header token',
    200,
    { 'x-a': 'b' },
  ],
])(
  'malformed: the reason is named, and the readable part is kept (%#)',
  async (text, detail, statusCode, headers) => {
    const { origin } = await startRawReceiver((socket) => {
      socket.once('data', () => {
        const whole = /^(HTTP|SSH)/.test(text) ? text : `HTTP/1.1 200 OK\r\n${text}`;
        // In two packets: the part before the fault is not lost.
        socket.write(whole.slice(0, 25), 'latin1');
        setTimeout(() => socket.write(whole.slice(25), 'latin1'), 20);
      });
    });
    const result = await send(origin, { timeoutMs: 5_000 });
    expect(result).toMatchObject({ kind: 'failed', code: 'malformed_response', detail });
    if (result.kind !== 'failed') return;
    expect(result.response?.statusCode).toBe(statusCode);
    expect(Object.entries(result.response?.headers ?? {})).toEqual(
      expect.arrayContaining(Object.entries(headers)),
    );
    expect(result.response?.headers).not.toHaveProperty('x-early');
  },
);

test.each([100, 102, 103])('a final response %i with nothing after it is malformed', async (status) => {
  const { origin } = await startRawReceiver((socket) => {
    socket.once('data', () => socket.end(`HTTP/1.1 ${status} Interim\r\n\r\n`));
  });
  expect(await codeOf(send(origin))).toBe('malformed_response');
});

test.each([
  ['no such name', 'nxdomain', 'dns_not_found'],
  ['a name without addresses', [], 'dns_not_found'],
  ['a name server that fails', 'servfail', 'dns_failure'],
  ['a name server that refuses', 'refused', 'dns_failure'],
] as const)('%s', async (_name, reply, expected) => {
  const { nameServers } = await startNameServer(() => (typeof reply === 'string' ? reply : []));
  expect(await codeOf(send('https://example.com/', { nameServers }))).toBe(expected);
});

test('a name server’s address where nothing listens is a DNS failure', async () => {
  // Not a reserved one: UDP of that number would be held.
  const nameServers = [`127.0.0.1:${await choosePort('127.0.0.1', [])}`];
  expect(await codeOf(send('https://example.com/', { nameServers }))).toBe('dns_failure');
});

test.each(['a..example.com', `${'a'.repeat(64)}.example.com`, `${'abc.'.repeat(70)}example.com`])(
  'a name that cannot exist is a DNS failure: %s',
  async (host) => {
    const { nameServers, queries } = await startNameServer(() => ['127.0.0.1']);
    expect(await codeOf(send(`https://${host}/`, { nameServers }))).toBe('dns_not_found');
    expect(queries).toEqual([]);
  },
);

test.each([
  ['ENOTFOUND', 'dns_not_found'],
  ['ENODATA', 'dns_not_found'],
  ['ETIMEOUT', 'timeout_dns'],
  ['ESERVFAIL', 'dns_failure'],
  ['EBADRESP', 'dns_failure'],
])('the lookup fails with %s', async (code, expected) => {
  expect(await codeOf(send('https://example.com/', { lookup: failingLookup(code) }))).toBe(expected);
});

test('an unverifiable certificate is a TLS failure', async () => {
  const yesterday = new Date(Date.now() - 86_400_000);
  const trusted = makeCertificate(['localhost']);
  const expired = makeCertificate(['localhost'], yesterday);
  const misnamed = makeCertificate(['other.example']);
  const cases = [
    { certificate: trusted, ca: undefined },
    { certificate: expired, ca: expired.cert },
    { certificate: misnamed, ca: misnamed.cert },
    { certificate: trusted, ca: misnamed.cert },
  ];
  for (const { certificate, ca } of cases) {
    let requests = 0;
    const { port } = await startReceiver((_request, response) => {
      requests += 1;
      response.end();
    }, certificate);
    expect(await codeOf(send(`https://localhost:${port}`, { ca }))).toBe('tls_certificate');
    expect(requests).toBe(0);
  }
});

test('a TLS session with the wrong host is not taken up again', async () => {
  const misnamed = makeCertificate(['other.example']);
  let requests = 0;
  const { port } = await startReceiver(
    (_request, response) => {
      requests += 1;
      response.end();
    },
    // In TLS 1.2 the session is known before the certificate's name is checked, and a resumed one is not checked.
    Object.assign(misnamed, { maxVersion: 'TLSv1.2' as const }),
  );
  const sender = createSender({ guard, timeoutMs: longMs, ca: misnamed.cert });
  onTestFinished(() => sender.close());
  const request = {
    url: `https://localhost:${port}`,
    accountId: 'acc_1',
    headers: {},
    body: Buffer.from('{}'),
  };
  for (let n = 0; n < 3; n += 1) expect(await codeOf(sender.send(request))).toBe('tls_certificate');
  expect(requests).toBe(0);
});

test('a port without TLS is a TLS failure', async () => {
  const plain = await startReceiver((_request, response) => void response.end());
  expect(await codeOf(send(plain.origin.replace('http:', 'https:')))).toBe('tls_failure');
  const garbage = await startRawReceiver((socket) => {
    socket.once('data', () => socket.write('no TLS here, sorry\r\n\r\n'));
  }, 'https');
  expect(await codeOf(send(garbage.origin))).toBe('tls_failure');
});

test('a connection that ends in the TLS handshake is reported as such', async () => {
  const closing = await startRawReceiver((socket) => {
    socket.once('data', () => socket.end());
  }, 'https');
  expect(await codeOf(send(closing.origin))).toBe('connection_closed');
  const resetting = await startRawReceiver((socket) => {
    socket.once('data', () => socket.resetAndDestroy());
  }, 'https');
  expect(await codeOf(send(resetting.origin))).toBe('connection_reset');
});

test('the caller’s own abort rejects with its reason, and ends the connection', async () => {
  const { origin, sockets } = await startRawReceiver((socket) => void socket.resume());
  const sender = createSender({ guard, timeoutMs: 5_000 });
  onTestFinished(() => sender.close());
  const controller = new AbortController();
  const request = { url: origin, accountId: 'acc_1', headers: {}, body: Buffer.from('{}') };
  const sent = sender.send({ ...request, signal: controller.signal });
  setTimeout(() => controller.abort(new Error('shutting down')), 50);
  await expect(sent).rejects.toThrow('shutting down');
  await expect.poll(() => sockets.size).toBe(0);
});

test.each([
  ['EHOSTUNREACH', 'connect', 'host_unreachable'],
  ['ENETUNREACH', 'connect', 'host_unreachable'],
  ['ETIMEDOUT', 'connect', 'timeout_connect'],
  ['EPIPE', 'response', 'connection_reset'],
  ['EMFILE', 'connect', 'network_failure'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'response', 'tls_failure'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'tls', 'tls_certificate'],
] as const)('%s in phase %s is %s', (code, phase, expected) => {
  expect(classifyFailure(Object.assign(new Error(code), { code, syscall: 'x' }), phase)).toBe(expected);
});

test('the most useful failure of several addresses is reported', () => {
  const failures = ['ENETUNREACH', 'ETIMEDOUT', 'ECONNREFUSED'].map((code) =>
    Object.assign(new Error(code), { code, syscall: 'connect' }),
  );
  expect(classifyFailure(new AggregateError(failures), 'connect')).toBe('connection_refused');
  expect(classifyFailure(new AggregateError(failures.slice(0, 1)), 'connect')).toBe('host_unreachable');
});
