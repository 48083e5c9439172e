import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verify } from '../../src/client/index.ts';
import { runInProcess } from '../kit/command.ts';
import { startProcess } from '../kit/process.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, until, type Service } from '../kit/service.ts';

/** The commands that call the API, against the real service. */
let service: Service;
let receiver: Receiver;
let folder: string;
let status = 200;
beforeAll(async () => {
  service = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '600' });
  receiver = await startReceiver((_request, response) => response.writeHead(status).end('the response'));
  folder = mkdtempSync(join(tmpdir(), 'fltr-commands-'));
});
afterAll(async () => {
  await service.stop();
  await receiver.close();
  rmSync(folder, { recursive: true });
});

const run = (...command: string[]): Promise<{ code: number; output: string }> =>
  runInProcess(command, {
    FLTR_API_URL: service.apiUrl,
    FLTR_API_KEY: service.key,
    FLTR_DATA_DIR: folder,
  });

async function json<T>(...command: string[]): Promise<T> {
  const { output } = await run(...command, '--json');
  return JSON.parse(output) as T;
}

type Delivery = { id: string; status: string; attempts: { number: number }[] };
let webhookId = '';
let secret = '';

test('commands create, show, change, test and measure a webhook', async () => {
  const created = await json<{ webhook_id: string; secret: string }>(
    'webhooks',
    'create',
    '--url',
    receiver.url,
    '--events',
    'document.*, dataset.created',
    '--description',
    'orders',
  );
  webhookId = created.webhook_id;
  secret = created.secret;
  expect(secret).toMatch(/^whsec_/);
  const list = await run('webhooks', 'list');
  expect(list.output).toContain('ID ');
  expect(list.output).toContain(webhookId);
  expect(list.output).not.toContain(secret);
  expect((await run('webhooks', 'update', webhookId, '--events', '*', '--description', '')).output).toMatch(
    /events +\*/,
  );
  expect((await run('webhooks', 'show', webhookId)).output).toMatch(/hourly cap +0 of 1000 used/);
  expect((await run('webhooks', 'secret', webhookId)).output.trim()).toBe(secret);
  const tested = await run('webhooks', 'test', webhookId, 'document.processed');
  expect([tested.code, tested.output]).toEqual([
    0,
    expect.stringMatching(/attempt 1 {2}delivered 200 in \d+ ms/),
  ]);
  status = 500;
  expect((await run('webhooks', 'test', webhookId, 'document.processed')).code).toBe(1);
  status = 200;
  expect((await run('webhooks', 'stats', webhookId)).output).toMatch(/failure rate/);
});

test('commands rotate a secret: both sign, then the old one ends', async () => {
  const rotated = (await run('webhooks', 'rotate', webhookId, '--overlap-seconds', '600')).output.trim();
  expect(rotated).toMatch(/^whsec_/);
  expect((await run('webhooks', 'secret', webhookId)).output).toContain(`${secret} (until `);
  const refused = await run('webhooks', 'rotate', webhookId);
  expect([refused.code, refused.output]).toEqual([
    1,
    expect.stringContaining('The previous secret still signs until'),
  ]);
  const again = (await run('webhooks', 'rotate', webhookId, '--end-overlap')).output.trim();
  expect((await run('webhooks', 'secret', webhookId)).output).toContain(`${rotated} (until `);
  expect((await run('webhooks', 'finish-rotation', webhookId)).code).toBe(0);
  expect((await run('webhooks', 'secret', webhookId)).output.trim()).toBe(again);
  secret = again;
});

test('commands publish an event from an option or a file, and once only under one id', async () => {
  const data = JSON.stringify({ document_id: 'doc_1', dataset_id: 'ds_1' });
  const file = join(folder, 'data.json');
  writeFileSync(file, data);
  const sent = await run('events', 'send', 'document.deleted', '--data', data, '--id', 'evt_once');
  expect(sent.output).toMatch(/Accepted evt_once\.\nDELIVERY/);
  const again = await run('events', 'send', 'document.deleted', '--data', `@${file}`, '--id', 'evt_once');
  expect(again.output).toContain('already accepted');
  expect((await run('events', 'show', 'evt_once')).output).toContain('"document_id": "doc_1"');
  expect((await run('events', 'list')).output).toContain('evt_once');
  expect((await run('event-types', 'list')).output).toContain('document.processing_failed');
});

