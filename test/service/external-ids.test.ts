import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { namesWebhook } from '../../src/api/route.ts';
import { routes } from '../../src/api/routes/route-table.ts';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { runInProcess } from '../kit/command.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { atOnce, call, startService, stopAll, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
});
afterAll(() => stopAll(service, receiver));

type Problem = { code: string; errors: { pointer: string; message: string }[] };
type Body = Webhook & Problem & { secret: string };

/** An account of its own, and calls with its key. */
async function newCaller() {
  const { accountId, key } = await service.newAccount();
  const as = <T = Body>(method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    call<T>(service.apiUrl, key, method, path, body, headers);
  const create = (more: Record<string, unknown> = {}) =>
    as('POST', '/v1/webhooks', { url: receiver.url, events: ['*'], ...more });
  return { accountId, key, as, create };
}

const pathOf = (name: string, more = '') => `/v1/webhooks/${encodeURIComponent(name)}${more}`;

test('a webhook shows its external id and its metadata, and they can be changed and removed', async () => {
  const { as, create } = await newCaller();
  const plain = await create();
  expect(plain.body).toMatchObject({ external_id: null, metadata: {} });
  const made = await create({ external_id: 'customer-42', metadata: { plan: 'pro', seats: '5' } });
  expect(made.status).toBe(201);
  const { webhook_id: id } = made.body;
  const shown = { webhook_id: id, external_id: 'customer-42', metadata: { plan: 'pro', seats: '5' } };
  expect(made.body).toMatchObject(shown);
  expect((await as('GET', pathOf(id))).body).toMatchObject(shown);
  const list = await as<{ data: Webhook[] }>('GET', '/v1/webhooks');
  expect(list.body.data[0]).toMatchObject(shown);

  // Fields that a change leaves out stay.
  expect((await as('PATCH', pathOf(id), { description: 'x' })).body).toMatchObject(shown);
  const replaced = await as('PATCH', pathOf(id), { metadata: { region: 'eu' } });
  expect(replaced.body).toMatchObject({ external_id: 'customer-42', metadata: { region: 'eu' } });
  const removed = await as('PATCH', pathOf('customer-42'), { external_id: null, metadata: {} });
  expect([removed.status, removed.body.external_id, removed.body.metadata]).toEqual([200, null, {}]);
  expect((await as('GET', pathOf('customer-42'))).status).toBe(404);
  const renamed = await as('PATCH', pathOf(id), { external_id: 'customer-43' });
  expect(renamed.body.external_id).toBe('customer-43');
  expect((await as('GET', pathOf('customer-43'))).body.webhook_id).toBe(id);
});

const odd = [
  'a/b',
  '/',
  'a%2Fb',
  '%2e%2e',
  '100%',
  'a?b=c#d',
  'a b+c',
  'naïve 日本 🚀',
  'test',
  'secret',
  '__proto__',
  'constructor',
  "'; drop table webhooks; --",
  '...',
  'WH_1',
  'whsec_1',
  'x'.repeat(200),
];
test.each(odd)('the external id %j works in every path', async (externalId) => {
  const { as, create } = await newCaller();
  const { body: made } = await create({ external_id: externalId });
  expect(made.external_id).toBe(externalId);
  expect((await as('GET', pathOf(externalId))).body).toMatchObject({
    webhook_id: made.webhook_id,
    external_id: externalId,
  });
  expect((await as('GET', pathOf(externalId, '/secret'))).body).toMatchObject({
    webhook_id: made.webhook_id,
    secret: made.secret,
  });
  const changed = await as('PATCH', pathOf(externalId), { description: 'changed' });
  expect([changed.status, changed.body.description]).toEqual([200, 'changed']);
  expect((await as('DELETE', pathOf(externalId))).status).toBe(204);
  expect((await as('GET', pathOf(made.webhook_id))).status).toBe(404);
});

test('every call on a webhook accepts its external id, and responds with its id', async () => {
  const { as, create } = await newCaller();
  const bodies: Record<string, unknown> = {
    updateWebhook: { description: 'by its external id' },
    recoverWebhook: { since: '2020-01-01T00:00:00Z', dry_run: true },
    matchWebhook: { event: 'document.deleted', data: {} },
  };
  // It has no content, or only the result for an event.
  const withoutId = ['deleteWebhook', 'matchWebhook'];
  const mine = routes.filter((route) => namesWebhook(route) && route.idMayBeNew !== true);
  expect(mine.length).toBeGreaterThan(6);
  const deletedLast = mine.toSorted((a, b) => Number(a.method === 'delete') - Number(b.method === 'delete'));
  const { body } = await create({ external_id: 'every/call', signatures: ['v1', 'v1a'] });
  const other = await newCaller();
  for (const { method, path, operationId } of deletedLast) {
    const target = path.replace('{id}', encodeURIComponent('every/call'));
    const request = [method.toUpperCase(), target, bodies[operationId]] as const;
    const foreign = await other.as(...request);
    expect([operationId, foreign.status, foreign.body.code]).toEqual([operationId, 404, 'not_found']);
    const response = await as(...request);
    expect([operationId, response.status < 300]).toEqual([operationId, true]);
    if (!withoutId.includes(operationId)) expect(response.body.webhook_id).toBe(body.webhook_id);
  }
});

const refusedIds: [string, unknown][] = [
  ['empty', ''],
  ['201 characters', 'x'.repeat(201)],
  ['that of another kind', 'wh_mine'],
  ['a line break', 'a\nb'],
  ['a NUL', 'a\0b'],
  ['a mark that changes the direction of text', 'a\u202eb'],
  ['white space at the end', 'a '],
  ['only white space', ' '],
  ['half of a character', '\ud800'],
  ['a name that no path can hold', '..'],
  ['a number', 42],
];
test.each(refusedIds)('an external id that is %s is refused with 422', async (_name, externalId) => {
  const { as, create } = await newCaller();
  const response = await create({ external_id: externalId });
  expect([response.status, response.body.errors[0]?.pointer]).toEqual([422, '/external_id']);
  const { body } = await create();
  const changed = await as('PATCH', pathOf(body.webhook_id), { external_id: externalId });
  expect([changed.status, changed.body.errors[0]?.pointer]).toEqual([422, '/external_id']);
  if (typeof externalId === 'string' && !['', '..'].includes(externalId) && externalId !== '\ud800')
    expect((await as('GET', pathOf(externalId))).status).toBe(404);
});

test('metadata has at most 20 entries of 40 and 500 characters', async () => {
  const { create } = await newCaller();
  const entries = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`name${index}`, 'v']));
  const longest = { ['n'.repeat(40)]: 'v'.repeat(500), empty: '' };
  for (const metadata of [entries(20), longest])
    expect((await create({ metadata })).body.metadata).toEqual(metadata);
  const refused: [unknown, string][] = [
    [entries(21), '/metadata'],
    [{ ['n'.repeat(41)]: 'v' }, `/metadata/${'n'.repeat(41)}`],
    [{ a: 'v'.repeat(501) }, '/metadata/a'],
    [{ '': 'v' }, '/metadata/'],
    [{ a: 5 }, '/metadata/a'],
    [{ a: null }, '/metadata/a'],
    [{ a: 'x\0' }, '/metadata/a'],
    [{ a: '\udc00' }, '/metadata/a'],
    [{ 'a\n': 'x' }, '/metadata/a\n'],
    [['x'], '/metadata'],
  ];
  for (const [metadata, pointer] of refused) {
    const { status, body } = await create({ metadata });
    expect([status, body.errors?.map((fault) => fault.pointer)]).toEqual([422, [pointer]]);
  }
});

