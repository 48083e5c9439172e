import { spawn } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { packageRoot } from '../../src/package-root.ts';
import { runInProcess } from '../kit/command.ts';
import { startReceiver, type Received, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let folder: string;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService({ FLTR_HEADER_PREFIX: 'x-outpost-' }),
    startReceiver(),
  ]);
  folder = mkdtempSync(join(tmpdir(), 'fltr-import-'));
});
afterAll(async () => {
  await stopAll(service, receiver);
  rmSync(folder, { recursive: true });
});

const newSecret = (bytes = 24) => `whsec_${randomBytes(bytes).toString('base64')}`;

type Importing = { accountId: string; key: string };

/** `webhooks import` of that text. */
async function importText({ key }: Importing, text: string | Uint8Array, ...more: string[]) {
  const path = join(folder, `${randomBytes(6).toString('hex')}.jsonl`);
  writeFileSync(path, text);
  return runInProcess(['webhooks', 'import', path, ...more], {
    FLTR_API_URL: service.apiUrl,
    FLTR_API_KEY: key,
    FLTR_DATA_DIR: folder,
  });
}

const as = <T>({ key }: Importing, method: string, path: string, body?: unknown) =>
  call<T>(service.apiUrl, key, method, path, body);

async function list(account: Importing): Promise<Webhook[]> {
  return (await as<{ data: Webhook[] }>(account, 'GET', '/v1/webhooks?limit=100')).body.data;
}

test('each line creates a webhook; refused lines are named, and the others are imported', async () => {
  const account = await service.newAccount();
  const secret = newSecret();
  const short = 'whsec_dG9vIHNob3J0';
  const line = (value: unknown) => JSON.stringify(value);
  const good = { external_id: 'a/1', url: receiver.url, events: ['*'] };
  const lines = [
    `\ufeff${line({ ...good, secret, description: 'first', metadata: { plan: 'pro' }, active: false, format: 'data' })}`,
    '',
    '{"external_id": ',
    line({ ...good, external_id: 'a/2', secret: short }),
    line({ ...good, external_id: 'a/3', url: 'https://10.0.0.1/' }),
    line({ ...good, external_id: 'a/4', events: ['no.such.type'] }),
    line({ url: receiver.url, events: ['*'] }),
    line({ ...good, external_id: 'wh_1' }),
    line({ ...good, external_id: '' }),
    line({ ...good, external_id: 5 }),
    line({ ...good, external_id: 'a/5', colour: 'red' }),
    line({ ...good, external_id: 'a/6', description: 'x'.repeat(70_000) }),
    line([1]),
    `${line({ ...good, external_id: 'a/7' })}\r`,
    line({ ...good, external_id: 'a/8', url: `${receiver.url}/\ud83d\ude00` }),
  ].join('\n');
  const { code, output } = await importText(account, lines);
  expect(code).toBe(1);
  const reported = output.trim().split('\n');
  expect(reported.at(-1)).toBe('3 created, 0 replaced, 11 refused.');
  for (const [number, words] of [
    [3, /^Line 3: It is not a JSON object\.$/],
    [4, /^Line 4 \(a\/2\): secret must be whsec_/],
    [5, /^Line 5 \(a\/3\): The host must be/],
    [6, /^Line 6 \(a\/4\): .*no\.such\.type/],
    [7, /^Line 7: external_id is missing\.$/],
    [8, /^Line 8: external_id must not begin with wh_/],
    [9, /^Line 9: external_id must not be empty/],
    [10, /^Line 10: external_id must be text\.$/],
    [11, /^Line 11 \(a\/5\): colour is not a known field/],
    [12, /^Line 12: It is longer than 64 KiB\.$/],
    [13, /^Line 13: It is not a JSON object\.$/],
  ] as const)
    expect([number, reported.find((text) => text.startsWith(`Line ${number}`))]).toEqual([
      number,
      expect.stringMatching(words),
    ]);
  expect(output).not.toContain(short);
  const made = await list(account);
  expect(made.map(({ external_id }) => external_id)).toEqual(['a/8', 'a/7', 'a/1']);
  expect(made[2]).toMatchObject({
    description: 'first',
    metadata: { plan: 'pro' },
    active: false,
    format: 'data',
  });
  expect((await as<{ secret: string }>(account, 'GET', '/v1/webhooks/a%2F1/secret')).body.secret).toBe(
    secret,
  );
});

test('the same file again replaces the same webhooks and keeps their secrets', async () => {
  const account = await service.newAccount();
  const lines = Array.from({ length: 30 }, (_, index) =>
    JSON.stringify({ external_id: `c-${index}`, url: receiver.url, events: ['*'], secret: newSecret() }),
  ).join('\n');
  expect(await importText(account, lines)).toEqual({
    code: 0,
    output: '30 created, 0 replaced, 0 refused.\n',
  });
  const before = await list(account);
  const { code, output } = await importText(account, lines, '--json');
  expect([code, JSON.parse(output)]).toEqual([0, { created: 0, replaced: 30, refused: 0 }]);
  expect((await list(account)).map(({ webhook_id }) => webhook_id)).toEqual(
    before.map(({ webhook_id }) => webhook_id),
  );
  // Another secret is no replacement.
  const other = JSON.stringify({
    external_id: 'c-0',
    url: receiver.url,
    events: ['*'],
    secret: newSecret(),
  });
  const refused = await importText(account, other);
  expect([refused.code, refused.output]).toEqual([1, expect.stringContaining('rotate-secret')]);
});