test('a command expunges events, with --yes, and lists those that it did not find', async () => {
  await service.publish({ id: 'evt_to_expunge', data: { document_id: 'doc_secret', dataset_id: 'ds_1' } });
  const expunge = ['events', 'expunge', 'evt_to_expunge'];
  expect(await run(...expunge)).toMatchObject({ code: 2, output: expect.stringContaining('Add --yes') });
  expect((await run('events', 'show', 'evt_to_expunge')).output).toContain('doc_secret');
  expect(await run(...expunge, '--yes')).toMatchObject({ code: 0, output: 'Expunged 1 event.\n' });
  expect((await run('events', 'show', 'evt_to_expunge')).output).toContain('The event was expunged at 2');
  expect(await run(...expunge, 'evt_none', '--yes')).toMatchObject({
    code: 1,
    output: 'Expunged 1 event.\nNo such event: evt_none\n',
  });
});

test('commands send labels, test a filter, and show why a webhook has no delivery', async () => {
  const filter = JSON.stringify({ all: [{ path: '/labels', op: 'eq', value: 'eu' }] });
  await run('webhooks', 'update', webhookId, '--filter', filter);
  const labels = (...all: string[]) => all.flatMap((label) => ['--label', label]);
  const match = (...more: string[]) =>
    run('webhooks', 'match', webhookId, 'document.deleted', '--data', '{"n": 1}', ...more);
  expect(await match(...labels('us', 'eu'))).toMatchObject({ code: 0, output: 'It matches.\n' });
  expect(await match()).toMatchObject({
    code: 1,
    output: 'It does not match. The filter requires /labels to be "eu". It is a list of 0.\n',
  });
  const data = JSON.stringify({ document_id: 'doc_1', dataset_id: 'ds_1' });
  const send = (id: string, label: string) =>
    run('events', 'send', 'document.deleted', '--data', data, '--id', id, ...labels(label, 'new'));
  expect((await send('evt_eu', 'eu')).output).toMatch(/Accepted evt_eu\.\nDELIVERY/);
  expect((await send('evt_us', 'us')).output).toContain('No webhook gets it.');
  const { output } = await run('events', 'show', 'evt_us');
  expect(output).toContain('Labels: us, new\n');
  expect(output).toContain(
    `Not for ${webhookId} (filter): The filter requires /labels to be "eu". It is a list of 2.`,
  );
  await run('webhooks', 'update', webhookId, '--filter', 'none');
});

test('trigger publishes an example and waits for the outcome', async () => {
  const good = await run('trigger', 'document.processed');
  expect([good.code, good.output]).toEqual([0, expect.stringMatching(/delivered {2,}200 {2,}/)]);
  status = 404;
  const bad = await run('trigger', 'document.processed');
  status = 200;
  expect([bad.code, bad.output]).toEqual([1, expect.stringMatching(/failed {2,}404/)]);
  // A webhook that is paused does not count where another one is watched.
  const paused = await json<{ webhook_id: string }>(
    'webhooks',
    'create',
    '--url',
    `${receiver.url}/paused`,
    '--events',
    '*',
    '--inactive',
  );
  const both = await run('trigger', 'document.processed');
  expect([both.code, both.output]).toEqual([
    1,
    expect.stringContaining('1 held because the webhook is not active'),
  ]);
  expect((await run('trigger', 'document.processed', '--webhook', webhookId)).code).toBe(0);
  expect((await run('trigger', 'document.processed', '--webhook', 'wh_none')).code).toBe(3);
  expect((await run('events', 'list')).output).toContain('1 delivered, 1 held');
  await run('webhooks', 'delete', paused.webhook_id, '--yes');
  const unknown = await run('trigger', 'nothing.happened');
  expect([unknown.code, unknown.output]).toEqual([2, expect.stringContaining('Types: document.uploaded')]);
});

test('commands filter the log, show a delivery with its timeline, retry, reschedule and cancel it', async () => {
  const { data } = await json<{ data: Delivery[] }>(
    'deliveries',
    'list',
    '--code',
    '4xx',
    '--webhook',
    webhookId,
  );
  expect(data.map(({ status }) => status)).toEqual(['failed']);
  const id = data[0]?.id ?? '';
  const story = (await run('deliveries', 'show', id)).output;
  expect(story).toMatch(/status +failed/);
  expect(story).toContain('the response');
  expect(story).toMatch(/ended +status=failed {2}reason=client_error/);
  expect((await run('deliveries', 'retry', id)).code).toBe(0);
  await until(
    () => json<Delivery>('deliveries', 'show', id),
    ({ status }) => status === 'delivered',
  );
  const refused = await run('deliveries', 'retry', id);
  expect([refused.code, refused.output]).toEqual([1, expect.stringContaining('It was delivered.')]);

  status = 503;
  const { deliveries } = await json<{ deliveries: { id: string }[] }>('trigger', 'document.deleted');
  status = 200;
  const waiting = deliveries[0]?.id ?? '';
  const later = new Date(Date.now() + 3_600_000).toISOString();
  expect((await run('deliveries', 'reschedule', waiting, later)).output).toContain(later);
  expect((await run('deliveries', 'cancel', waiting)).code).toBe(0);
  await until(
    () => json<Delivery>('deliveries', 'show', waiting),
    ({ status }) => status === 'canceled',
  );
});