test('neither is sent to the receiver', async () => {
  const { as, create } = await newCaller();
  const own = await startReceiver();
  onTestFinished(() => own.close());
  await create({ url: own.url, external_id: 'ext-unsent', metadata: { note: 'meta-unsent' } });
  const published = await as<{ deliveries: { id: string }[] }>('POST', '/v1/events', {
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
  });
  const test = await as<{ attempt: { outcome: string } }>('POST', '/v1/webhooks/test', {
    webhook_id: 'ext-unsent',
    event: 'document.deleted',
  });
  expect(test.body.attempt.outcome).toBe('delivered');
  const [delivery] = published.body.deliveries;
  await waitForStatus({ ...service, call: as }, delivery?.id ?? '', 'delivered');
  expect(own.requests).toHaveLength(2);
  for (const { headers, body } of own.requests)
    expect(JSON.stringify(headers) + body.toString()).not.toContain('unsent');
});

test('test events and the delivery log accept an external id', async () => {
  const { as, create } = await newCaller();
  const [first, second] = [await create({ external_id: 'first/1' }), await create({ external_id: 'second' })];
  await as('POST', '/v1/events', {
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
  });
  const made = await as<{ webhook_id: string }>('POST', '/v1/webhooks/test', {
    webhook_id: 'first/1',
    event: 'document.deleted',
  });
  expect([made.status, made.body.webhook_id]).toEqual([200, first.body.webhook_id]);
  const logOf = (name: string) =>
    as<{ data: { webhook_id: string }[]; code: string }>(
      'GET',
      `/v1/deliveries?webhook_id=${encodeURIComponent(name)}`,
    );
  for (const [name, { body }] of [
    ['first/1', first],
    ['second', second],
  ] as const)
    expect((await logOf(name)).body.data.map(({ webhook_id }) => webhook_id)).toEqual([body.webhook_id]);
  // A webhook that was deleted keeps its log, under its id.
  await as('DELETE', pathOf('second'));
  expect((await logOf(second.body.webhook_id)).body.data).toHaveLength(1);
  const other = await newCaller();
  for (const response of [
    await logOf('second'),
    await logOf('wh_\0'),
    await other.as<Problem>('GET', '/v1/deliveries?webhook_id=first%2F1'),
    await other.as<Problem>('POST', '/v1/webhooks/test', {
      webhook_id: 'first/1',
      event: 'document.deleted',
    }),
  ])
    expect([response.status, response.body.code]).toEqual([404, 'not_found']);
});

