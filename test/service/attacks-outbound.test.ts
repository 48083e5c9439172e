import { once } from 'node:events';
import { createServer } from 'node:https';
import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Attempt } from '../../src/contracts/attempt-schema.ts';
import { createAddressGuard, type AddressGuard } from '../../src/outbound/address-guard.ts';
import { createSender, type SenderOptions } from '../../src/outbound/sender.ts';
import { publishOne, waitForStatus } from '../kit/delivery-steps.ts';
import { startNameServer } from '../kit/name-server.ts';
import { makeCertificate, startRawReceiver, startReceiver } from '../kit/raw-receiver.ts';
import { call, startService, until, type Service } from '../kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '' });
});
afterAll(() => service.stop());

const guard = createAddressGuard({ production: true, allowedCidrs: [] });

function sending(options: Partial<SenderOptions>): (url: string) => Promise<string | number> {
  const sender = createSender({ guard, timeoutMs: 3000, ...options });
  onTestFinished(() => sender.close());
  return async (url) => {
    const result = await sender.send({ url, accountId: 'acc_1', headers: {}, body: Buffer.from('{}') });
    return result.kind === 'responded' ? result.statusCode : result.code;
  };
}

test.runIf(process.platform === 'linux')(
  'a name that its owner points to this machine after it was judged reaches nothing here',
  async () => {
    const certificate = makeCertificate(['rebind.example']);
    const victim = await startReceiver((_request, response) => void response.end(), certificate);
    // Stands for a public address, so that nothing leaves this machine.
    const publicAddress = '127.0.0.77';
    const judging: AddressGuard = {
      ...guard,
      checkAddress: (address, host) => address === publicAddress || guard.checkAddress(address, host),
    };
    let publicRequests = 0;
    const publicServer = createServer(certificate, (_request, response) => {
      publicRequests += 1;
      response.setHeader('Connection', 'close').end();
    });
    publicServer.listen(victim.port, publicAddress);
    await once(publicServer, 'listening');
    onTestFinished(() => void publicServer.close());

    const { nameServers, queries } = await startNameServer((_name, earlier) =>
      earlier === 0 ? [publicAddress] : ['127.0.0.1'],
    );
    // Cached addresses have tests of their own (outbound-names.test.ts); here the name is looked up every time.
    const send = sending({ guard: judging, nameServers, ca: certificate.cert, keepNamesMs: 0 });
    const url = `https://rebind.example:${victim.port}/`;
    // One lookup for one connection: the judged address is the dialled one.
    expect(await send(url)).toBe(200);
    expect([publicRequests, queries]).toEqual([1, ['rebind.example']]);
    expect(await send(url)).toBe('blocked_address');
    expect(await Promise.all(Array.from({ length: 10 }, () => send(url)))).toEqual(
      Array.from({ length: 10 }, () => 'blocked_address'),
    );

    // Both at once, in either order: the public one alone is dialled.
    for (const addresses of [
      ['127.0.0.1', publicAddress],
      [publicAddress, '127.0.0.1'],
    ]) {
      const both = await startNameServer(() => addresses);
      expect(
        await sending({ guard: judging, nameServers: both.nameServers, ca: certificate.cert })(url),
      ).toBe(200);
    }
    expect(publicRequests).toBe(3);
    expect(victim.connectionCount()).toBe(0);
  },
);

test.each([
  '127.0.0.1',
  '0.0.0.0',
  '10.0.0.1',
  '100.64.0.1',
  '169.254.169.254',
  '172.16.0.1',
  '192.168.0.1',
  '::1',
  '::',
  '::ffff:127.0.0.1',
  '64:ff9b::7f00:1',
  'fd00:ec2::254',
  'fe80::1',
])('a name that means %s is not dialled', async (address) => {
  const { port, connectionCount } = await startReceiver((_request, response) => void response.end());
  const { nameServers, queries } = await startNameServer(() => [address]);
  expect(await sending({ nameServers })(`https://inside.example:${port}/`)).toBe('blocked_address');
  expect(queries).toEqual(['inside.example']);
  expect(connectionCount()).toBe(0);
});