test('commands create, list and revoke keys that work', async () => {
  const created = await json<{ id: string; key: string }>(
    'account-keys',
    'create',
    'for the tests',
    '--scopes',
    'webhooks:read, events:write',
  );
  expect(created.key).toMatch(/^fltr_/);
  const listed = await run('account-keys', 'list');
  expect(listed.output).toMatch(new RegExp(`${created.id} +\\S+ +webhooks:read,events:write +for the tests`));
  expect(listed.output).not.toContain(created.key);
  expect((await run('webhooks', 'list', '--key', created.key)).code).toBe(0);
  expect((await run('account-keys', 'revoke', created.id)).output).toBe(`Revoked ${created.id}.\n`);
  expect((await run('webhooks', 'list', '--key', created.key)).code).not.toBe(0);
  const shown = await run('account-keys', 'create', 'shown', '--scopes', 'webhooks:read');
  expect(shown.output).toMatch(/^id +key_\w+\nkey +fltr_[\w-]{43}\n$/);
  const unknown = await run('account-keys', 'create', 'x', '--scopes', 'everything');
  expect(unknown.code).not.toBe(0);
  expect(unknown.output).toContain('scopes[0] must be one of webhooks:read');
});

test('commands show the account and rename it', async () => {
  expect((await run('account', 'show')).output).toMatch(
    new RegExp(`^id +${service.accountId}\nname +test\n`),
  );
  expect((await run('account', 'rename', 'Acme & sons')).output).toMatch(/\nname +Acme & sons\n/);
  expect(await json('account', 'show')).toMatchObject({ id: service.accountId, name: 'Acme & sons' });
  const refused = await run('account', 'rename', '');
  expect([refused.code, refused.output]).toEqual([2, expect.stringContaining('name must not be empty')]);
});

test('commands show the statistics of all webhooks, and the settings', async () => {
  expect((await run('stats')).output).toMatch(new RegExp(`${webhookId} +\\d+ +\\d+ +\\d+ +\\d+ +[\\d.]+ %`));
  const { output } = await run('settings');
  expect(output).toMatch(/retry_schedule_seconds +600\n/);
  expect(output).toMatch(
    /auto_disable +above 80.0 % failures \(minimum 10 deliveries\), checked every 300 s/,
  );
});

test('tail shows the existing deliveries, then each change as it comes', async () => {
  const env = { FLTR_API_URL: service.apiUrl, FLTR_API_KEY: service.key };
  const tail = startProcess(['tail', '--last', '1', '--json'], env);
  await until(
    () => tail.output(),
    (output) => output.split('\n').length >= 2,
  );
  const { id } = (await service.publish()).deliveries[0] ?? { id: '' };
  await until(
    () => tail.output(),
    (output) => output.includes(id) && output.includes('"delivered"'),
  );
  const last = tail
    .output()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Delivery)
    .at(-1);
  expect([last?.id, last?.status]).toEqual([id, 'delivered']);
  tail.kill('SIGINT');
  await tail.exited();
});

