import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AuditRecord } from '../../src/contracts/audit.ts';
import type { OwnAccount } from '../../src/contracts/account.ts';
import { beginDeletion } from '../../src/db/account-deletions.ts';
import { withTransaction } from '../../src/db/pool.ts';
import { portalCalls } from '../kit/portal.ts';
import { call, startService, until, type ApiResponse, type Service } from '../kit/service.ts';

/** The account of the key: read and renamed by itself. */
let service: Service;
beforeAll(async () => {
  service = await startService({}, 'api');
});
afterAll(() => service.stop());

type Body = OwnAccount & { code: string; errors: { pointer: string; message: string }[] };
const as = (key: string, method: string, body?: unknown, headers?: Record<string, string>) =>
  call<Body>(service.apiUrl, key, method, '/v1/account', body, headers);
const outcome = ({ status, body }: ApiResponse<{ code: string }>) => [status, body.code];
const audited = async (key: string) =>
  (await call<{ data: AuditRecord[] }>(service.apiUrl, key, 'GET', '/v1/audit-records')).body.data;

test('a key reads its account and renames it; that is on record, and no other account changes', async () => {
  const { accountId, key } = await service.newAccount();
  const read = await as(key, 'GET');
  const time = expect.any(String) as string;
  expect([read.status, read.body]).toEqual([
    200,
    { id: accountId, name: 'test', created_at: time, updated_at: time },
  ]);
  const renamed = await as(key, 'PATCH', { name: 'Acme <b>& sons</b> 🦊' });
  expect([renamed.status, renamed.body]).toMatchObject([
    200,
    { id: accountId, name: 'Acme <b>& sons</b> 🦊' },
  ]);
  expect(renamed.body.updated_at > read.body.updated_at).toBe(true);
  expect((await as(key, 'GET')).body).toEqual(renamed.body);
  expect((await as(service.key, 'GET')).body).toMatchObject({ id: service.accountId, name: 'test' });
  const [record] = await audited(key);
  expect(record).toMatchObject({
    action: 'account.updated',
    actor: { type: 'key', name: 'test' },
    target: { id: accountId },
    fields: ['name'],
  });
  expect(JSON.stringify(await audited(service.key))).not.toContain(accountId);
});

test('a name is one line of 1 to 100 characters, and nothing else can be changed', async () => {
  const { key } = await service.newAccount();
  const longest = 'x'.repeat(100);
  expect((await as(key, 'PATCH', { name: longest })).body.name).toBe(longest);
  for (const body of [
    { name: '' },
    { name: `${longest}x` },
    { name: 'two\nlines' },
    { name: 'a\u0000b' },
    { name: 'left \u202e right' },
    { name: null },
    { name: ['a'] },
    {},
  ]) {
    const refused = await as(key, 'PATCH', body);
    expect([...outcome(refused), refused.body.errors[0]?.pointer]).toEqual([
      422,
      'validation_failed',
      '/name',
    ]);
  }
  for (const more of [{ id: 'other' }, { limits: { max_webhooks: 1000 } }, { metadata: {} }])
    expect(outcome(await as(key, 'PATCH', { name: 'x', ...more }))).toEqual([422, 'validation_failed']);
  expect((await as(key, 'GET')).body.name).toBe(longest);
  expect(await audited(key)).toHaveLength(1);
});

test('metadata and limits, which are the operator’s, are not shown', async () => {
  const operator = await service.newKey({ accountId: null });
  const id = 'with_margin';
  await call(service.apiUrl, operator, 'PUT', `/v1/accounts/${id}`, { metadata: { margin: 'secret' } });
  const key = await service.newKey({ accountId: id });
  for (const { text } of [await as(key, 'GET'), await as(key, 'PATCH', { name: 'x' })])
    expect(text).not.toMatch(/secret|limits|metadata/);
});

test('a key that reads does not rename, a portal does neither, and a service key acts for the account', async () => {
  const { accountId, key } = await service.newAccount();
  const reader = await service.newKey({ accountId, scopes: ['webhooks:read'] });
  expect((await as(reader, 'GET')).status).toBe(200);
  expect(outcome(await as(reader, 'PATCH', { name: 'x' }))).toEqual([403, 'missing_scope']);
  const { token } = await portalCalls(() => service).openNew();
  for (const [method, body] of [['GET'], ['PATCH', { name: 'x' }]] as const)
    expect(outcome(await as(token, method, body, { 'x-fltr-dashboard': '1' }))).toEqual([
      403,
      'not_in_portal',
    ]);

  const operator = await service.newKey({ accountId: null, scopes: ['webhooks:read', 'webhooks:write'] });
  const acting = { 'fltr-account': accountId };
  expect(outcome(await as(operator, 'PATCH', { name: 'x' }))).toEqual([403, 'account_key_required']);
  expect(outcome(await as(operator, 'PATCH', { name: 'x' }, { 'fltr-account': 'none' }))).toEqual([
    404,
    'not_found',
  ]);
  // An account's key acts for no other.
  expect(outcome(await as(service.key, 'PATCH', { name: 'x' }, acting))).toEqual([
    403,
    'service_key_required',
  ]);
  expect((await as(operator, 'PATCH', { name: 'By the operator' }, acting)).status).toBe(200);
  expect((await as(key, 'GET')).body.name).toBe('By the operator');
  expect((await audited(key))[0]?.actor).toMatchObject({ type: 'service_key', name: null });
});

test('of concurrent names one stays, and each is on record', async () => {
  const { key } = await service.newAccount();
  const names = Array.from({ length: 10 }, (_, index) => `name ${index}`);
  const renamed = await Promise.all(names.map((name) => as(key, 'PATCH', { name })));
  expect(renamed.map(({ status }) => status)).toEqual(names.map(() => 200));
  expect(names).toContain((await as(key, 'GET')).body.name);
  expect(await audited(key)).toHaveLength(names.length);
});

test('an account that is being deleted is not renamed, not even by a call that came before', async () => {
  const { accountId, key } = await service.newAccount();
  const isWaiting = async () => {
    const { rowCount } = await service.pool.query(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return rowCount === 1;
  };
  const early = await withTransaction(service.pool, async (client) => {
    await beginDeletion(client, accountId);
    const sent = as(key, 'PATCH', { name: 'early' });
    await until(isWaiting, (is) => is, 10_000);
    return { sent };
  });
  expect(outcome(await early.sent)).toEqual([404, 'not_found']);
  expect(outcome(await as(key, 'PATCH', { name: 'late' }))).toEqual([401, 'unauthorized']);
  const operator = await service.newKey({ accountId: null });
  const acting = { 'fltr-account': accountId };
  for (const method of ['GET', 'PATCH'])
    expect(outcome(await as(operator, method, method === 'GET' ? undefined : { name: 'x' }, acting))).toEqual(
      [404, 'not_found'],
    );
  const { rows } = await service.pool.query('select name from accounts where id = $1', [accountId]);
  expect(rows).toEqual([{ name: 'test' }]);
});
