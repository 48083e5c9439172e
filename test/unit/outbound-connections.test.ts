import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createAddressGuard, type AddressGuard } from '../../src/outbound/address-guard.ts';
import { createConnectionPool } from '../../src/outbound/connection-pool.ts';
import { createConnector } from '../../src/outbound/guarded-connector.ts';
import { startProgress, type Progress } from '../../src/outbound/progress.ts';
import { createSender, type SenderOptions, type SendResult } from '../../src/outbound/sender.ts';
import { lookupOf } from '../kit/lookups.ts';
import { makeCertificate, startRawReceiver, startReceiver } from '../kit/raw-receiver.ts';

const guard = createAddressGuard({ production: false, allowedCidrs: [] });
const body = Buffer.from('{}');
const emptyResponse = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

function makeSender(options: Partial<SenderOptions> = {}): (url: string) => Promise<string | number> {
  const sender = createSender({ guard, timeoutMs: 20_000, ...options });
  onTestFinished(() => sender.close());
  return async (url) => outcome(await sender.send({ url, accountId: 'acc_1', headers: {}, body }));
}

function outcome(result: SendResult): string | number {
  return result.kind === 'responded' ? result.statusCode : result.code;
}

/** An attempt without a deadline. */
function endless(): Progress {
  return { phase: 'wait', ended: undefined, onEnd: undefined };
}

describe('the guard at the socket', () => {
  test('a refused literal is not dialled', async () => {
    const { port, connectionCount } = await startReceiver((_request, response) => void response.end());
    const production = createAddressGuard({ production: true, allowedCidrs: [] });
    expect(await makeSender({ guard: production })(`https://127.0.0.1:${port}`)).toBe('blocked_address');
    expect(await makeSender()(`https://127.0.0.2:${port}`)).toBe('blocked_address');
    expect(await makeSender()(`https://[::ffff:127.0.0.1]:${port}`)).toBe('blocked_address');
    // Even when the check of the URL were forgotten.
    const forgetful: AddressGuard = { ...production, checkUrl: (url) => ({ ok: true, url: new URL(url) }) };
    expect(await makeSender({ guard: forgetful })(`https://127.0.0.1:${port}`)).toBe('blocked_address');
    expect(connectionCount()).toBe(0);
  });

  test('a name that first resolves to a public and then to a loopback address reaches nothing', async () => {
    const { port, connectionCount } = await startReceiver((_request, response) => void response.end());
    const { lookup, hosts } = lookupOf(['93.184.216.34'], ['127.0.0.1']);
    await lookup('example.com').addresses;
    const send = makeSender({ lookup });
    expect(await send(`https://example.com:${port}`)).toBe('blocked_address');
    expect(await send(`https://example.com:${port}`)).toBe('blocked_address');
    // Once for each connection: the judged address is the dialled one.
    expect(hosts).toHaveLength(3);
    expect(connectionCount()).toBe(0);
  });

  test('of mixed addresses only the allowed ones are dialled', async () => {
    const { port, connectionCount } = await startReceiver((_request, response) => void response.end());
    const mixed = lookupOf(['10.0.0.1', '169.254.169.254', '127.0.0.1', '93.184.216.34']);
    // localhost may mean loopback only, so nothing but 127.0.0.1 is left.
    expect(await makeSender({ lookup: mixed.lookup })(`http://localhost:${port}`)).toBe(200);
    expect(connectionCount()).toBe(1);
    const judged: string[] = [];
    const watching: AddressGuard = {
      ...guard,
      checkAddress: (address) => {
        judged.push(address);
        return false;
      },
    };
    expect(await makeSender({ guard: watching, lookup: mixed.lookup })('https://example.com/')).toBe(
      'blocked_address',
    );
    expect(judged).toEqual(['10.0.0.1', '169.254.169.254', '127.0.0.1', '93.184.216.34']);
  });

  test.each(['http', 'https'])('the peer is judged before a byte is written (%s)', async (scheme) => {
    let received = 0;
    const { port, connectionCount, sockets } = await startRawReceiver((socket) => {
      socket.on('data', (chunk) => (received += chunk.length));
    });
    let calls = 0;
    const changing: AddressGuard = { ...guard, checkAddress: () => (calls += 1) === 1 };
    expect(await makeSender({ guard: changing })(`${scheme}://localhost:${port}`)).toBe('blocked_address');
    await expect.poll(connectionCount).toBe(1);
    await expect.poll(() => sockets.size).toBe(0);
    expect(received).toBe(0);
  });

  test('attempts at the same time share one lookup', async () => {
    const { port } = await startReceiver((_request, response) => void response.end());
    const { lookup, hosts } = lookupOf(['127.0.0.1']);
    const send = makeSender({ lookup });
    const url = `http://localhost:${port}`;
    expect(await Promise.all([send(url), send(url), send(url)])).toEqual([200, 200, 200]);
    expect(hosts).toEqual(['localhost']);
  });
});

