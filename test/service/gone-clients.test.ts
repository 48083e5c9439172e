import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openClient } from '../kit/database-client.ts';
import { parseMetrics } from '../kit/read-metrics.ts';
import { startService, until, type Service } from '../kit/service.ts';
import { openStream } from '../kit/streams.ts';

/** Clients that go away while the database is slow. */
let service: Service;
beforeAll(async () => {
  service = await startService({}, 'api');
});
afterAll(() => service.stop());

async function sum(name: string, labels: Record<string, string> = {}): Promise<number> {
  const samples = parseMetrics(await (await fetch(`${service.apiUrl}/metrics`)).text());
  return samples
    .filter((sample) => sample.name === name)
    .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
    .reduce((total, { value }) => total + value, 0);
}

/** So many clients send this, and are gone before the service has read their key. */
async function sendAndLeave(count: number, head: string, route: string): Promise<void> {
  const db = await openClient(service.databaseUrl);
  onTestFinished(() => db.end());
  await db.query('begin; lock table api_keys in access exclusive mode');
  const aborted = () => sum('fltr_http_requests_total', { route, status: 'aborted' });
  const before = await aborted();
  const waiting = async () => {
    const { rows } = await db.query<{ count: number }>(
      `select count(*)::int as count from pg_locks where relation = 'api_keys'::regclass and not granted`,
    );
    return rows[0]?.count ?? 0;
  };
  for (let sent = 1; sent <= count; sent += 1) {
    const socket = connect(Number(service.env['PORT']), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(`${head}\r\nHost: localhost\r\nAuthorization: Bearer ${service.key}\r\n\r\n`);
    await until(waiting, (now) => now >= sent);
    socket.destroy();
  }
  await until(aborted, (now) => now === before + count);
  await db.query('commit');
  await until(waiting, (now) => now === 0);
}

test('requests that end while their key is read keep no memory for their bodies', async () => {
  const started = 'POST /v1/events/batch HTTP/1.1\r\nIdempotency-Key: gone\r\nContent-Length: 8000000';
  await sendAndLeave(4, started, '/v1/events/batch');
  // 32 MiB are the most for all bodies of an account. These are received, and then refused for their contents.
  for (let call = 0; call < 5; call += 1) {
    const { status, text } = await service.call('POST', '/v1/events/batch', ' '.repeat(5_000_000), {
      'idempotency-key': `later-${call}`,
    });
    expect(status, text).toBe(413);
  }
});

test('a stream whose client is gone before it is opened is not open', async () => {
  // Only a body that is plain is waited for.
  await sendAndLeave(4, 'GET /v1/stream HTTP/1.1\r\nContent-Encoding: gzip', '/v1/stream');
  const stream = await openStream(service.apiUrl, service.key);
  expect(stream.status).toBe(200);
  expect(await sum('fltr_streams_open')).toBe(1);
  stream.close();
  await until(
    () => sum('fltr_streams_open'),
    (open) => open === 0,
  );
});