test('without a valid key, a file or the service it stops at once, with the number of lines done', async () => {
  const account = await service.newAccount();
  const line = JSON.stringify({ external_id: 'x', url: receiver.url, events: ['*'] });
  const noKey = await importText({ ...account, key: 'fltr_unknown' }, `${line}\n${line}`);
  expect([noKey.code, noKey.output]).toEqual([4, expect.stringMatching(/^Stopped at line 1: 0 created/)]);
  expect(noKey.output).not.toContain('line 2');
  const away = await importText(account, line, '--api-url', 'http://127.0.0.1:1');
  expect([away.code, away.output]).toEqual([5, expect.stringContaining('Stopped at line 1')]);
  const missing = await runInProcess(['webhooks', 'import', join(folder, 'nowhere')], {
    FLTR_API_URL: service.apiUrl,
    FLTR_API_KEY: account.key,
    FLTR_DATA_DIR: folder,
  });
  expect([missing.code, missing.output]).toEqual([2, expect.stringContaining('Cannot read')]);
  const bytes = await importText(account, Buffer.from([0x7b, 0xc0, 0x80, 0x7d]));
  expect([bytes.code, bytes.output]).toEqual([
    1,
    expect.stringContaining('Line 1: It is not a JSON object.'),
  ]);
});

/** Runs a program of Node with that input. */
async function run(args: string[], env: Record<string, string>, input = '') {
  const child = spawn(process.execPath, args, { env: { ...env, PATH: process.env['PATH'] ?? '' } });
  let [output, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  child.stdin.end(input);
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  if (child.exitCode === null) await once(child, 'close');
  clearTimeout(timer);
  return { code: child.exitCode, output, errors };
}

const example = (name: string) => join(packageRoot, 'examples/migrating', name);

/** Lines that a script wrote, imported from standard input. */
async function importLines({ key }: Importing, lines: string) {
  const main = join(packageRoot, 'dist/src/main.js');
  const env = { FLTR_API_URL: service.apiUrl, FLTR_API_KEY: key, FLTR_DATA_DIR: folder };
  return run([main, 'webhooks', 'import', '-'], env, lines);
}

/** A server that responds as another sender's API does. Each path has a body. */
async function startApi(key: string, bodies: Record<string, unknown>): Promise<string> {
  const server = createServer((request: IncomingMessage, response) => {
    const body = bodies[request.url ?? ''];
    const isAllowed = request.headers.authorization === `Bearer ${key}`;
    response.statusCode = isAllowed ? (body === undefined ? 404 : 200) : 401;
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The request that the webhook's receiver gets for a new event of the account. */
async function receiveNext(account: Importing, path: string): Promise<Received> {
  await as(account, 'POST', '/v1/events', {
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
  });
  const found = await until(
    () => receiver.requests.find((request) => request.path === path),
    (request) => request !== undefined,
  );
  if (!found) throw new Error('unreachable');
  return found;
}

test("Svix's endpoints are moved with their secrets, and their receivers verify the next request", async () => {
  const account = await service.newAccount();
  const [first, second] = [newSecret(), newSecret(32)];
  const common = {
    version: 1,
    createdAt: '2024-02-15T10:00:00Z',
    updatedAt: '2024-02-15T10:00:00Z',
    rateLimit: null,
    channels: null,
  };
  const base = '/api/v1/app/app_1/endpoint';
  const url = await startApi('sk_1', {
    [`${base}?limit=100`]: {
      data: [
        {
          ...common,
          id: 'ep_1',
          uid: 'customer/1',
          url: `${receiver.url}/svix`,
          description: 'An endpoint',
          filterTypes: ['document.deleted'],
          disabled: false,
          metadata: { plan: 'pro' },
        },
      ],
      iterator: 'ep_1=',
      prevIterator: null,
      done: false,
    },
    [`${base}?limit=100&iterator=ep_1%3D`]: {
      data: [
        {
          ...common,
          id: 'ep_2',
          uid: null,
          url: `${receiver.url}/svix-2`,
          description: '',
          filterTypes: null,
          disabled: true,
          metadata: {},
          channels: ['project_1'],
        },
      ],
      iterator: null,
      prevIterator: null,
      done: true,
    },
    [`${base}/ep_1/secret`]: { key: first },
    [`${base}/ep_2/secret`]: { key: second },
  });
  const exported = await run([example('svix.mjs'), 'app_1'], { SVIX_TOKEN: 'sk_1', SVIX_URL: url });
  expect([exported.code, exported.errors]).toEqual([0, 'ep_2: channels not moved\n']);
  const imported = await importLines(account, exported.output);
  expect([imported.code, imported.output]).toEqual([0, '2 created, 0 replaced, 0 refused.\n']);
  expect(await list(account)).toMatchObject([
    { external_id: 'ep_2', events: ['*'], active: false, description: null, metadata: {} },
    {
      external_id: 'customer/1',
      events: ['document.deleted'],
      active: true,
      description: 'An endpoint',
      metadata: { plan: 'pro' },
    },
  ]);
  const { headers, body } = await receiveNext(account, '/svix');
  const payload = new SvixWebhook(first).verify(body.toString(), headers as Record<string, string>);
  expect(payload).toEqual({ document_id: 'doc_1', dataset_id: 'ds_1' });
  const denied = await run([example('svix.mjs'), 'app_1'], { SVIX_TOKEN: 'wrong', SVIX_URL: url });
  expect([denied.code, denied.errors]).toEqual([1, expect.stringContaining('401')]);
});

test("Outpost's destinations are moved with their secrets, and their receivers verify the next request", async () => {
  const account = await service.newAccount();
  // As its default mode makes them.
  const secret = `whsec_${randomBytes(32).toString('hex')}`;
  const common = { created_at: '2024-02-15T10:00:00Z', updated_at: '2024-02-15T10:00:00Z' };
  const url = await startApi('admin', {
    '/api/v1/tenants/tenant_1/destinations': [
      {
        ...common,
        id: 'des_1',
        type: 'webhook',
        topics: ['document.deleted'],
        disabled_at: null,
        config: { url: `${receiver.url}/outpost`, custom_headers: '{"x-api-key":"a"}' },
        credentials: { secret },
        metadata: { team: 'platform' },
        target: 'localhost',
        target_url: `${receiver.url}/outpost`,
      },
      {
        ...common,
        id: 'des_2',
        type: 'webhook',
        topics: '*',
        filter: { data: { amount: { $gte: 100 } } },
        disabled_at: '2024-03-01T12:00:00Z',
        config: { url: `${receiver.url}/outpost-2` },
        credentials: {
          secret: newSecret(32),
          previous_secret: newSecret(32),
          previous_secret_invalid_at: '2024-02-16T10:00:00Z',
        },
        metadata: null,
      },
      {
        ...common,
        id: 'des_3',
        type: 'aws_sqs',
        topics: ['*'],
        disabled_at: null,
        config: { queue_url: 'https://sqs.example/1' },
        credentials: { key: 'k', secret: 's' },
      },
    ],
  });
  const env = { OUTPOST_URL: `${url}/api/v1`, OUTPOST_API_KEY: 'admin' };
  const exported = await run([example('outpost.mjs'), 'tenant_1'], env);
  expect([exported.code, exported.errors.trim().split('\n')]).toEqual([
    0,
    [
      'des_1: custom_headers not moved',
      'des_2: filter, previous_secret not moved',
      'des_3: a destination of the type aws_sqs is no webhook',
    ],
  ]);
  const imported = await importLines(account, exported.output);
  expect([imported.code, imported.output]).toEqual([0, '2 created, 0 replaced, 0 refused.\n']);
  expect(await list(account)).toMatchObject([
    { external_id: 'des_2', events: ['*'], active: false },
    { external_id: 'des_1', events: ['document.deleted'], active: true, metadata: { team: 'platform' } },
  ]);
  const { headers, body } = await receiveNext(account, '/outpost');
  expect(body.toString()).toBe('{"document_id":"doc_1","dataset_id":"ds_1"}');
  // In its default mode, the part after `v0=`.
  expect(headers['x-outpost-signature']).toBe(createHmac('sha256', secret).update(body).digest('hex'));
  // In its mode of Standard Webhooks.
  expect(() =>
    new StandardWebhook(secret).verify(body.toString(), headers as Record<string, string>),
  ).not.toThrow();
});

test('lines of a table of your own are moved, and secrets of another form verify as Standard Webhooks', async () => {
  const account = await service.newAccount();
  const text = 'a secret of 36 characters, as a text';
  const kept = newSecret();
  const rows = [
    {
      id: 1,
      target_url: `${receiver.url}/own`,
      event_types: ['document.deleted'],
      secret: text,
      name: 'One',
    },
    { id: 2, target_url: `${receiver.url}/own-2`, secret: kept, enabled: false },
    { id: 3, target_url: `${receiver.url}/own-3`, secret: 'too short' },
  ];
  const lines = rows.map((row) => JSON.stringify(row)).join('\n');
  const exported = await run([example('own.mjs'), 'text'], {}, lines);
  expect(exported.code).toBe(0);
  const imported = await importLines(account, exported.output);
  expect([imported.code, imported.output]).toEqual([1, '2 created, 0 replaced, 1 refused.\n']);
  expect(imported.errors).toMatch(/^Line 3 \(3\): secret must be/);
  expect((await as<{ secret: string }>(account, 'GET', '/v1/webhooks/2/secret')).body.secret).toBe(kept);
  const { headers, body } = await receiveNext(account, '/own');
  const verified = new StandardWebhook(text, { format: 'raw' });
  expect(() => verified.verify(body.toString(), headers as Record<string, string>)).not.toThrow();
});
