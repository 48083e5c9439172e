import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Key } from '../../src/contracts/key.ts';
import { readConfig } from '../../src/config.ts';
import { developmentKeyFor } from '../../src/development-secrets.ts';
import { digestOfKey, type Scope } from '../../src/security/api-keys.ts';
import { call, startService, type ApiResponse, type Service } from '../kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({}, 'api');
});
afterAll(() => service.stop());

type Created = Key & { key: string; code: string; detail: string };
type List = { data: Key[]; next_cursor: string | null };
const as = <T = Created>(key: string, method: string, path: string, body?: unknown) =>
  call<T>(service.apiUrl, key, method, path, body);
const create = (key: string, name: string, scopes: readonly Scope[]) =>
  as(key, 'POST', '/v1/keys', { name, scopes });
const list = async (key: string, query = '') => (await as<List>(key, 'GET', `/v1/keys${query}`)).body;
const outcome = ({ status, body }: ApiResponse<{ code: string }>) => [status, body.code];

test('a key is created, shown once, listed, used, revoked; who did it is on record', async () => {
  const { accountId, key: owner } = await service.newAccount();
  const created = await create(owner, 'reader', ['webhooks:read']);
  expect(created.status).toBe(201);
  expect(created.headers.get('cache-control')).toBe('no-store');
  const { key, ...shown } = created.body;
  expect(key).toMatch(/^fltr_[\w-]{43}$/);
  expect(shown).toEqual({
    id: expect.stringMatching(/^key_/),
    name: 'reader',
    hint: `${key.slice(0, 9)}…`,
    scopes: ['webhooks:read'],
    created_at: expect.any(String),
    revoked_at: null,
    last_used_at: null,
    is_current: false,
  });
  const { data, next_cursor: cursor } = await list(owner);
  expect([data[0], data.length, cursor]).toEqual([shown, 2, null]);
  expect([data[1]?.name, data[1]?.is_current]).toEqual(['test', true]);
  expect(JSON.stringify(data)).not.toContain(key.slice(10));
  expect((await list(key)).data.map(({ is_current }) => is_current)).toEqual([true, false]);
  const { rows: stored } = await service.pool.query(`select digest, account_id from api_keys where id = $1`, [
    shown.id,
  ]);
  expect(stored).toEqual([{ digest: digestOfKey(key), account_id: accountId }]);

  expect((await as(owner, 'DELETE', `/v1/keys/${shown.id}`)).status).toBe(204);
  expect(outcome(await as(key, 'GET', '/v1/keys'))).toEqual([401, 'unauthorized']);
  expect(outcome(await as(owner, 'DELETE', `/v1/keys/${shown.id}`))).toEqual([404, 'not_found']);
  expect((await list(owner)).data[0]?.revoked_at).toEqual(expect.any(String));
  const { rows } = await service.pool.query(
    `select actor, action, target from audit_records where account_id = $1 order by id`,
    [accountId],
  );
  const actor = data[1]?.id;
  expect(rows).toEqual([
    { actor, action: 'key.created', target: shown.id },
    { actor, action: 'key.revoked', target: shown.id },
  ]);
});

