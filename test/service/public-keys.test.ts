import { createPublicKey, verify as verifySignature } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { verify } from '../../src/client/index.ts';
import type { JwkSet } from '../../src/contracts/public-key.ts';
import { newId } from '../../src/domain/ids.ts';
import { newSecret } from '../../src/domain/signature.ts';
import { startProcess } from '../kit/process.ts';
import { startReceiver, type Received, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, untilReady, type Service } from '../kit/service.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';

type Webhook = {
  webhook_id: string;
  secret: string;
  signatures: string[];
  previous_secret_until: string | null;
};
type PublicKey = {
  webhook_id: string;
  public_key: string;
  previous_public_key: string | null;
  previous_public_key_until: string | null;
};

const jwksPath = '/.well-known/jwks.json';
let service: Service;
let receiver: Receiver;
let responseStatus: number;
beforeAll(async () => {
  responseStatus = 200;
  receiver = await startReceiver((_request, response) => response.writeHead(responseStatus).end());
  service = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '3600,3600,3600' });
});
afterAll(() => stopAll(service, receiver));

const jwksOf = (id: string, from = service) =>
  call<JwkSet & { code?: string }>(from.apiUrl, null, 'GET', `${jwksPath}?webhook_id=${id}`);

/** A webhook of a new account, and the calls on it. */
async function newWebhook(more: Record<string, unknown>) {
  const { key } = await service.newAccount();
  const api = <T = Record<string, never>>(method: string, path: string, body?: unknown) =>
    call<T>(service.apiUrl, key, method, path, body);
  const path = `/${crypto.randomUUID()}`;
  const created = await api<Webhook>('POST', '/v1/webhooks', {
    url: receiver.url + path,
    events: ['*'],
    ...more,
  });
  expect([created.status, created.text]).toEqual([201, expect.any(String)]);
  const { webhook_id: id, secret } = created.body;
  const requests = () => receiver.requests.filter((request) => request.path === path);
  const untilRequests = (count: number) => until(requests, ({ length }) => length >= count);
  return {
    id,
    secret,
    key,
    api,
    requests,
    untilRequests,
    created: created.body,
    publicKey: () => api<PublicKey>('GET', `/v1/webhooks/${id}/public-key`),
    patch: (change: unknown) => api<Webhook>('PATCH', `/v1/webhooks/${id}`, change),
    rotate: (body: unknown = {}) => api<Webhook>('POST', `/v1/webhooks/${id}/rotate-secret`, body),
    finish: () => api<Webhook>('POST', `/v1/webhooks/${id}/rotate-secret/finish`),
    async publish() {
      const event = { event: 'document.deleted', data: { document_id: 'prêt 🎉', dataset_id: 'ds_1' } };
      const published = await api<{ id: string; deliveries: { id: string }[] }>('POST', '/v1/events', event);
      expect(published.status).toBe(202);
      return published.body.deliveries[0]?.id ?? '';
    },
    /** The request of one more event. */
    async next(): Promise<Received> {
      const before = requests().length;
      await this.publish();
      const request = (await untilRequests(before + 1)).at(-1);
      if (!request) throw new Error('unreachable');
      return request;
    },
  };
}

const entriesOf = ({ headers }: Received) => String(headers['webhook-signature'] ?? '').split(' ');
const versionsOf = (request: Received) => entriesOf(request).map((entry) => entry.replace(/,.*/, ''));

/** Which keys of the set made which v1a entries, by Node's own ed25519: positions in the set, and -1 for an unknown key. */
function signersOf(request: Received, { keys }: JwkSet): number[] {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp } = request.headers;
  const signed = Buffer.concat([Buffer.from(`${String(id)}.${String(timestamp)}.`), request.body]);
  return entriesOf(request)
    .filter((entry) => entry.startsWith('v1a,'))
    .map((entry) =>
      keys.findIndex((jwk) =>
        verifySignature(
          null,
          signed,
          createPublicKey({ key: jwk, format: 'jwk' }),
          Buffer.from(entry.slice(4), 'base64'),
        ),
      ),
    );
}

const standardHeaders = ({ headers }: Received) =>
  Object.fromEntries(
    ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => [name, String(headers[name])]),
  );