test('listen sends events to a receiver here, with the body and headers of the service', async () => {
  const local = await startReceiver();
  const env = { FLTR_API_URL: service.apiUrl, FLTR_API_KEY: service.key };
  const options = ['--forward-to', `${local.url}/events`, '--events', 'document.deleted', '--secret', secret];
  const listen = startProcess(['listen', ...options], env);
  await until(
    () => listen.output(),
    (output) => output.includes('Forwarding events'),
  );
  await until(
    async () => {
      await service.publish();
      return local.requests.length;
    },
    (count) => count > 0,
  );
  const [got] = local.requests;
  const same = receiver.requests.find(({ headers }) => headers['webhook-id'] === got?.headers['webhook-id']);
  expect(got?.path).toBe('/events');
  expect(got?.body).toEqual(same?.body);
  const names = ({ headers }: { headers: object }) =>
    Object.keys(headers).filter((name) => /^(x-fltr|webhook)-/.test(name));
  expect(names(got ?? { headers: {} }).sort()).toEqual(names(same ?? { headers: {} }).sort());
  expect(got?.headers['x-fltr-signature']).toBe(same?.headers['x-fltr-signature']);
  expect(() => verify({ body: got?.body ?? '', headers: got?.headers ?? {}, secret })).not.toThrow();
  await until(
    () => listen.output(),
    (output) => / 200 {2} +\d+ ms {2}document\.deleted {2}evt_/.test(output),
  );
  await until(
    () => json<{ data: unknown[] }>('deliveries', 'list', '--status', 'pending'),
    ({ data }) => data.length === 0,
  );
  listen.kill('SIGINT');
  await listen.exited();
  await local.close();
});

test('recover counts, sends again, and stays until it has ended', async () => {
  status = 400;
  const { id } = (await service.publish()).deliveries[0] ?? { id: '' };
  await until(
    () => json<Delivery>('deliveries', 'show', id),
    ({ status }) => status === 'failed',
  );
  status = 200;
  const since = new Date(Date.now() - 3_600_000).toISOString();
  expect(
    (await run('recover', webhookId, '--since', since, '--only', 'failed', '--dry-run')).output,
  ).toContain('1 would be resent');
  const done = await run('recover', webhookId, '--since', since, '--only', 'failed');
  expect([done.code, done.output]).toEqual([0, expect.stringMatching(/status +completed/)]);
  await until(
    () => json<Delivery>('deliveries', 'show', id),
    ({ status }) => status === 'delivered',
  );
  const recoveryId = /rec_\w+/.exec(done.output)?.[0] ?? '';
  expect((await run('recoveries', 'show', recoveryId)).output).toMatch(/resent +1/);
  expect((await run('recoveries', 'cancel', recoveryId)).code).toBe(1);
});

test('deliveries act counts, acts on many, and stays until it has ended; operations lists it', async () => {
  status = 400;
  const { id } = (await service.publish()).deliveries[0] ?? { id: '' };
  await until(
    () => json<Delivery>('deliveries', 'show', id),
    ({ status }) => status === 'failed',
  );
  status = 200;
  const since = new Date(Date.now() - 3_600_000).toISOString();
  const filter = ['--webhook', webhookId, '--status', 'failed', '--code', '4xx', '--since', since];
  const dry = await run('deliveries', 'act', 'retry', ...filter, '--dry-run');
  expect([dry.code, dry.output]).toEqual([
    0,
    expect.stringMatching(/^\d+ deliveries match\. Nothing was done\./),
  ]);
  const done = await run('deliveries', 'act', 'retry', id, '--per-second', '5');
  expect([done.code, done.output]).toEqual([0, expect.stringMatching(/status +completed/)]);
  await until(
    () => json<Delivery>('deliveries', 'show', id),
    ({ status }) => status === 'delivered',
  );
  const failed = await run('deliveries', 'act', 'cancel', id);
  expect([failed.code, failed.output]).toEqual([1, expect.stringMatching(/because +1 delivered/)]);
  const operationId = /op_\w+/.exec(done.output)?.[0] ?? '';
  expect((await run('operations', 'show', operationId)).output).toMatch(/done +1/);
  expect((await run('operations', 'list')).output).toContain(operationId);
  for (const signal of ['pause', 'resume', 'cancel'])
    expect((await run('operations', signal, operationId)).code).toBe(1);
  expect((await run('deliveries', 'act', 'retry', '--dry-run')).code).toBe(2);
});