test('a key gives no scope that it does not have, and none without webhooks:write', async () => {
  const { accountId } = await service.newAccount();
  const writer = await service.newKey({ accountId, scopes: ['webhooks:read', 'webhooks:write'] });
  expect((await create(writer, 'same', ['webhooks:write', 'webhooks:read'])).status).toBe(201);
  for (const scopes of [['events:write'], ['webhooks:read', 'events:write']] as const) {
    const refused = await create(writer, 'more', scopes);
    expect(outcome(refused)).toEqual([403, 'missing_scope']);
    expect(refused.body.detail).toContain('lacks events:write');
  }
  const reader = await service.newKey({ accountId, scopes: ['webhooks:read'] });
  expect(outcome(await create(reader, 'own', ['webhooks:read']))).toEqual([403, 'missing_scope']);
  const serviceKey = await service.newKey({ accountId: null });
  expect(outcome(await create(serviceKey, 'x', ['events:write']))).toEqual([403, 'account_key_required']);
  expect(outcome(await as(serviceKey, 'GET', '/v1/keys'))).toEqual([403, 'account_key_required']);
  for (const body of [
    { name: 'x', scopes: [] },
    { name: 'x', scopes: ['webhooks:read', 'webhooks:read'] },
    { name: 'x', scopes: ['admin'] },
    { name: '', scopes: ['webhooks:read'] },
    { name: 'x'.repeat(101), scopes: ['webhooks:read'] },
    { name: 'a\0', scopes: ['webhooks:read'] },
    { name: '\u001b[2J', scopes: ['webhooks:read'] },
    { name: 'a\u202eb', scopes: ['webhooks:read'] },
    { name: 'two\nlines', scopes: ['webhooks:read'] },
    { name: 'x', scopes: ['webhooks:read'], account_id: service.accountId },
  ]) {
    expect(outcome(await as(writer, 'POST', '/v1/keys', body))).toEqual([422, 'validation_failed']);
  }
});

test("another account's keys are neither listed nor revoked, also with a forged cursor", async () => {
  const [mine, theirs] = [await service.newAccount(), await service.newAccount()];
  const { body } = await create(theirs.key, 'theirs', ['webhooks:read']);
  expect(outcome(await as(mine.key, 'DELETE', `/v1/keys/${body.id}`))).toEqual([404, 'not_found']);
  expect((await list(body.key)).data).toHaveLength(2);
  const forged = Buffer.from(JSON.stringify([1, 'keys', 'key_zzzzzzzzzzzzzzzzzzzzzzzzzz'])).toString(
    'base64url',
  );
  for (const query of ['', `?cursor=${forged}`]) {
    expect((await list(mine.key, query)).data.map(({ name }) => name)).toEqual(['test']);
  }
  const { rows } = await service.pool.query(
    `select count(*)::int as count from audit_records where account_id = $1`,
    [mine.accountId],
  );
  expect(rows).toEqual([{ count: 0 }]);
});

test('an account has at most 100 valid keys, also where many are created at once; a revoked one does not count', async () => {
  const { accountId, key } = await service.newAccount();
  await Promise.all(Array.from({ length: 97 }, () => service.newKey({ accountId })));
  const responses = await Promise.all(
    Array.from({ length: 6 }, (_, index) => create(key, `racing ${index}`, ['webhooks:read'])),
  );
  const statuses = responses.map(({ status }) => status).sort((a, b) => a - b);
  expect(statuses).toEqual([201, 201, 409, 409, 409, 409]);
  const refused = responses.find(({ status }) => status === 409);
  expect([refused?.body.code, refused?.body.detail]).toEqual([
    'key_limit_reached',
    'An account may have 100 valid keys. Revoke one that is no longer needed.',
  ]);
  const made = responses.find(({ status }) => status === 201)?.body.id;
  expect((await as(key, 'DELETE', `/v1/keys/${made}`)).status).toBe(204);
  expect((await create(key, 'in its place', ['webhooks:read'])).status).toBe(201);
  // Page after page, newest first, each once.
  const ids: string[] = [];
  for (let query = '?limit=40'; query !== '';) {
    const page = await list(key, query);
    ids.push(...page.data.map(({ id }) => id));
    query = page.next_cursor === null ? '' : `?limit=40&cursor=${page.next_cursor}`;
  }
  expect(ids).toHaveLength(101);
  expect(ids).toEqual([...new Set(ids)].sort().toReversed());
});