test('with v1 and v1a, a delivery verifies with the public key, and with the secret as before', async () => {
  const webhook = await newWebhook({ signatures: ['v1', 'v1a'] });
  expect(webhook.created.signatures).toEqual(['v1', 'v1a']);
  const request = await webhook.next();
  expect(versionsOf(request)).toEqual(['v1', 'v1a']);
  const { body: set } = await jwksOf(webhook.id);
  expect(set.keys).toHaveLength(1);
  expect(signersOf(request, set)).toEqual([0]);
  const { public_key: publicKey, ...more } = (await webhook.publicKey()).body;
  expect(more).toEqual({
    webhook_id: webhook.id,
    previous_public_key: null,
    previous_public_key_until: null,
  });
  const { body, headers } = request;
  const event = JSON.parse(body.toString()) as unknown;
  expect(verify({ body, headers, publicKey })).toEqual(event);
  expect(verify({ body, headers, secret: webhook.secret, signatures: ['standard', 'fltr'] })).toEqual(event);
  // Neither knows v1a: it must not keep them from v1.
  for (const Library of [StandardWebhook, SvixWebhook])
    expect(new Library(webhook.secret).verify(body, standardHeaders(request))).toEqual(event);
  expect(Buffer.from(publicKey.slice(5), 'base64').toString('base64url')).toBe(set.keys[0]?.x);
});

test('with v1a alone no entry v1 is sent; the body signature stays; test events are signed alike', async () => {
  const webhook = await newWebhook({ signatures: ['v1a'] });
  const request = await webhook.next();
  const tested = await webhook.api<{ attempt: { outcome: string } }>('POST', '/v1/webhooks/test', {
    webhook_id: webhook.id,
    event: 'document.processed',
  });
  expect(tested.body.attempt.outcome).toBe('delivered');
  const testEvent = webhook.requests().find(({ headers }) => headers['x-fltr-test'] === 'true');
  if (!testEvent) throw new Error('No test event came');
  const { body: set } = await jwksOf(webhook.id);
  const { public_key: publicKey } = (await webhook.publicKey()).body;
  for (const each of [request, testEvent]) {
    expect(versionsOf(each)).toEqual(['v1a']);
    expect(signersOf(each, set)).toEqual([0]);
    const { body, headers } = each;
    expect(() => verify({ body, headers, publicKey })).not.toThrow();
    expect(() => verify({ body, headers, secret: webhook.secret, signatures: ['fltr'] })).not.toThrow();
    expect(() => verify({ body, headers, secret: webhook.secret })).toThrow(/has no entry v1,/);
  }
});

test('without v1a nothing is signed with a key, and there is no public key; it is kept while v1a is left out', async () => {
  const webhook = await newWebhook({});
  expect(webhook.created.signatures).toEqual(['v1']);
  expect(versionsOf(await webhook.next())).toEqual(['v1']);
  const without = await webhook.publicKey();
  expect([without.status, without.body]).toMatchObject([404, { code: 'not_found' }]);
  expect(without.text).toContain('v1a');
  expect((await jwksOf(webhook.id)).status).toBe(404);

  expect((await webhook.patch({ signatures: ['v1a', 'v1'] })).body.signatures).toEqual(['v1a', 'v1']);
  const first = (await webhook.publicKey()).body.public_key;
  expect(versionsOf(await webhook.next())).toEqual(['v1', 'v1a']);
  expect((await webhook.patch({ signatures: null })).body.signatures).toEqual(['v1']);
  expect((await webhook.publicKey()).status).toBe(404);
  expect(versionsOf(await webhook.next())).toEqual(['v1']);
  await webhook.patch({ signatures: ['v1a'] });
  expect((await webhook.publicKey()).body.public_key).toBe(first);
  // Changes of anything else leave it as it is.
  await webhook.patch({ description: 'the same key' });
  expect((await webhook.publicKey()).body.public_key).toBe(first);
});