test('verify accepts a request that really came, or prints why not', async () => {
  const { body, headers } = receiver.requests.at(-1) ?? { body: Buffer.alloc(0), headers: {} };
  const file = join(folder, 'body');
  writeFileSync(file, body);
  const lines = Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${String(value)}`]);
  const good = await run('verify', '--body', file, '--secret', secret, ...lines);
  expect([good.code, good.output]).toEqual([0, 'X-FLTR-Signature: valid\nwebhook-signature: valid\n']);
  writeFileSync(file, `${body.toString()}\n`);
  const bad = await run('verify', '--body', file, '--secret', secret, ...lines);
  expect([bad.code, bad.output]).toEqual([
    1,
    expect.stringMatching(/X-FLTR-Signature: invalid\. .*\nwebhook-signature: invalid\. /),
  ]);
  const stranger = await run('verify', '--body', file, '--secret', 'nonsense', ...lines);
  expect([stranger.code, stranger.output]).toEqual([1, expect.stringContaining('whsec_ followed by base64')]);
});

test('many events of a file get a result each', async () => {
  const good = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  const events = [{ ...good, id: 'evt_once' }, good, { event: 'nothing.happened', data: {} }];
  const file = join(folder, 'events');
  writeFileSync(file, events.map((event) => JSON.stringify(event)).join('\n'));
  const first = await run('events', 'send-batch', file);
  expect(first).toEqual({ code: 1, output: expect.stringMatching(/^2 of 3 accepted.*\.\nEvent 3: 422 /) });
  writeFileSync(file, `${JSON.stringify({ ...good, id: 'evt_b' })}\n`.repeat(501));
  expect(await run('events', 'send-batch', file)).toEqual({
    code: 0,
    output: '501 of 501 accepted, 500 of them duplicates.\n',
  });
  writeFileSync(file, `${JSON.stringify(good)}\n{`);
  expect(await run('events', 'send-batch', file)).toEqual({
    code: 2,
    output: 'Line 2 is not a JSON object.\n',
  });
});

test('events are sent for one webhook, at a time, until a time, and with an order key', async () => {
  const text = JSON.stringify({ document_id: 'doc_1', dataset_id: 'ds_1' });
  const [at, end] = [1, 2].map((days) => new Date(Date.now() + days * 86_400_000).toISOString());
  const options = [
    '--webhook-id',
    webhookId,
    '--deliver-at',
    at ?? '',
    '--expires-at',
    end ?? '',
    '--order-key',
    'k',
  ];
  await run('events', 'send', 'document.deleted', '--data', text, '--id', 'evt_options', ...options);
  const lines = `Only for: ${webhookId}\nOrder key: k\nDeliver at: ${at}\nExpires at: ${end}\n`;
  expect((await run('events', 'show', 'evt_options')).output).toContain(lines);

  const file = join(folder, 'options');
  const event = { event: 'document.deleted', data: JSON.parse(text) as object };
  const events = [event, { ...event, order_key: 'own' }];
  writeFileSync(file, events.map((each) => JSON.stringify(each)).join('\n'));
  const { data } = await json<{ data: { id: string }[] }>('events', 'send-batch', file, ...options);
  const shown: unknown[] = [];
  for (const { id } of data) shown.push(await json('events', 'show', id));
  const given = { webhook_ids: [webhookId], deliver_at: at, expires_at: end };
  expect(shown).toMatchObject([
    { ...given, order_key: 'k' },
    { ...given, order_key: 'own' },
  ]);
});

test('data that a command publishes and shows stays as it was written', async () => {
  const data =
    '{"document_id":"d","dataset_id":"s","metadata":{"b":12345678901234567890,"10":1e400,"2":1.50,"__proto__":{"x":-0},"e":"\\u00e9"}}';
  const textOf = async (id: string) =>
    (await service.call<{ body: string }>('GET', `/v1/events/${id}`)).body.body;
  await run('events', 'send', 'document.uploaded', '--data', data, '--id', 'evt_sent_text');
  expect(await textOf('evt_sent_text')).toContain(`"data":${data}}`);
  const shown = await run('events', 'show', 'evt_sent_text');
  expect(shown.output).toContain(
    '"b": 12345678901234567890,\n    "10": 1e400,\n    "2": 1.50,\n    "__proto__": {',
  );
  const asJson = await run('events', 'show', 'evt_sent_text', '--json');
  expect(asJson.output.replace(/\s/g, '')).toContain(`"data":${data}`);

  const file = join(folder, 'texts');
  const event = (more: string) => `{${more}"event": "document.uploaded", "data": ${data}}`;
  writeFileSync(file, [event('"id": "evt_batch_text", '), event('')].join('\n'));
  const { data: sent } = await json<{ data: { id: string }[] }>('events', 'send-batch', file);
  expect(sent.map(({ id }) => id)).toEqual(['evt_batch_text', expect.stringMatching(/^evt_[0-9a-z]{26}$/)]);
  for (const { id } of sent) expect(await textOf(id)).toContain(`"data":${data}}`);
});

test('deleting asks to be sure', async () => {
  const unsure = await run('webhooks', 'delete', webhookId);
  expect([unsure.code, unsure.output]).toEqual([2, expect.stringContaining('--yes')]);
  expect((await run('webhooks', 'delete', webhookId, '--yes')).code).toBe(0);
});