test("the same external id of two accounts names each account's own webhook", async () => {
  const [one, other] = [await newCaller(), await newCaller()];
  const [a, b] = [await one.create({ external_id: 'shared' }), await other.create({ external_id: 'shared' })];
  expect([a.status, b.status]).toEqual([201, 201]);
  expect((await one.as('GET', pathOf('shared'))).body.webhook_id).toBe(a.body.webhook_id);
  expect((await other.as('DELETE', pathOf('shared'))).status).toBe(204);
  expect((await one.as('GET', pathOf('shared'))).status).toBe(200);
});

test('a taken external id is refused, also when 20 calls race for it', async () => {
  const { as, create, accountId } = await newCaller();
  const responses = await atOnce(20, () => create({ external_id: 'wanted' }));
  expect(responses.filter(({ status }) => status === 201)).toHaveLength(1);
  for (const { status, body } of responses.filter((response) => response.status !== 201))
    expect([status, body.code, body.errors[0]?.pointer]).toEqual([409, 'external_id_taken', '/external_id']);
  const others = await Promise.all([create(), create(), create({ external_id: 'mine' })]);
  for (const { body } of others) {
    const changed = await as('PATCH', pathOf(body.webhook_id), { external_id: 'wanted', description: 'x' });
    expect([changed.status, changed.body.code]).toEqual([409, 'external_id_taken']);
    const after = await as('GET', pathOf(body.webhook_id));
    expect(after.body).toMatchObject({ external_id: body.external_id, description: null });
  }
  // Its own is not taken.
  expect((await as('PATCH', pathOf('mine'), { external_id: 'mine' })).status).toBe(200);
  // Creates and changes race for another one.
  const raced = await Promise.all([
    ...others.map(({ body }) => as('PATCH', pathOf(body.webhook_id), { external_id: 'next' })),
    ...others.map(() => create({ external_id: 'next' })),
  ]);
  expect(raced.filter(({ status }) => status < 300)).toHaveLength(1);
  expect(raced.filter(({ status }) => status === 409)).toHaveLength(5);
  const { rows } = await service.pool.query<{ count: number }>(
    `select count(*)::int as count from webhooks where account_id = $1 and external_id in ('wanted', 'next')`,
    [accountId],
  );
  expect(rows[0]?.count).toBe(2);
});

