import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import type { Response } from 'express';
import { expect, test } from 'vitest';
import { createStreams } from '../../src/api/streams.ts';
import type { Changes, ChangeListener } from '../../src/db/changes.ts';
import { until } from '../kit/service.ts';

/** A source of changes that the test makes. */
function sourceOf(): Changes & { listener(): ChangeListener } {
  let listener: ChangeListener | null = null;
  return {
    mark: () => undefined,
    touch: () => undefined,
    isConnected: () => true,
    listen: (to) => void (listener = to),
    watch: () => Promise.resolve(),
    unwatch: () => undefined,
    close: () => Promise.resolve(),
    listener() {
      if (!listener) throw new Error('nobody listens');
      return listener;
    },
  };
}

test('a client that does not read holds little memory, and is cut off; others are not delayed', async () => {
  const source = sourceOf();
  const streams = createStreams(source, { pauseMs: 0, pingMs: 100, maxBlockedMs: 3000 });
  const responses: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    responses.push(response);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of Express's response, the locals are used
    const ofExpress = Object.assign(response, { locals: { requestId: 'req_1' } }) as unknown as Response;
    streams.open(ofExpress, 'acc_1', () => Promise.resolve());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const slow = connect(port, '127.0.0.1');
  slow.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  slow.pause();
  await until(
    () => streams.count(),
    (count) => count === 1,
  );
  const reader = await fetch(`http://127.0.0.1:${port}/`);
  let received = 0;
  const reading = (async () => {
    for await (const part of reader.body ?? []) received += (part as Uint8Array).length;
  })().catch(() => undefined);
  const ids = Array.from({ length: 50 }, (_, index) => `dlv_${index}`.padEnd(2000, 'x'));
  let most = 0;
  const isCut = () => responses[0]?.destroyed === true;
  // Each is 100 KB: far more than the sockets' buffers in the end.
  for (let count = 0; !isCut() && count < 20_000; count += 1) {
    source.listener().onChange('acc_1', { topics: ['deliveries'], ids });
    most = Math.max(most, responses[0]?.writableLength ?? 0);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(isCut, (is) => is, 10_000);
  expect(most).toBeLessThan(300_000);
  expect(received).toBeGreaterThan(300_000);
  // It is counted until its connection has closed.
  await until(
    () => streams.count(),
    (count) => count === 1,
  );
  streams.close();
  await reading;
  slow.destroy();
  server.closeAllConnections();
  server.close();
}, 60_000);

test('a stream whose client has gone away is not opened', async () => {
  const streams = createStreams(sourceOf());
  const closed = Promise.withResolvers<void>();
  const server = createServer((_request, response) => {
    response.on('close', () => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of Express's response, the locals are used
      const ofExpress = Object.assign(response, { locals: { requestId: 'req_1' } }) as unknown as Response;
      streams.open(ofExpress, 'acc_1', () => Promise.resolve());
      closed.resolve();
    });
    client.destroy();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await closed.promise;
  expect(streams.count()).toBe(0);
  server.close();
});