test.each([301, 302, 303, 307, 308])('a redirect (%i) leads nowhere', async (status) => {
  const victim = await startReceiver((_request, response) => void response.end());
  const targets = [`${victim.origin}/admin`, `//127.0.0.1:${victim.port}/`, 'http://169.254.169.254/latest/'];
  let requests = 0;
  const receiver = await startReceiver((_request, response) => {
    response.writeHead(status, { Location: targets[requests] ?? '', Refresh: `0; url=${targets[0]}` }).end();
    requests += 1;
  });
  const { webhook_id: id } = await service.newWebhook(receiver.origin);
  for (const _target of targets) {
    const delivery = await waitForStatus(service, await publishOne(service), 'failed');
    expect(delivery.reason).toBe('retries_exhausted');
    expect(delivery.attempts).toMatchObject([{ status_code: status, error: { code: 'redirect' } }]);
  }
  expect(requests).toBe(targets.length);
  expect(victim.connectionCount()).toBe(0);
  await service.call('DELETE', `/v1/webhooks/${id}`);
});

test('test events of a receiver that hangs leave its connections to others', async () => {
  let underWay = 0;
  const receiver = await startReceiver((request, response) => {
    if (request.url !== '/slow') return void response.end();
    underWay += 1;
    response.on('close', () => (underWay -= 1));
  });
  const newCaller = async (path: string) => {
    const { key } = await service.newAccount();
    const url = receiver.origin + path;
    const made = await call<{ webhook_id: string }>(service.apiUrl, key, 'POST', '/v1/webhooks', {
      url,
      events: ['*'],
    });
    const request = { webhook_id: made.body.webhook_id, event: 'document.uploaded' };
    return () =>
      call<{ code?: string; attempt?: Attempt }>(service.apiUrl, key, 'POST', '/v1/webhooks/test', request);
  };
  const testSlow = await newCaller('/slow');
  const testQuick = await newCaller('/');
  const slow = Array.from({ length: 10 }, testSlow);
  await until(
    () => underWay,
    (count) => count === 4,
  );
  expect((await testQuick()).body.attempt?.outcome).toBe('delivered');
  const results = await Promise.all(slow);
  expect(results.filter(({ status }) => status === 200)).toHaveLength(4);
  const refused = results.filter(({ status }) => status === 503);
  expect(refused).toHaveLength(6);
  expect(refused[0]?.body.code).toBe('unavailable');
});

test('of a decompression bomb as a response, 64 KiB are shown and no more is unpacked', async () => {
  const bomb = gzipSync(Buffer.alloc(128 * 1024 * 1024));
  expect(bomb.length).toBeGreaterThan(100_000);
  const receiver = await startReceiver((_request, response) => {
    response.writeHead(200, { 'Content-Encoding': 'gzip', 'Content-Type': 'application/json' }).end(bomb);
  });
  const { webhook_id: id } = await service.newWebhook(receiver.origin);
  const memoryBefore = process.memoryUsage().rss;
  const { attempts } = await waitForStatus(service, await publishOne(service), 'delivered');
  const response = attempts[0]?.response;
  expect(response?.truncated).toBe(true);
  expect(response?.body.length).toBe(64 * 1024);
  expect(process.memoryUsage().rss - memoryBefore).toBeLessThan(100 * 1024 * 1024);
  await service.call('DELETE', `/v1/webhooks/${id}`);
});

test('a response of bytes that are no text is kept, and described', async () => {
  const odd = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256));
  const receiver = await startRawReceiver((socket) => {
    socket.once('data', () => {
      socket.write(
        'HTTP/1.1 200 OK\r\nX-Odd: \x80\xff\t"\\\r\nX-Nul: a\0b\x1b\r\n__proto__: x\r\nConstructor: y\r\n',
        'latin1',
      );
      socket.write(`Content-Length: ${odd.length}\r\n\r\n`);
      socket.end(odd);
    });
  });
  const { webhook_id: id } = await service.newWebhook(receiver.origin);
  const { attempts } = await waitForStatus(service, await publishOne(service), 'delivered');
  expect(attempts[0]?.response?.body).toBe('(binary, 512 bytes)');
  expect(attempts[0]?.response?.headers).toMatchObject({ 'x-nul': 'a\ufffdb\ufffd', constructor: 'y' });
  expect(Object.keys(attempts[0]?.response?.headers ?? {})).toContain('x-odd');
  await service.call('DELETE', `/v1/webhooks/${id}`);
});

