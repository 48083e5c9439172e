import { createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { verify } from '../../src/client/verify.ts';
import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { runInProcess } from '../kit/command.ts';
import { startReceiver, type Received, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
});
afterAll(() => stopAll(service, receiver));

type Body = {
  webhook_id: string;
  secret: string;
  code: string;
  detail: string;
  errors: { pointer: string }[];
};

const secretOf = (bytes: Buffer) => `whsec_${bytes.toString('base64')}`;
const newSecretOf = (length: number) => secretOf(randomBytes(length));
const create = (more: Record<string, unknown> = {}, headers: Record<string, string> = {}) =>
  service.call<Body>('POST', '/v1/webhooks', { url: receiver.url, events: ['*'], ...more }, headers);

/** The request that the webhook's receiver gets. */
async function receive(id: string): Promise<Received> {
  const before = receiver.requests.length;
  const { status } = await service.call('POST', '/v1/webhooks/test', {
    webhook_id: id,
    event: 'document.processed',
  });
  expect(status).toBe(200);
  const request = receiver.requests[before];
  if (!request) throw new Error('Nothing was received');
  return request;
}

function expectSignedWith(secret: string, { headers, body }: Received): void {
  const sent = headers as Record<string, string>;
  expect(sent['x-fltr-signature']).toBe(createHmac('sha256', secret).update(body).digest('hex'));
  const text = body.toString();
  for (const library of [new StandardWebhook(secret), new SvixWebhook(secret)])
    expect(library.verify(text, sent)).toEqual(JSON.parse(text));
  expect(verify({ body, headers: sent, secret }).event).toBe('document.processed');
}

test.each([24, 25, 26, 32, 33, 63, 64])('a secret of %i bytes signs the request', async (length) => {
  const secret = newSecretOf(length);
  const { status, body } = await create({ secret });
  expect([status, body.secret]).toEqual([201, secret]);
  const { body: read } = await service.call<Body>('GET', `/v1/webhooks/${body.webhook_id}/secret`);
  expect(read.secret).toBe(secret);
  expectSignedWith(secret, await receive(body.webhook_id));
});

test('a rotation to a secret of your own has an overlap like any other', async () => {
  const [first, second] = [newSecretOf(64), newSecretOf(24)];
  const { body } = await create({ secret: first });
  const path = `/v1/webhooks/${body.webhook_id}/rotate-secret`;
  const rotated = await service.call<Body>('POST', path, { secret: second, overlap_seconds: 600 });
  expect([rotated.status, rotated.body.secret]).toEqual([200, second]);
  const during = await receive(body.webhook_id);
  const sent = during.headers as Record<string, string>;
  expect(sent['x-fltr-signature']).toBe(createHmac('sha256', first).update(during.body).digest('hex'));
  for (const secret of [first, second])
    expect(() => new StandardWebhook(secret).verify(during.body.toString(), sent)).not.toThrow();
  await service.call('POST', `${path}/finish`);
  expectSignedWith(second, await receive(body.webhook_id));
  // Rotated to the same, the overlap would list one signature twice.
  const same = await service.call<Body>('POST', path, { secret: second });
  expect([same.status, same.body.errors.map(({ pointer }) => pointer)]).toEqual([422, ['/secret']]);
  expect(same.text).not.toContain(second);
});

const bytes = Buffer.alloc(40, 'secret');
const refused: [string, unknown][] = [
  ['23 bytes', secretOf(Buffer.alloc(23, 1))],
  ['65 bytes', secretOf(Buffer.alloc(65, 1))],
  ['66 bytes', secretOf(Buffer.alloc(66, 1))],
  ['no prefix', bytes.toString('base64')],
  ['another prefix', `WHSEC_${bytes.toString('base64')}`],
  ['no padding', `whsec_${Buffer.alloc(25, 1).toString('base64').replaceAll('=', '')}`],
  ['base64url', `whsec_${Buffer.alloc(24, 0xff).toString('base64url')}`],
  ['bits after the end', `whsec_${'A'.repeat(34)}/=`],
  ['a line break', `${secretOf(bytes)}\n`],
  ['white space', ` ${secretOf(bytes)}`],
  ['nothing', ''],
  ['a number', 42],
  ['null', null],
  ['100,000 characters', `whsec_${'A'.repeat(50_000)}`],
];
test.each(refused)('%s is no secret: 422 with the remedy, without repeating it', async (_name, secret) => {
  const { body: webhook } = await create();
  const before = await service.call<Body>('GET', `/v1/webhooks/${webhook.webhook_id}/secret`);
  for (const response of [
    await create({ secret }),
    await service.call<Body>('PUT', '/v1/webhooks/refused', { url: receiver.url, events: ['*'], secret }),
    await service.call<Body>('POST', `/v1/webhooks/${webhook.webhook_id}/rotate-secret`, { secret }),
  ]) {
    expect([response.status, response.body.errors.map(({ pointer }) => pointer)]).toEqual([422, ['/secret']]);
    if (typeof secret === 'string') expect(response.body.detail).toContain('openssl rand -base64 32');
    if (typeof secret === 'string' && secret.length > 6)
      expect(response.text).not.toContain(JSON.stringify(secret).slice(1, 40));
  }
  const after = await service.call<Body>('GET', `/v1/webhooks/${webhook.webhook_id}/secret`);
  expect(after.body).toEqual(before.body);
});