test('PUT makes the key, sets the defaults of fields that it leaves out, and keeps the key', async () => {
  const { key } = await service.newAccount();
  const put = (more: object) =>
    call<Webhook>(service.apiUrl, key, 'PUT', '/v1/webhooks/crm', {
      url: receiver.url,
      events: ['*'],
      ...more,
    });
  const publicKey = () => call<PublicKey>(service.apiUrl, key, 'GET', '/v1/webhooks/crm/public-key');
  expect((await put({ signatures: ['v1', 'v1a'] })).status).toBe(201);
  const first = (await publicKey()).body;
  expect(first.public_key).toMatch(/^whpk_/);
  expect((await put({})).body.signatures).toEqual(['v1']);
  expect((await publicKey()).status).toBe(404);
  expect((await put({ signatures: ['v1a'] })).body.signatures).toEqual(['v1a']);
  expect((await publicKey()).body).toEqual(first);
  // One that was created without is given a key by PUT, too: sealed for its own id.
  await call(service.apiUrl, key, 'PUT', '/v1/webhooks/erp', { url: receiver.url, events: ['*'] });
  const body = { url: receiver.url, events: ['*'], signatures: ['v1a'] };
  expect((await call(service.apiUrl, key, 'PUT', '/v1/webhooks/erp', body)).status).toBe(200);
  expect((await call(service.apiUrl, key, 'GET', '/v1/webhooks/erp/public-key')).status).toBe(200);
});

test('calls that set v1a at the same time make one key, in two processes as well', async () => {
  const webhook = await newWebhook({});
  const port = await reservePort();
  const other = startProcess(['api'], { ...service.env, PORT: String(port) });
  onTestFinished(async () => {
    other.kill('SIGKILL');
    await other.exited();
  });
  const url = `http://127.0.0.1:${port}`;
  await untilReady(url, other);
  const keys = await Promise.all(
    Array.from({ length: 10 }, async (_, index) => {
      const at = index % 2 === 0 ? service.apiUrl : url;
      await call(at, webhook.key, 'PATCH', `/v1/webhooks/${webhook.id}`, { signatures: ['v1', 'v1a'] });
      const read = await call<PublicKey>(at, webhook.key, 'GET', `/v1/webhooks/${webhook.id}/public-key`);
      return read.body.public_key;
    }),
  );
  expect(keys[0]).toMatch(/^whpk_/);
  expect(new Set(keys).size).toBe(1);
  expect(signersOf(await webhook.next(), (await jwksOf(webhook.id)).body)).toEqual([0]);
});

test('a rotation replaces the key, both sign during the overlap, and its end leaves the new one', async () => {
  const webhook = await newWebhook({ signatures: ['v1', 'v1a'] });
  const first = (await webhook.publicKey()).body.public_key;
  const before = (await jwksOf(webhook.id)).body;
  const rotated = (await webhook.rotate({ overlap_seconds: 600 })).body;
  const shown = (await webhook.publicKey()).body;
  expect(shown).toEqual({
    webhook_id: webhook.id,
    public_key: expect.stringMatching(/^whpk_/),
    previous_public_key: first,
    previous_public_key_until: rotated.previous_secret_until,
  });
  expect(shown.public_key).not.toBe(first);
  const request = await webhook.next();
  expect(versionsOf(request)).toEqual(['v1', 'v1', 'v1a', 'v1a']);
  const { body: set } = await until(
    () => jwksOf(webhook.id),
    ({ body }) => body.keys.length === 2,
  );
  expect(set.keys[1]).toEqual(before.keys[0]);
  expect(signersOf(request, set)).toEqual([0, 1]);
  // A receiver that still has the old set continues to verify.
  expect(signersOf(request, before)).toEqual([-1, 0]);
  const { body, headers } = request;
  for (const publicKey of [shown.public_key, first])
    expect(() => verify({ body, headers, publicKey })).not.toThrow();

  await webhook.finish();
  expect((await webhook.publicKey()).body).toEqual({
    webhook_id: webhook.id,
    public_key: shown.public_key,
    previous_public_key: null,
    previous_public_key_until: null,
  });
  const after = await webhook.next();
  expect(versionsOf(after)).toEqual(['v1', 'v1a']);
  expect(signersOf(after, set)).toEqual([0]);
  const { rows } = await service.pool.query(
    `select 1 from webhooks where id = $1 and previous_sealed_signing_key is null`,
    [webhook.id],
  );
  expect(rows).toHaveLength(1);
});