test('a deleted webhook frees its external id', async () => {
  const { as, create } = await newCaller();
  const first = await create({ external_id: 'again' });
  expect((await as('DELETE', pathOf('again'))).status).toBe(204);
  expect((await as('DELETE', pathOf('again'))).status).toBe(404);
  const second = await create({ external_id: 'again' });
  expect(second.status).toBe(201);
  expect(second.body.webhook_id).not.toBe(first.body.webhook_id);
  expect((await as('GET', pathOf('again'))).body.webhook_id).toBe(second.body.webhook_id);
});

test('an Idempotency-Key is for the same request by the id and by the external id', async () => {
  const { as, create } = await newCaller();
  const key = { 'Idempotency-Key': 'rotate-1' };
  const { body } = await create({ external_id: 'rotated' });
  const first = await as('POST', pathOf('rotated', '/rotate-secret'), {}, key);
  const second = await as('POST', pathOf(body.webhook_id, '/rotate-secret'), {}, key);
  expect(first.status).toBe(200);
  expect(second.text).toBe(first.text);
  expect(second.headers.get('Idempotent-Replayed')).toBe('true');
});

test('a service key gets a webhook by its external id of the account that it acts for, and of no other', async () => {
  const [one, other] = [await newCaller(), await newCaller()];
  const { body } = await one.create({ external_id: 'of-an-account' });
  const key = await service.newKey({ accountId: null, scopes: ['webhooks:read', 'webhooks:write'] });
  const read = (headers: Record<string, string> = {}) =>
    call<Body>(service.apiUrl, key, 'GET', pathOf('of-an-account'), undefined, headers);
  const without = await read();
  expect([without.status, without.body.code]).toEqual([403, 'account_key_required']);
  expect((await read({ 'Fltr-Account': one.accountId })).body.webhook_id).toBe(body.webhook_id);
  expect((await read({ 'Fltr-Account': other.accountId })).status).toBe(404);
});

test('commands accept an external id, and set one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fltr-external-ids-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const { key } = await service.newAccount();
  const env = { FLTR_API_URL: service.apiUrl, FLTR_API_KEY: key, FLTR_DATA_DIR: folder };
  const run = async (...command: string[]): Promise<[number, string]> => {
    const { code, output } = await runInProcess(command, env);
    return [code, output];
  };
  const named = ['--external-id', 'customer/42', '--metadata', 'plan=pro', '--metadata', 'note=a=b'];
  const [created, text] = await run(
    'webhooks',
    'create',
    '--url',
    receiver.url,
    '--events',
    '*',
    ...named,
    '--json',
  );
  expect(created).toBe(0);
  const webhook = JSON.parse(text) as Webhook;
  expect(webhook).toMatchObject({ external_id: 'customer/42', metadata: { plan: 'pro', note: 'a=b' } });
  const [, shown] = await run('webhooks', 'show', 'customer/42');
  expect(shown).toMatch(/external id +customer\/42/);
  expect(shown).toMatch(/metadata +note=a=b, plan=pro/);
  for (const command of [
    ['webhooks', 'test', 'customer/42', 'document.deleted'],
    ['trigger', 'document.deleted', '--webhook', 'customer/42'],
    ['deliveries', 'list', '--webhook', 'customer/42'],
    ['webhooks', 'stats', 'customer/42'],
    ['recover', 'customer/42', '--since', '2020-01-01T00:00:00Z', '--dry-run'],
    ['webhooks', 'update', 'customer/42', '--metadata', ''],
  ])
    expect([command, (await run(...command))[0]]).toEqual([command, 0]);
  expect((await run('webhooks', 'update', 'customer/42', '--metadata', 'no value'))[0]).toBe(2);
  expect((await run('trigger', 'document.deleted', '--webhook', 'nobody'))[0]).toBe(3);
  expect((await run('webhooks', 'update', 'customer/42', '--external-id', ''))[0]).toBe(0);
  const [, after] = await run('webhooks', 'show', webhook.webhook_id, '--json');
  expect(JSON.parse(after)).toMatchObject({ external_id: null, metadata: {} });
});
