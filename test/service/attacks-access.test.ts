import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { authenticate } from '../../src/api/auth.ts';
import { createHttpServer, createProbes } from '../../src/api/server.ts';
import { readConfig } from '../../src/config.ts';
import { revokeApiKey } from '../../src/db/api-keys-table.ts';
import type { Queryable } from '../../src/db/pool.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { digestOfKey, newApiKey } from '../../src/security/api-keys.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let ids: Record<'webhooks' | 'events' | 'deliveries', string>;
let stranger: { accountId: string; key: string };
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService({}, 'api'), startReceiver()]);
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  const { deliveries } = await service.publish({ id: 'evt_mine' });
  ids = { webhooks: webhookId, deliveries: deliveries[0]?.id ?? '', events: 'evt_mine' };
  stranger = await service.newAccount();
});
afterAll(() => stopAll(service, receiver));

test("forged cursors show nothing of another account's", async () => {
  const forge = (...parts: unknown[]) => Buffer.from(JSON.stringify([1, ...parts])).toString('base64url');
  const read = (path: string) =>
    call<{ data: Record<string, string>[]; code: string }>(service.apiUrl, stranger.key, 'GET', path);
  const own = await call<{ webhook_id: string }>(service.apiUrl, stranger.key, 'POST', '/v1/webhooks', {
    url: receiver.url,
    events: ['*'],
  });
  const event = { event: 'document.deleted', data: { document_id: 'd', dataset_id: 's' } };
  for (let index = 0; index < 3; index += 1) {
    await call(service.apiUrl, stranger.key, 'POST', '/v1/events', event);
  }
  const whole = new Map<string, string>();
  for (const list of ['webhooks', 'events', 'deliveries'] as const) {
    const { body, text } = await read(`/v1/${list}?limit=100`);
    expect(body.data.length).toBeGreaterThan(0);
    for (const item of body.data) whole.set(JSON.stringify(item), list);
    expect(text).not.toContain(ids[list]);
  }
  expect(JSON.stringify([...whole.keys()])).toContain(own.body.webhook_id);
  const future = '9999-12-31T23:59:59.999Z';
  const cursors = {
    webhooks: [ids['webhooks'], 'wh_zzzzzzzzzzzzzzzzzzzzzzzzzz', 'zzz', '0', '-'].map((id) =>
      forge('webhooks', id),
    ),
    deliveries: [ids['deliveries'], 'dlv_zzzzzzzzzzzzzzzzzzzzzzzzzz', 'zzz', '0', '_'].map((id) =>
      forge('deliveries', id),
    ),
    events: [ids['events'], 'zzz', '-'].flatMap((id) =>
      [future, '0001-01-01T00:00:00.000Z', new Date().toISOString()].map((at) => forge('events', at, id)),
    ),
  };
  for (const [list, forged] of Object.entries(cursors)) {
    for (const cursor of forged) {
      const { status, body } = await read(`/v1/${list}?limit=100&cursor=${cursor}`);
      expect(status).toBe(200);
      for (const item of body.data) expect(whole.get(JSON.stringify(item))).toBe(list);
    }
  }
  const filtered = await read(
    `/v1/deliveries?webhook_id=${ids['webhooks']}&cursor=${forge('deliveries', 'zzz')}`,
  );
  expect(filtered.body.data).toEqual([]);
  // Text that only looks like a cursor is refused: with times that do not exist, among others.
  for (const at of ['9999-99-99T99:99:99.999Z', '2024-02-30T00:00:00.000Z', '0000-01-01T00:00:00.000Z', '']) {
    const { status, body } = await read(`/v1/events?cursor=${forge('events', at, 'evt_mine')}`);
    expect([at, status, body.code]).toEqual([at, 422, 'validation_failed']);
  }
});

test("another account's ids in bodies change nothing of it, and give nothing away", async () => {
  const as = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    call<{ id: string; code: string; webhook_id: string; duplicate: boolean }>(
      service.apiUrl,
      stranger.key,
      method,
      path,
      body,
      headers,
    );
  const before = await service.call('GET', `/v1/webhooks/${ids['webhooks']}`);
  const foreign = { webhook_id: ids['webhooks'], event: 'document.deleted' };
  const missing = { webhook_id: 'wh_missing', event: 'document.deleted' };
  const [one, other] = [
    await as('POST', '/v1/webhooks/test', foreign),
    await as('POST', '/v1/webhooks/test', missing),
  ];
  // The same response as for a webhook that does not exist.
  expect({ ...one.body, request_id: '' }).toEqual({ ...other.body, request_id: '' });
  expect(receiver.requests).toEqual([]);
  const event = { event: 'document.deleted', data: { document_id: 'd', dataset_id: 's' }, id: 'evt_mine' };
  expect((await as('POST', '/v1/events', { ...event, account_id: service.accountId })).status).toBe(403);
  // An event id and an Idempotency-Key are the account's own.
  expect((await as('POST', '/v1/events', event)).body).toMatchObject({ id: 'evt_mine', duplicate: false });
  const webhook = { url: receiver.url, events: ['*'] };
  const key = { 'Idempotency-Key': 'shared-1' };
  const [mine, theirs] = [
    await service.call<{ webhook_id: string }>('POST', '/v1/webhooks', webhook, key),
    await as('POST', '/v1/webhooks', webhook, key),
  ];
  expect([mine.status, theirs.status]).toEqual([201, 201]);
  expect(theirs.body.webhook_id).not.toBe(mine.body.webhook_id);
  expect((await service.call('GET', `/v1/webhooks/${ids['webhooks']}`)).body).toEqual(before.body);
});