test('without an overlap the old key ends at once; an overlap ends by itself; a key rotates while it does not sign', async () => {
  const webhook = await newWebhook({ signatures: ['v1a'] });
  const keys = [(await webhook.publicKey()).body.public_key];
  await webhook.rotate({ overlap_seconds: 0 });
  keys.push((await webhook.publicKey()).body.public_key);
  expect((await webhook.publicKey()).body.previous_public_key).toBeNull();
  expect(versionsOf(await webhook.next())).toEqual(['v1a']);

  await webhook.rotate({ overlap_seconds: 1 });
  const ended = await until(
    async () => (await webhook.publicKey()).body,
    ({ previous_public_key: previous }) => previous === null,
  );
  keys.push(ended.public_key);
  expect(versionsOf(await webhook.next())).toEqual(['v1a']);

  await webhook.patch({ signatures: ['v1'] });
  await webhook.rotate({ overlap_seconds: 600, end_overlap: true });
  expect(versionsOf(await webhook.next())).toEqual(['v1', 'v1']);
  await webhook.patch({ signatures: ['v1a'] });
  const last = (await webhook.publicKey()).body;
  expect(last.previous_public_key).toBe(keys.at(-1));
  keys.push(last.public_key);
  expect(new Set(keys).size).toBe(4);
});

test("a retry is signed with the webhook's settings at its own time", async () => {
  const webhook = await newWebhook({});
  responseStatus = 503;
  onTestFinished(() => void (responseStatus = 200));
  const delivery = await webhook.publish();
  const mine: Service = { ...service, key: webhook.key, call: webhook.api };
  await waitForStatus(mine, delivery, 'retrying', 1);
  const retry = async (attempts: number) => {
    expect((await webhook.api('POST', `/v1/deliveries/${delivery}/retry`)).status).toBe(202);
    await waitForStatus(mine, delivery, 'retrying', attempts);
  };
  await webhook.patch({ signatures: ['v1', 'v1a'] });
  await retry(2);
  await webhook.patch({ signatures: ['v1a'] });
  await retry(3);
  expect(webhook.requests().map(versionsOf)).toEqual([['v1'], ['v1', 'v1a'], ['v1a']]);
  const { body: set } = await jwksOf(webhook.id);
  expect(webhook.requests().map((request) => signersOf(request, set))).toEqual([[], [0], [0]]);
  const ids = new Set(webhook.requests().map(({ headers }) => headers['webhook-id']));
  expect(ids.size).toBe(1);
});

test('the set of keys needs no key, can be cached, and is of one webhook only', async () => {
  const one = await newWebhook({ signatures: ['v1a'], external_id: 'mine' });
  const other = await newWebhook({ signatures: ['v1a'] });
  const plain = await newWebhook({});
  const { status, body, headers } = await jwksOf(one.id);
  expect([status, headers.get('cache-control'), headers.get('content-type')]).toEqual([
    200,
    'public, max-age=300',
    'application/jwk-set+json; charset=utf-8',
  ]);
  expect(body).toEqual({
    keys: [
      {
        kty: 'OKP',
        crv: 'Ed25519',
        x: expect.stringMatching(/^[\w-]{43}$/),
        kid: expect.stringMatching(/^[\w-]{43}$/),
        alg: 'EdDSA',
        use: 'sig',
      },
    ],
  });
  expect((await jwksOf(other.id)).body.keys[0]?.x).not.toBe(body.keys[0]?.x);
  expect(signersOf(await other.next(), body)).toEqual([-1]);
  const head = await fetch(`${service.apiUrl}${jwksPath}?webhook_id=${one.id}`, { method: 'HEAD' });
  expect([head.status, await head.text()]).toEqual([200, '']);

  // Unknown, without v1a, deleted, an external id, no id at all: the same response.
  await other.api('DELETE', `/v1/webhooks/${other.id}`);
  await until(
    () => jwksOf(other.id),
    ({ status: now }) => now === 404,
  );
  const refusals = await Promise.all(
    [other.id, plain.id, newId('wh'), 'mine', 'wh_1', '', "wh_' or 1=1 --"].map((id) =>
      jwksOf(encodeURIComponent(id)),
    ),
  );
  const faults = refusals.map(({ status: refused, body: problem }) => [
    refused,
    problem.code,
    (problem as unknown as { detail: string }).detail,
  ]);
  expect(new Set(faults.map((each) => JSON.stringify(each)))).toEqual(
    new Set([JSON.stringify([404, 'not_found', 'No webhook with v1a in its signatures has this id.'])]),
  );
  for (const query of ['', `?webhook_id=${one.id}&webhook_id=${one.id}`, `?webhook_id=${one.id}&more=1`])
    expect((await call(service.apiUrl, null, 'GET', jwksPath + query)).status).toBe(422);
  expect((await call(service.apiUrl, null, 'POST', `${jwksPath}?webhook_id=${one.id}`)).status).toBe(405);
});

