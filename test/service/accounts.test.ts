import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Account } from '../../src/contracts/account.ts';
import { FltrWebhooks } from '../../src/client/fltr-webhooks.ts';
import { runInProcess } from '../kit/command.ts';
import { atOnce, call, startService, type ApiResponse, type Service } from '../kit/service.ts';

/** Accounts with ids of the caller's own, by a service key. */
let service: Service;
let operator: string;
beforeAll(async () => {
  service = await startService({ FLTR_MAX_WEBHOOKS_PER_ACCOUNT: '3' }, 'api');
  operator = await service.newKey({ accountId: null, scopes: ['accounts:read', 'accounts:write'] });
});
afterAll(() => service.stop());

type Faults = { code: string; detail: string; errors: { pointer: string; message: string }[] };
const as = <T = Account & Faults>(
  key: string | null,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
) => call<T>(service.apiUrl, key, method, path, body, headers);
const put = (id: string, body: unknown = {}) => as(operator, 'PUT', `/v1/accounts/${id}`, body);
const outcome = ({ status, body }: ApiResponse<{ code: string }>) => [status, body.code];
const target = { url: 'https://example.com/', events: ['*'] };
const createWebhook = (key: string, account: string) =>
  as<Faults>(key, 'POST', '/v1/webhooks', target, { 'Fltr-Account': account });

test('an account is created, read and changed; fields that are left out stay; both are on record', async () => {
  const created = await put('tenant-1', { name: 'A tenant', metadata: { plan: 'pro', region: 'eu' } });
  expect([created.status, created.body]).toEqual([
    201,
    {
      id: 'tenant-1',
      name: 'A tenant',
      metadata: { plan: 'pro', region: 'eu' },
      limits: { max_webhooks: null, deliveries_per_hour: null },
      usage: { webhooks: 0, delivered: 0, failed: 0 },
      created_at: expect.any(String),
      updated_at: expect.any(String),
      deletion: null,
    },
  ]);
  const read = await as(operator, 'GET', '/v1/accounts/tenant-1');
  expect([read.status, read.body]).toEqual([200, created.body]);
  const changed = await put('tenant-1', { limits: { max_webhooks: 5, deliveries_per_hour: 0 } });
  expect([changed.status, changed.body]).toMatchObject([
    200,
    { name: 'A tenant', metadata: { plan: 'pro' }, limits: { max_webhooks: 5, deliveries_per_hour: 0 } },
  ]);
  expect(
    (await put('tenant-1', { limits: { max_webhooks: null }, metadata: { plan: 'free' } })).body,
  ).toMatchObject({
    metadata: { plan: 'free' },
    limits: { max_webhooks: null, deliveries_per_hour: 0 },
  });
  expect((await put('tenant-1', { metadata: {}, name: 'Renamed' })).body).toMatchObject({
    name: 'Renamed',
    metadata: {},
  });
  // Without a body it exists afterwards, and nothing else changes.
  expect((await as(operator, 'PUT', '/v1/accounts/tenant-1')).status).toBe(200);
  const bare = await as(operator, 'PUT', '/v1/accounts/Tenant_2');
  expect([bare.status, bare.body.name]).toEqual([201, 'Tenant_2']);
  const { rows } = await service.pool.query<{ action: string; actor: string }>(
    `select action, actor from audit_records where account_id = 'tenant-1' order by id`,
  );
  expect(rows.map(({ action }) => action)).toEqual(['account.created', ...Array(4).fill('account.updated')]);
  expect(rows.every(({ actor }) => actor.startsWith('key_'))).toBe(true);
});