describe('keep-alive', () => {
  test.each([false, true])('attempts in turn travel on one connection (TLS: %s)', async (isTls) => {
    const certificate = makeCertificate(['127.0.0.1']);
    const { origin, connectionCount } = await startReceiver(
      (_request, response) => void response.end('ok'),
      isTls ? certificate : undefined,
    );
    const send = makeSender({ ca: certificate.cert });
    for (let n = 0; n < 5; n += 1) expect(await send(`${origin}/${n}`)).toBe(200);
    expect(connectionCount()).toBe(1);
  });

  test('a cut body ends its connection', async () => {
    const { origin, connectionCount } = await startReceiver(
      (_request, response) => void response.end('x'.repeat(100_000)),
    );
    const send = makeSender();
    expect(await send(origin)).toBe(200);
    expect(await send(origin)).toBe(200);
    expect(connectionCount()).toBe(2);
  });

  test('a receiver that closes after each response without saying so costs no attempt', async () => {
    const ways: ((socket: Socket) => void)[] = [
      (socket) => socket.end(),
      (socket) => socket.destroy(),
      (socket) => socket.resetAndDestroy(),
    ];
    for (const close of ways) {
      const { origin } = await startRawReceiver((socket) => {
        socket.once('data', () => {
          socket.write(emptyResponse);
          setTimeout(() => close(socket), Math.random() * 4);
        });
      });
      const send = makeSender();
      for (let n = 0; n < 60; n += 1) {
        expect(await send(origin)).toBe(200);
        await sleep(Math.random() * 5);
      }
    }
  });

  test.each([false, true])(
    'a reused connection that dies with the request is replaced once (TLS: %s)',
    async (isTls) => {
      const certificate = makeCertificate(['127.0.0.1']);
      let requests = 0;
      const { origin, connectionCount, sockets } = await startReceiver(
        (request, response) => {
          requests += 1;
          // Responds to the first request of each connection, and drops the second one without a response.
          if (Reflect.get(request.socket, 'wasUsed') === true) return request.socket.end();
          Reflect.set(request.socket, 'wasUsed', true);
          return void response.end();
        },
        isTls ? certificate : undefined,
      );
      const send = makeSender({ ca: certificate.cert });
      expect(await send(origin)).toBe(200);
      expect(await send(origin)).toBe(200);
      expect(requests).toBe(3);
      expect(connectionCount()).toBe(2);
      expect(sockets.size).toBeLessThanOrEqual(2);
    },
  );

  test('a fresh connection that dies is not replaced, nor is a second one', async () => {
    const { origin, connectionCount } = await startRawReceiver((socket, connection) => {
      socket.on('data', () => {
        if (connection === 1 && socket.bytesWritten === 0) socket.write(emptyResponse);
        else socket.resetAndDestroy();
      });
    });
    const send = makeSender();
    expect(await send(origin)).toBe(200);
    expect(await send(origin)).toBe('connection_reset');
    expect(connectionCount()).toBe(2);
    expect(await send(origin)).toBe('connection_reset');
    expect(connectionCount()).toBe(3);
  });

  test('a reused connection that dies within its response is not replaced', async () => {
    const { origin, connectionCount } = await startRawReceiver((socket) => {
      socket.on('data', () => {
        if (socket.bytesWritten === 0) socket.write(emptyResponse);
        else socket.end('HTTP/1.1 2');
      });
    });
    const send = makeSender();
    expect(await send(origin)).toBe(200);
    expect(await send(origin)).toBe('connection_closed');
    expect(connectionCount()).toBe(1);
  });

  test('sending again stays within the one deadline', async () => {
    const { origin } = await startRawReceiver((socket, connection) => {
      socket.on('data', () => {
        if (connection > 1) return;
        if (socket.bytesWritten === 0) socket.write(emptyResponse);
        else socket.end();
      });
    });
    const sender = createSender({ guard, timeoutMs: 2_000 });
    onTestFinished(() => sender.close());
    expect(outcome(await sender.send({ url: origin, accountId: 'acc_1', headers: {}, body }))).toBe(200);
    const result = await sender.send({ url: origin, accountId: 'acc_1', headers: {}, body });
    expect(outcome(result)).toBe('timeout_response');
  });

  test('bytes that nobody requested end an idle connection and are no later response', async () => {
    const { origin, sockets } = await startRawReceiver((socket, connection) => {
      socket.on('data', () => {
        socket.write(emptyResponse);
        if (connection === 1) setTimeout(() => socket.write('HTTP/1.1 500 Not Requested\r\n\r\n'), 10);
      });
    });
    const send = makeSender();
    expect(await send(origin)).toBe(200);
    await expect.poll(() => sockets.size).toBe(0);
    expect(await send(origin)).toBe(200);
  });

  test('a Keep-Alive header of the receiver bounds the idle time', async () => {
    const { origin, connectionCount } = await startReceiver((_request, response) => {
      response.setHeader('Keep-Alive', 'timeout=1');
      response.end();
    });
    const send = makeSender();
    expect(await send(origin)).toBe(200);
    expect(await send(origin)).toBe(200);
    expect(connectionCount()).toBe(2);
  });
});