test('a key revokes no key that has a scope which it lacks', async () => {
  const { accountId, key: owner } = await service.newAccount();
  const writer = await service.newKey({ accountId, scopes: ['webhooks:write'] });
  const twin = await create(owner, 'twin', ['webhooks:write']);
  const stronger = [
    await create(owner, 'publisher', ['events:write']),
    await create(owner, 'reader', ['webhooks:read']),
    await create(owner, 'all', ['webhooks:read', 'webhooks:write', 'events:write']),
  ];
  for (const { body } of stronger) {
    const refused = await as(writer, 'DELETE', `/v1/keys/${body.id}`);
    expect(outcome(refused)).toEqual([403, 'missing_scope']);
    expect(refused.body.detail).toContain(
      'A key revokes only keys whose scopes it has itself. This one lacks',
    );
  }
  const valid = (await list(owner)).data.filter(({ revoked_at }) => revoked_at === null);
  expect(valid).toHaveLength(6);
  expect((await as(writer, 'DELETE', `/v1/keys/${twin.body.id}`)).status).toBe(204);
  for (const { body } of stronger)
    expect((await as(owner, 'DELETE', `/v1/keys/${body.id}`)).status).toBe(204);
  // Refused calls have left no audit record.
  const { rows } = await service.pool.query(
    `select count(*)::int as count from audit_records where account_id = $1 and action = 'key.revoked'`,
    [accountId],
  );
  expect(rows).toEqual([{ count: 4 }]);
});

test('a key can revoke itself', async () => {
  const { key } = await service.newAccount();
  const [own] = (await list(key)).data;
  expect((await as(key, 'DELETE', `/v1/keys/${own?.id}`)).status).toBe(204);
  expect(outcome(await as(key, 'GET', '/v1/keys'))).toEqual([401, 'unauthorized']);
});

test('a development key ends when another one replaces it; a key of an account never becomes one', async () => {
  const start = (key: string) =>
    developmentKeyFor(readConfig({ ...service.env, FLTR_DEV_KEY: key }), service.pool);
  const isValid = async (key: string) => (await as(key, 'GET', '/v1/keys')).status === 200;
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  const kept = readFileSync(join(service.dataDir, 'dev-key'), 'utf8').trim();
  const [first, second] = ['first-development-key', 'second-development-key'];
  expect(await isValid(kept)).toBe(true);
  await start(first);
  // It is remembered for publishing.
  expect((await as(first, 'POST', '/v1/events', event)).status).toBe(202);
  await start(second);
  expect([await isValid(kept), await isValid(first), await isValid(second)]).toEqual([false, false, true]);
  expect(outcome(await as(first, 'POST', '/v1/events', event))).toEqual([401, 'unauthorized']);
  const { data } = await list(second);
  expect(data.filter(({ revoked_at }) => revoked_at === null).map(({ hint }) => hint)).toEqual(['seco…']);
  await start(first);
  expect([await isValid(first), await isValid(second)]).toEqual([true, false]);

  // Of starts at once, one key is left.
  const keys = Array.from({ length: 8 }, (_, index) => `development-key-at-once-${index}`);
  await Promise.all(keys.map(start));
  const left = await Promise.all([first, second, ...keys].map(isValid));
  expect(left.filter(Boolean)).toHaveLength(1);
  await start(first);

  // Another account's key gets no more scopes by being named as the development key.
  const { accountId } = await service.newAccount();
  const reader = await service.newKey({ accountId, scopes: ['webhooks:read'] });
  await expect(start(reader)).rejects.toThrow('FLTR_DEV_KEY is already an API key of another account');
  expect((await list(reader)).data[0]?.scopes).toEqual(['webhooks:read']);
  expect(await isValid(first)).toBe(true);
});

test('no key of an account gets a scope of service keys in any way; the database refuses it too', async () => {
  const { accountId, key } = await service.newAccount();
  for (const scope of ['event-types:write', 'accounts:read', 'accounts:write'] as const) {
    expect(outcome(await create(key, 'more', [scope]))).toEqual([422, 'validation_failed']);
    const inserted = service.newKey({ accountId, scopes: ['webhooks:read', scope] });
    await expect(inserted).rejects.toThrow('an_account_key_has_its_scopes');
    await service.newKey({ accountId: null, scopes: [scope] });
  }
});