test("another account's key reads no public key, and rotates none", async () => {
  const webhook = await newWebhook({ signatures: ['v1a'], external_id: 'shared-name' });
  const before = (await webhook.publicKey()).body;
  const { key } = await service.newAccount();
  for (const [method, path] of [
    ['GET', `${webhook.id}/public-key`],
    ['GET', 'shared-name/public-key'],
    ['POST', `${webhook.id}/rotate-secret`],
  ] as const)
    expect((await call(service.apiUrl, key, method, `/v1/webhooks/${path}`)).status).toBe(404);
  const reader = await service.newKey({ accountId: service.accountId, scopes: ['webhooks:read'] });
  const own = await service.newWebhook(receiver.url, { signatures: ['v1a'] });
  const path = `/v1/webhooks/${own.webhook_id}/public-key`;
  expect((await call(service.apiUrl, reader, 'GET', path)).status).toBe(200);
  expect((await webhook.publicKey()).body).toEqual(before);
  await service.call('DELETE', `/v1/webhooks/${own.webhook_id}`);
});

test('the private key is in no response, sealed for its webhook in the database, and wiped with it', async () => {
  const webhook = await newWebhook({ signatures: ['v1', 'v1a'] });
  const rotated = await webhook.rotate({ overlap_seconds: 600 });
  const texts = [
    rotated.text,
    (await webhook.api('GET', `/v1/webhooks/${webhook.id}`)).text,
    (await webhook.api('GET', '/v1/webhooks')).text,
    (await webhook.api('GET', `/v1/webhooks/${webhook.id}/secret`)).text,
    (await webhook.publicKey()).text,
    (await jwksOf(webhook.id)).text,
    (await webhook.patch({ description: 'x' })).text,
  ];
  for (const text of texts) {
    expect(text).not.toContain('whsk_');
    expect(text).not.toContain('signing_key');
  }
  const row = async () => {
    const { rows } = await service.pool.query<{ text: string; sealed: (string | null)[] }>(
      `select webhooks::text as text, array[sealed_signing_key, previous_sealed_signing_key] as sealed
       from webhooks where id = $1`,
      [webhook.id],
    );
    return rows[0];
  };
  const before = await row();
  expect(before?.text).not.toContain('whsk_');
  expect(before?.sealed).not.toContain(null);
  // Put in place of the secret, it does not open: GET …/secret would show it.
  await service.pool.query(`update webhooks set sealed_secret = sealed_signing_key where id = $1`, [
    webhook.id,
  ]);
  expect((await webhook.api('GET', `/v1/webhooks/${webhook.id}/secret`)).status).toBe(500);
  await webhook.api('DELETE', `/v1/webhooks/${webhook.id}`);
  expect((await row())?.sealed).toEqual([null, null]);
});

test.each([[[]], [['v2']], [['v1', 'v1']], ['v1a'], [['v1a', 'v1', 'v1a']], [[null]], [{}]])(
  'signatures %j are refused',
  async (signatures) => {
    const { key } = await service.newAccount();
    const refused = await call(service.apiUrl, key, 'POST', '/v1/webhooks', {
      url: receiver.url,
      events: ['*'],
      signatures,
    });
    expect([refused.status, refused.text]).toEqual([422, expect.stringContaining('"/signatures')]);
  },
);