test('an Idempotency-Key repeats the response with the secret, and the database has it sealed only', async () => {
  const secret = newSecretOf(48);
  const key = { 'Idempotency-Key': 'own-secret-1' };
  const [first, second] = [await create({ secret }, key), await create({ secret }, key)];
  expect([first.status, second.text]).toEqual([201, first.text]);
  expect(second.headers.get('Idempotent-Replayed')).toBe('true');
  const other = await create({ secret: newSecretOf(48) }, key);
  expect([other.status, other.body.code]).toEqual([422, 'idempotency_key_reused']);
  await service.call('GET', `/v1/webhooks/${first.body.webhook_id}/secret`);
  for (const table of ['webhooks', 'idempotency_keys', 'audit_records']) {
    const { rows } = await service.pool.query<{ row: string }>(`select ${table}::text as row from ${table}`);
    expect(rows.length).toBeGreaterThan(0);
    for (const { row } of rows) expect(row).not.toContain(secret.slice(6));
  }
});

test('no log line has it, at the finest level, with any outcome of the call', async () => {
  const own = await startService({}, null);
  onTestFinished(() => own.stop());
  let lines = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines += chunk.toString();
      done();
    },
  });
  const app = await startApp({
    config: readConfig(own.env),
    role: 'up',
    log: pino({ level: 'trace' }, stream),
    report: (line) => (lines += line),
    onFatal: (error) => {
      throw error;
    },
  });
  const secret = newSecretOf(32);
  const as = (method: string, path: string, body: unknown) =>
    call<Body>(app.apiUrl ?? '', own.key, method, path, body);
  const given = { url: receiver.url, events: ['*'], secret };
  const { body } = await as('POST', '/v1/webhooks', given);
  await as('PUT', '/v1/webhooks/logged', given);
  await as('PUT', '/v1/webhooks/logged', { ...given, secret: newSecretOf(32) });
  await as('POST', '/v1/webhooks', { ...given, url: 'https://10.0.0.1/' });
  await as('POST', `/v1/webhooks/${body.webhook_id}/rotate-secret`, { secret });
  await as('POST', '/v1/webhooks/test', { webhook_id: 'logged', event: 'document.deleted' });
  await app.stop();
  expect(lines).toContain('PUT /v1/webhooks/{id}');
  expect(lines).not.toContain(secret.slice(6));
});

test('commands read a secret from a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fltr-own-secrets-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [first, second] = [newSecretOf(32), newSecretOf(32)];
  writeFileSync(join(folder, 'first'), `${first}\n`);
  writeFileSync(join(folder, 'second'), second);
  const env = { FLTR_API_URL: service.apiUrl, FLTR_API_KEY: service.key, FLTR_DATA_DIR: folder };
  const run = async (...command: string[]) => {
    const { code, output } = await runInProcess(command, env);
    return [code, output] as const;
  };
  const given = ['--url', receiver.url, '--events', '*', '--secret', `@${folder}/first`];
  const [code, text] = await run('webhooks', 'put', 'by/command', ...given, '--metadata', 'a=b');
  expect(code).toBe(0);
  expect(text).toContain(first);
  const [again, unchanged] = await run('webhooks', 'put', 'by/command', ...given);
  expect(again).toBe(0);
  expect(unchanged).not.toContain('whsec_');
  expect((await run('webhooks', 'secret', 'by/command'))[1].trim()).toBe(first);
  const [, rotated] = await run('webhooks', 'rotate', 'by/command', '--secret', `@${folder}/second`);
  expect(rotated.trim()).toBe(second);
  const [refusedCode, fault] = await run('webhooks', 'put', 'by/command', ...given);
  expect([refusedCode, fault]).toEqual([2, expect.stringContaining('rotate-secret')]);
  const [created, shown] = await run('webhooks', 'create', ...given, '--json');
  expect([created, (JSON.parse(shown) as Body).secret]).toEqual([0, first]);
});