/** The heads of the requests that came, as they were on the wire, and their bodies. */
async function startHeadReader(): Promise<{ origin: string; requests: { head: string; body: string }[] }> {
  const requests: { head: string; body: string }[] = [];
  const { origin } = await startRawReceiver((socket: Socket) => {
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
      const [head = '', body = ''] = text.split(/\r\n\r\n(.*)/s);
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN);
      if (!(body.length >= length)) return;
      requests.push({ head, body });
      text = '';
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
  });
  return { origin, requests };
}

test('no value of an event, an id or a URL adds a header to the request, or changes one', async () => {
  const { key } = await service.newAccount();
  const api = <T>(path: string, body: unknown) => call<T>(service.apiUrl, key, 'POST', path, body);
  const { origin, requests } = await startHeadReader();
  const evil = 'x\r\nX-Evil: 1\r\n\r\nPOST /evil HTTP/1.1\r\nHost: evil\r\n\r\n';
  const url = `${origin}/events%0d%0aX-Evil:%201?q=%0D%0AX-Evil:%201`;
  const webhook = { url, events: ['*'] };
  expect((await api('/v1/webhooks', { ...webhook, description: evil })).status).toBe(422);
  const made = await api<{ webhook_id: string }>('/v1/webhooks', webhook);
  expect(made.status).toBe(201);

  const data = { document_id: evil, dataset_id: evil };
  const event = 'document.uploaded';
  const accepted = [
    { event, data: { ...data, filename: evil, status: evil } },
    { event, data: { ...data, metadata: { [evil]: evil, list: [evil], 'webhook-id': 'evil' } } },
    { event: 'document.processing_failed', data: { ...data, error: { code: evil, message: evil } } },
    { event: 'dataset.updated', data: { dataset_id: evil, changes: { [evil]: { [evil]: evil } } } },
  ];
  for (const body of accepted) expect((await api('/v1/events', body)).status).toBe(202);
  for (const change of [
    { id: 'evt_1\r\nX-Evil: 1' },
    { id: 'evt_1\n' },
    { id: 'evt_1\u0000' },
    { id: 'évt' },
    { event: `${event}\r\nX-Evil: 1` },
    { timestamp: '2024-01-10T12:05:00Z\r\nX-Evil: 1' },
    { timestamp: '2024-01-10T12:05:00Z\n' },
  ]) {
    expect((await api('/v1/events', { event, data, ...change })).status).toBe(422);
  }
  for (const target of [`${origin}/\r\nX-Evil: 1`, `${origin}/\n`, `${origin}\r\n/`, `${origin}/ HTTP/1.1`]) {
    expect((await api('/v1/webhooks', { url: target, events: ['*'] })).status).toBe(422);
  }
  const tested = await api<{ attempt: Attempt }>('/v1/webhooks/test', {
    webhook_id: made.body.webhook_id,
    event,
  });
  expect(tested.body.attempt.outcome).toBe('delivered');

  await until(
    () => requests.length,
    (count) => count === accepted.length + 1,
  );
  const names = [
    ['connection', 'content-length', 'content-type', 'host', 'user-agent'],
    ['webhook-id', 'webhook-signature', 'webhook-timestamp'],
    ['x-fltr-delivery', 'x-fltr-event', 'x-fltr-signature'],
  ].flat();
  for (const { head, body } of requests) {
    const [requestLine, ...lines] = head.split('\r\n');
    expect(requestLine).toBe('POST /events%0d%0aX-Evil:%201?q=%0D%0AX-Evil:%201 HTTP/1.1');
    const found = lines.map((line) => line.slice(0, line.indexOf(':')).toLowerCase());
    expect(found.filter((name) => name !== 'x-fltr-test').sort()).toEqual(names);
    expect(lines.join('\n')).not.toMatch(/evil/i);
    expect(head).not.toMatch(/[^\r]\n/);
    // JSON writes line breaks as \r\n in six letters.
    expect(body).not.toMatch(/[\r\n]/);
  }
  expect(requests.filter(({ head }) => /^x-fltr-test: true$/im.test(head))).toHaveLength(1);
});