test('a revoked key is of no use: not on a connection it opened, not to repeat an earlier request', async () => {
  const key = await service.newKey({ accountId: service.accountId });
  const webhook = { url: receiver.url, events: ['*'] };
  const header = { 'Idempotency-Key': 'once' };
  const create = () => call<{ code: string }>(service.apiUrl, key, 'POST', '/v1/webhooks', webhook, header);
  expect((await create()).status).toBe(201);
  const { rows } = await service.pool.query<{ id: string }>(`select id from api_keys where digest = $1`, [
    digestOfKey(key),
  ]);
  expect(await revokeApiKey(service.pool, rows[0]?.id ?? '')).not.toBeNull();
  const [revoked, unknown] = [
    await create(),
    await call<{ code: string }>(service.apiUrl, newApiKey(), 'POST', '/v1/webhooks', webhook),
  ];
  expect(revoked.status).toBe(401);
  expect({ ...revoked.body, request_id: '' }).toEqual({ ...unknown.body, request_id: '' });
  expect(revoked.text).not.toContain('whsec_');
});

test('a key is looked up by its digest and by nothing else: how much of a guess is right shows nowhere', async () => {
  const queries: unknown[] = [];
  const db = {
    query: (query: unknown) => {
      queries.push(query);
      return Promise.resolve({ rows: [] });
    },
  } as unknown as Queryable;
  const key = newApiKey();
  const guesses = [key, `${key.slice(0, -1)}?`, `${key.slice(0, 24)}${'A'.repeat(24)}`, 'x'.repeat(48)];
  for (const guess of guesses) {
    await expect(authenticate(db, `Bearer ${guess}`, 'development')).rejects.toMatchObject({
      code: 'unauthorized',
    });
  }
  // One statement, one digest of 32 bytes; PostgreSQL compares digests, of which one right letter reveals nothing.
  expect(queries).toEqual(
    guesses.map((guess) => ({
      name: 'find-api-key',
      text: expect.stringContaining('where digest = $1'),
      values: [digestOfKey(guess), 'development'],
    })),
  );
  const sameBytes = (a: Buffer, b: Buffer) => a.filter((byte, index) => byte === b[index]).length;
  expect(sameBytes(digestOfKey(guesses[0] ?? ''), digestOfKey(guesses[1] ?? ''))).toBeLessThan(8);
});

/** The calls that need no key, on a port of their own, with the lines of the log. */
async function startProbes(): Promise<{ url: string; lines: string[] }> {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const { pool, temporal } = service;
  const server = createHttpServer(
    createProbes({
      config: readConfig(service.env),
      log: pino({ level: 'debug' }, stream),
      metrics: createMetrics(),
      pool,
      temporal,
      readOutboxes: () => [],
      isStopping: () => false,
      needsTemporal: true,
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, lines };
}

test('/readyz checks the databases once a second at most, however often it is called', async () => {
  const { url } = await startProbes();
  const connections = vi.spyOn(service.pool, 'connect');
  onTestFinished(() => connections.mockRestore());
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  const perCheck = connections.mock.calls.length;
  expect(perCheck).toBeGreaterThan(0);
  const startedAt = performance.now();
  const statuses = await Promise.all(
    Array.from({ length: 200 }, () => fetch(`${url}/readyz`).then(({ status }) => status)),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  expect(statuses.every((status) => status === 200)).toBe(true);
  expect(connections.mock.calls.length).toBeLessThanOrEqual(perCheck * (2 + seconds));
});

test('a path that there is not is logged as none: it may be a key that was pasted in the wrong place', async () => {
  const { url, lines } = await startProbes();
  await fetch(`${url}/${service.key}?key=${service.key}`);
  await fetch(`${url}/healthz`);
  await until(
    () => lines,
    ({ length }) => length === 2,
  );
  expect(lines.map((line) => (JSON.parse(line) as { route: string }).route)).toEqual([
    'other',
    'GET /healthz',
  ]);
  expect(lines.join('')).not.toContain(service.key);
});