const longest = 'x'.repeat(64);
test.each([
  ['an id of 64 characters', longest, {}, 201],
  ['an id of 65 characters', `${longest}x`, {}, 422],
  ['an id with a full stop', 'a.b', {}, 404],
  ['20 entries of 40 and 500 characters', 'm', { metadata: entries(20, 40, 500) }, 201],
  ['21 entries', 'm', { metadata: entries(21, 5, 5) }, 422],
  ['a name of 41 characters in metadata', 'm', { metadata: entries(1, 41, 5) }, 422],
  ['a value of 501 characters', 'm', { metadata: entries(1, 5, 501) }, 422],
  ['metadata that is no text', 'm', { metadata: { a: 1 } }, 422],
  ['metadata that PostgreSQL cannot hold', 'm', { metadata: { a: '\0' } }, 422],
  ['half of a character', 'm', { metadata: { a: '\ud800' } }, 422],
  ['a name of 100 characters', 'm', { name: 'x'.repeat(100) }, 200],
  ['a name of 101 characters', 'm', { name: 'x'.repeat(101) }, 422],
  ['a name with a line break', 'm', { name: 'a\nb' }, 422],
  ['an empty name', 'm', { name: '' }, 422],
  ['the largest limits', 'm', { limits: { max_webhooks: 100_000, deliveries_per_hour: 1_000_000 } }, 200],
  ['the smallest limits', 'm', { limits: { max_webhooks: 1, deliveries_per_hour: 0 } }, 200],
  ['no webhook at all', 'm', { limits: { max_webhooks: 0 } }, 422],
  ['too many webhooks', 'm', { limits: { max_webhooks: 100_001 } }, 422],
  ['fewer deliveries than none', 'm', { limits: { deliveries_per_hour: -1 } }, 422],
  ['half a delivery', 'm', { limits: { deliveries_per_hour: 1.5 } }, 422],
  ['an unknown limit', 'm', { limits: { max_keys: 1 } }, 422],
  ['an unknown field', 'm', { id: 'm' }, 422],
])('%s', async (_name, id, body, status) => {
  const response = await put(id, body);
  expect([response.status, response.text]).toEqual([status, expect.anything()]);
  if (status === 422) expect(response.body.errors.length).toBeGreaterThan(0);
});

function entries(count: number, nameLength: number, valueLength: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      String(index).padStart(nameLength, 'n'),
      'v'.repeat(valueLength),
    ]),
  );
}

test('only a service key with the scope: neither a key of an account, nor another service key', async () => {
  await put('guarded');
  const [reader, writer, publisher] = await Promise.all(
    (['accounts:read', 'accounts:write', 'events:write'] as const).map((scope) =>
      service.newKey({ accountId: null, scopes: [scope] }),
    ),
  );
  const calls = [
    ['GET', '/v1/accounts', reader],
    ['GET', '/v1/accounts/guarded', reader],
    ['GET', '/v1/accounts/missing', reader],
    ['PUT', '/v1/accounts/guarded', writer],
    ['PUT', '/v1/accounts/taken-over', writer],
  ] as const;
  for (const [method, path, allowed] of calls) {
    expect(outcome(await as(service.key, method, path))).toEqual([403, 'service_key_required']);
    for (const key of [reader, writer, publisher])
      if (key !== undefined && key !== allowed)
        expect(outcome(await as(key, method, path))).toEqual([403, 'missing_scope']);
    expect((await as(null, method, path)).status).toBe(401);
  }
  expect(outcome(await as(operator, 'GET', '/v1/accounts/missing'))).toEqual([404, 'not_found']);
  expect(outcome(await as(operator, 'GET', '/v1/accounts/taken-over'))).toEqual([404, 'not_found']);
});

test('of calls at once that create an account, one creates it', async () => {
  const responses = await atOnce(8, () => put('raced', { name: 'Raced' }));
  expect(responses.map(({ status }) => status).sort((a, b) => a - b)).toEqual([...Array(7).fill(200), 201]);
  const { rows } = await service.pool.query(`select action from audit_records where account_id = 'raced'`);
  expect(rows.filter(({ action }) => action === 'account.created')).toHaveLength(1);
});