describe('the pool', () => {
  test('an account gets half of an origin’s connections and no more; a waiting one gets a connection', async () => {
    let open = 0;
    let most = 0;
    const { origin, connectionCount } = await startReceiver((_request, response) => {
      open += 1;
      most = Math.max(most, open);
      setTimeout(() => {
        open -= 1;
        response.end();
      }, 20);
    });
    const send = makeSender({ connectionsPerOrigin: 6 });
    const results = await Promise.all(Array.from({ length: 30 }, () => send(origin)));
    expect(results).toEqual(Array.from({ length: 30 }, () => 200));
    expect(most).toBe(3);
    expect(connectionCount()).toBe(3);
  });

  test('a connection slot freed by a failure goes to a waiting attempt', async () => {
    const { origin } = await startRawReceiver((socket, connection) => {
      socket.once('data', () => {
        if (connection === 1) socket.resetAndDestroy();
        else socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n');
      });
    });
    const send = makeSender({ connectionsPerOrigin: 1 });
    expect(await Promise.all([send(origin), send(origin), send(origin)])).toEqual([
      'connection_reset',
      200,
      200,
    ]);
  });

  const client = { accountId: 'acc_1', isTest: false };

  test('an attempt that stops waiting for a connection slot gets none later', async () => {
    const { origin } = await startReceiver((_request, response) => void response.end());
    const pool = createConnectionPool({
      connect: createConnector({ guard, timeoutMs: 20_000 }),
      connectionsPerOrigin: 1,
      maxIdleConnections: 4,
    });
    const url = new URL(origin);
    const first = await pool.acquire(url, client, endless());
    await first.connect();
    const { progress } = startProgress(50);
    await expect(pool.acquire(url, client, progress)).rejects.toThrow('time for this attempt is over');
    expect(progress.phase).toBe('wait');
    first.release();
    expect(pool.stats()).toEqual({ origins: 1, idle: 1 });
    pool.close();
    expect(pool.stats()).toEqual({ origins: 0, idle: 0 });
  });

  test('idle connections are bounded over all origins, and origins are forgotten', async () => {
    const receivers = await Promise.all(
      Array.from({ length: 6 }, () => startReceiver((_request, response) => void response.end())),
    );
    const pool = createConnectionPool({
      connect: createConnector({ guard, timeoutMs: 20_000 }),
      connectionsPerOrigin: 2,
      maxIdleConnections: 4,
    });
    for (const { origin } of receivers) {
      const url = new URL(origin);
      const lease = await pool.acquire(url, client, endless());
      await (await lease.connect()).request({ url, headers: {}, body }, endless());
      lease.release();
    }
    expect(pool.stats()).toEqual({ origins: 4, idle: 4 });
    for (const { sockets } of receivers) for (const socket of sockets) socket.destroy();
    await expect.poll(() => pool.stats()).toEqual({ origins: 0, idle: 0 });
    pool.close();
  });

  test('200 sends at once to 200 origins leave as many idle connections as are allowed, and those are used', async () => {
    const receivers = await Promise.all(
      Array.from({ length: 200 }, () => startReceiver((_request, response) => void response.end())),
    );
    const openSockets = () => receivers.reduce((sum, { sockets }) => sum + sockets.size, 0);
    const connections = () => receivers.reduce((sum, { connectionCount }) => sum + connectionCount(), 0);
    const pool = createConnectionPool({
      connect: createConnector({ guard, timeoutMs: 10_000 }),
      connectionsPerOrigin: 2,
      maxIdleConnections: 50,
    });
    onTestFinished(() => pool.close());
    const send = async (origin: string): Promise<number> => {
      const url = new URL(origin);
      const lease = await pool.acquire(url, client, endless());
      const { statusCode } = await (await lease.connect()).request({ url, headers: {}, body }, endless());
      lease.release();
      return statusCode;
    };
    const sendToAll = () => Promise.all(receivers.map(({ origin }) => send(origin)));
    const allFine = Array.from({ length: 200 }, () => 200);

    expect(await sendToAll()).toEqual(allFine);
    expect(connections()).toBe(200);
    expect(pool.stats()).toEqual({ origins: 50, idle: 50 });
    await expect.poll(openSockets).toBe(50);

    expect(await sendToAll()).toEqual(allFine);
    expect(connections()).toBe(200 + 150);
    expect(pool.stats()).toEqual({ origins: 50, idle: 50 });
    await expect.poll(openSockets).toBe(50);

    await expect.poll(() => pool.stats()).toEqual({ origins: 0, idle: 0 });
    await expect.poll(openSockets).toBe(0);
  });

  test('a receiver that closes connections in the midst of a crowd of sends costs none of them', async () => {
    let requests = 0;
    const { origin, connectionCount } = await startReceiver((request, response) => {
      requests += 1;
      const { socket } = request;
      response.end();
      // Some at once, some when the next request is on its way.
      if (requests % 3 === 0) setTimeout(() => socket.destroy(), requests % 5);
    });
    const send = makeSender({ connectionsPerOrigin: 8, timeoutMs: 10_000 });
    const outcomes: (string | number)[] = [];
    const work = async (): Promise<void> => {
      for (let n = 0; n < 50; n += 1) outcomes.push(await send(origin));
    };
    await Promise.all(Array.from({ length: 20 }, work));
    expect(outcomes).toEqual(Array.from({ length: 1000 }, () => 200));
    expect(connectionCount()).toBeGreaterThan(8);
  });

  test('an idle connection ends by itself after four seconds', async () => {
    const { origin, sockets, server } = await startReceiver((_request, response) => void response.end());
    server.keepAliveTimeout = 0;
    const send = makeSender();
    const startedAt = performance.now();
    expect(await send(origin)).toBe(200);
    expect(sockets.size).toBe(1);
    await expect.poll(() => sockets.size).toBe(0);
    expect(performance.now() - startedAt).toBeGreaterThan(3_900);
  });

  test('closing waits for the attempt under way and leaves no connection', async () => {
    const waiting: ServerResponse[] = [];
    const { origin, sockets } = await startReceiver((_request, response) => void waiting.push(response));
    const sender = createSender({ guard, timeoutMs: 20_000 });
    const sent = sender.send({ url: origin, accountId: 'acc_1', headers: {}, body });
    await expect.poll(() => waiting.length).toBe(1);
    const closed = sender.close();
    waiting[0]?.end();
    await closed;
    expect(outcome(await sent)).toBe(200);
    await expect.poll(() => sockets.size).toBe(0);
  });
});
