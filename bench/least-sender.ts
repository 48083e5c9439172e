import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Pool } from 'undici';
import { createBatcher } from '../src/db/batcher.ts';
import { createPool } from '../src/db/pool.ts';
import { serveCalls } from './remote.ts';

/**
 * The least that any durable sender in this runtime does for a delivery, a process of its own: one request in, one row in a
 * shared transaction with synchronous commit, one signed POST out over a kept connection, one shared update with the
 * outcome. It has no engine, no retries, no checks, no log.
 */
type Sender = { databaseUrl: string; receiverUrl: string };

const table = `create table least_events (
  id text primary key, body bytea not null, created_at timestamptz not null default now(), status text not null default 'pending',
  status_code int, ended_at timestamptz)`;

/** Returns its origin. */
async function listen({ databaseUrl, receiverUrl }: Sender): Promise<string> {
  const pool = createPool({ databaseUrl, maxConnections: 4, onError: () => undefined });
  await pool.query(table);
  const secret = randomBytes(32);
  const receiver = new Pool(receiverUrl, { connections: 32, pipelining: 1 });

  /** A statement that concurrent calls share. */
  const share = <Row>(
    concurrency: number,
    name: string,
    statement: string,
    valuesOf: (rows: Row[]) => unknown[],
  ) =>
    createBatcher<Row, void>({
      maxSize: 256,
      concurrency,
      async run(rows) {
        await pool.query({ name, text: statement, values: valuesOf(rows) });
        return rows.map(() => undefined);
      },
    });
  const insert = share<{ id: string; body: Buffer }>(
    1,
    'insert',
    'insert into least_events (id, body) select * from unnest($1::text[], $2::bytea[])',
    (events) => [events.map(({ id }) => id), events.map(({ body }) => body)],
  );
  const record = share<{ id: string; statusCode: number }>(
    2,
    'record',
    `update least_events e set status = 'delivered', status_code = o.status_code, ended_at = now()
      from unnest($1::text[], $2::int[]) as o(id, status_code) where e.id = o.id`,
    (outcomes) => [outcomes.map(({ id }) => id), outcomes.map(({ statusCode }) => statusCode)],
  );
  const hmac = (...parts: (string | Buffer)[]) =>
    parts.reduce((sum, part) => sum.update(part), createHmac('sha256', secret));

  async function send(id: string, body: Buffer): Promise<void> {
    const at = Math.floor(Date.now() / 1000);
    const { statusCode, body: response } = await receiver.request({
      method: 'POST',
      path: '/h',
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(at),
        'webhook-signature': `v1,${hmac(`${id}.${at}.`, body).digest('base64')}`,
        'x-fltr-signature': hmac(body).digest('hex'),
      },
      body,
    });
    await response.dump();
    await record({ id, statusCode });
  }
  async function accept(request: string): Promise<string> {
    const { id, event, data } = JSON.parse(request) as { id: string; event: string; data: unknown };
    const body = Buffer.from(JSON.stringify({ id, event, timestamp: new Date().toISOString(), data }));
    await insert({ id, body });
    void send(id, body).catch((error: unknown) => process.stderr.write(`${String(error)}\n`));
    return JSON.stringify({ id, duplicate: false, deliveries: [{ id, status: 'pending' }] });
  }
  const server = createServer((request, response) => {
    void text(request)
      .then(accept)
      .then(
        (accepted) => response.writeHead(202, { 'content-type': 'application/json' }).end(accepted),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const calls = { listen };
export type LeastSenderCalls = typeof calls;

if (process.argv[1] === import.meta.filename) serveCalls(calls);