test('the list has every account once, newest first, page after page, also where many are as old', async () => {
  await service.pool.query(
    `insert into accounts (id, name, created_at)
     select 'listed-' || n, 'listed', date_trunc('milliseconds', now()) from generate_series(1, 25) as n`,
  );
  const client = new FltrWebhooks({ url: service.apiUrl, apiKey: operator });
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.listAccounts({ limit: 7, ...(cursor === undefined ? {} : { cursor }) });
    ids.push(...page.data.map(({ id }) => id));
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  const { rows } = await service.pool.query<{ id: string }>(
    `select id from accounts order by created_at desc, id desc`,
  );
  expect(ids).toEqual(rows.map(({ id }) => id));
  const [other] = (await service.call<{ next_cursor: string }>('GET', '/v1/keys?limit=1')).text.split('x');
  expect(other).toBeDefined();
  expect((await as(operator, 'GET', '/v1/accounts?cursor=nonsense')).status).toBe(422);
});

test('max_webhooks replaces the setting, up and down, also where calls race for the last one', async () => {
  const key = await service.newKey({ accountId: null });
  const create = (account: string) => createWebhook(key, account);
  await put('many', { limits: { max_webhooks: 5 } });
  const responses = await atOnce(12, () => create('many'));
  expect(responses.filter(({ status }) => status === 201)).toHaveLength(5);
  const refused = responses.find(({ status }) => status === 409);
  expect([refused?.body.code, refused?.body.detail]).toEqual([
    'webhook_limit_reached',
    'The account may have 5 webhooks. Delete one that is no longer needed.',
  ]);
  const settings = (account: string) =>
    as<{ max_webhooks: number; deliveries_per_hour: number | null }>(key, 'GET', '/v1/settings', undefined, {
      'Fltr-Account': account,
    });
  expect((await settings('many')).body).toMatchObject({ max_webhooks: 5, deliveries_per_hour: 1000 });
  await put('many', { limits: { max_webhooks: 2, deliveries_per_hour: 0 } });
  expect(outcome(await create('many'))).toEqual([409, 'webhook_limit_reached']);
  expect((await settings('many')).body).toMatchObject({ max_webhooks: 2, deliveries_per_hour: null });
  await put('many', { limits: { max_webhooks: 6, deliveries_per_hour: 7 } });
  expect((await create('many')).status).toBe(201);
  expect((await settings('many')).body).toMatchObject({ max_webhooks: 6, deliveries_per_hour: 7 });
  // Without a limit of its own, the setting counts again.
  await put('many', { limits: { max_webhooks: null, deliveries_per_hour: null } });
  expect((await settings('many')).body).toMatchObject({ max_webhooks: 3, deliveries_per_hour: 1000 });
  await put('usual');
  const usual = await atOnce(5, () => create('usual'));
  expect(usual.filter(({ status }) => status === 201)).toHaveLength(3);
});

test('the same as commands', async () => {
  const run = async (...args: string[]) => {
    const { code, output } = await runInProcess(['accounts', ...args], {
      FLTR_API_URL: service.apiUrl,
      FLTR_API_KEY: operator,
    });
    return [code, output] as const;
  };
  const limits = ['--max-webhooks', '7', '--deliveries-per-hour', 'default'];
  const [code, output] = await run(
    'put',
    'by-command',
    '--name',
    'N',
    '--metadata',
    'plan=a=b,x=',
    ...limits,
  );
  expect([code, output]).toEqual([
    0,
    expect.stringMatching(/^id +by-command\nname +N\nmetadata +x=, plan=a=b\n/),
  ]);
  expect(output).toMatch(/max_webhooks +7\ndeliveries_per_hour +default\n/);
  expect((await run('list'))[1]).toMatch(/by-command +N +0 +7 +default/);
  expect(await run('show', 'by-command')).toEqual([0, output]);
  expect(await run('show', 'nobody')).toEqual([3, 'There is no such account.\n']);
  expect(await run('put', 'by-command', '--max-webhooks', 'many')).toEqual([
    2,
    '--max-webhooks must be a whole number, or default.\n',
  ]);
  expect(await run('put', 'by-command', '--metadata', 'plan')).toEqual([
    2,
    expect.stringContaining('plan=enterprise'),
  ]);
  const refused = await runInProcess(['accounts', 'list'], {
    FLTR_API_URL: service.apiUrl,
    FLTR_API_KEY: service.key,
  });
  expect(refused.code).toBe(4);
});
