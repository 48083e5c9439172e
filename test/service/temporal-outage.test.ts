import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { createTemporal } from '../../src/temporal/client.ts';

const outageMs = 45_000;
const reconnectMs = 12_000;

test('after a long outage of Temporal the service connects again within seconds', async () => {
  const port = await reservePort();
  const { connection } = createTemporal({ address: `127.0.0.1:${port}`, tls: false }, 'default');
  const over = new AbortController();
  const calls = (async () => {
    while (!over.signal.aborted) {
      const call = () => connection.workflowService.getSystemInfo({});
      await connection.withDeadline(Date.now() + 2000, call).catch(() => undefined);
    }
  })();
  await delay(outageMs);
  const server = createServer((socket) => socket.destroy());
  const connected = once(server, 'connection').then(() => 'connected');
  server.listen(port, '127.0.0.1');
  try {
    expect(await Promise.race([connected, delay(reconnectMs, 'not connected')])).toBe('connected');
  } finally {
    over.abort();
    await calls;
    await connection.close();
    server.close();
  }
});