test('a service that sends no webhook-signature refuses v1a, with the reason', async () => {
  const alone = await startService({ FLTR_SIGNATURES: 'fltr' });
  onTestFinished(() => alone.stop());
  const refused = await alone.call('POST', '/v1/webhooks', {
    url: receiver.url,
    events: ['*'],
    signatures: ['v1', 'v1a'],
  });
  expect([refused.status, refused.text]).toEqual([422, expect.stringContaining('FLTR_SIGNATURES')]);
  const { webhook_id: id } = await alone.newWebhook(receiver.url);
  for (const signatures of [['v1a'], ['v1', 'v1a']])
    expect((await alone.call('PATCH', `/v1/webhooks/${id}`, { signatures })).status).toBe(422);
  expect((await alone.call('PATCH', `/v1/webhooks/${id}`, { signatures: ['v1'] })).status).toBe(200);
  const put = { url: receiver.url, events: ['*'], signatures: ['v1a'] };
  expect((await alone.call('PUT', '/v1/webhooks/crm', put)).status).toBe(422);
});

test('who guesses ids is slowed down, and a receiver behind the same address is not', async () => {
  const guessed = await startService();
  onTestFinished(() => guessed.stop());
  const { webhook_id: id } = await guessed.newWebhook(receiver.url, { signatures: ['v1a'] });
  const statuses: number[] = [];
  for (let calls = 0; calls < 302; calls += 1) statuses.push((await jwksOf(newId('wh'), guessed)).status);
  expect(statuses.slice(0, 300).every((status) => status === 404)).toBe(true);
  expect(statuses.slice(300)).toEqual([429, 429]);
  expect((await jwksOf(id, guessed)).status).toBe(200);
});

test('a public key does not verify a signature with a secret of the same webhook', async () => {
  const webhook = await newWebhook({ signatures: ['v1', 'v1a'] });
  const request = await webhook.next();
  const { body, headers } = request;
  const publicKey = (await webhook.publicKey()).body.public_key;
  const [v1 = '', v1a = ''] = entriesOf(request);
  const withSignature = (value: string) => ({ ...headers, 'webhook-signature': value });
  const swapped = `v1a,${v1.slice(3)} v1,${v1a.slice(4)}`;
  for (const value of [v1, swapped]) {
    expect(() => verify({ body, headers: withSignature(value), publicKey })).toThrow();
  }
  expect(() => verify({ body, headers: withSignature(swapped), secret: webhook.secret })).toThrow();
  expect(() => verify({ body, headers, secret: newSecret() })).toThrow();
});

test('the command prints the public key, and verify takes it in place of the secret', async () => {
  const webhook = await newWebhook({ signatures: ['v1', 'v1a'] });
  const run = async (...args: string[]) => {
    const started = startProcess(args, { FLTR_API_URL: service.apiUrl, FLTR_API_KEY: webhook.key });
    const code = await started.exited(30_000);
    return [code, started.output().trim()] as const;
  };
  const publicKey = (await webhook.publicKey()).body.public_key;
  expect(await run('webhooks', 'public-key', webhook.id)).toEqual([0, publicKey]);
  const request = await webhook.next();
  const file = join(service.dataDir, 'received-body');
  writeFileSync(file, request.body);
  const lines = Object.entries(request.headers).flatMap(([name, value]) => [
    '--header',
    `${name}: ${String(value)}`,
  ]);
  const verifying = ['verify', '--body', file, ...lines];
  expect(await run(...verifying, '--public-key', publicKey)).toEqual([0, 'webhook-signature: valid']);
  const other = `whpk_${Buffer.alloc(32, 7).toString('base64')}`;
  expect(await run(...verifying, '--public-key', other)).toEqual([
    1,
    expect.stringContaining('webhook-signature: invalid. No signature matches'),
  ]);
  expect(await run(...verifying, '--public-key', webhook.secret)).toEqual([
    1,
    expect.stringContaining('whpk_'),
  ]);
  for (const wrong of [
    ['--public-key', publicKey, '--secret', webhook.secret],
    ['--public-key', publicKey, '--signatures', 'fltr'],
    [],
  ])
    expect((await run(...verifying, ...wrong))[0]).toBe(2);
  await webhook.patch({ signatures: ['v1'] });
  expect(await run('webhooks', 'public-key', webhook.id)).toEqual([3, expect.stringContaining('v1a')]);
});
