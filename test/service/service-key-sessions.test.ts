import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Session } from '../../src/contracts/session.ts';
import { revokeApiKey } from '../../src/db/api-keys-table.ts';
import { scopes, type Scope } from '../../src/security/api-keys.ts';
import { portalCalls } from '../kit/portal.ts';
import { call, startService, type ApiResponse, type Service } from '../kit/service.ts';
import { openStream } from '../kit/streams.ts';

/** An operator's session in the dashboard: of a service key, which acts for the account that a header names. */
let service: Service;
let other: string;
let session: Record<string, string>;
beforeAll(async () => {
  service = await startService({}, 'api');
  ({ accountId: other } = await service.newAccount());
  session = await sessionOf(scopes);
});
afterAll(() => service.stop());

type Body = Session & { code: string; data: { id: string; webhook_id: string }[]; webhook_id: string };
const own = { 'x-fltr-dashboard': '1' };
const browse = (method: string, path: string, headers: Record<string, string>, body?: unknown) =>
  call<Body>(service.apiUrl, null, method, path, body, headers);
const outcome = ({ status, body }: ApiResponse<Body>) => [status, body.code];
const target = { url: 'https://example.com/', events: ['*'] };

const signIn = (key: string, headers: Record<string, string> = {}) =>
  browse('POST', '/session', { ...own, ...headers }, { key });
const cookieOf = (response: ApiResponse<Body>) =>
  /^[^;]+/.exec(response.headers.get('set-cookie') ?? '')?.[0] ?? '';
async function sessionOf(chosen: readonly Scope[]): Promise<Record<string, string>> {
  const response = await signIn(await service.newKey({ accountId: null, scopes: chosen }));
  expect(response.status).toBe(200);
  return { ...own, cookie: cookieOf(response) };
}
const as = (accountId: string, headers = session) => ({ ...headers, 'fltr-account': accountId });

test('it belongs to no account, lists all, and acts for the one that a call names', async () => {
  const { accountId } = service;
  expect((await browse('GET', '/session', session)).body).toMatchObject({
    account_id: null,
    account_name: null,
    is_service_key: true,
  });
  expect((await browse('GET', '/session', as(other))).body).toMatchObject({
    account_id: other,
    account_name: 'test',
    is_service_key: true,
  });
  const list = await browse('GET', '/v1/accounts', session);
  expect(list.body.data.map(({ id }) => id)).toEqual(expect.arrayContaining([accountId, other]));
  const created = await browse('POST', '/v1/webhooks', as(other), target);
  expect(created.status).toBe(201);
  const idsOf = async (account: string) =>
    (await browse('GET', '/v1/webhooks', as(account))).body.data.map(({ webhook_id: id }) => id);
  expect(await idsOf(other)).toEqual([created.body.webhook_id]);
  expect(await idsOf(accountId)).toEqual([]);
  // On record for that account, with the key as the one who did.
  await browse('GET', `/v1/webhooks/${created.body.webhook_id}/secret`, as(other));
  const { rows } = await service.pool.query(
    `select account_id, actor from audit_records where action = 'webhook.secret_read'`,
  );
  expect(rows).toEqual([{ account_id: other, actor: expect.stringMatching(/^key_/) }]);
});

test('without an account, and for an unknown one, it reads nothing of an account', async () => {
  expect(outcome(await browse('GET', '/v1/webhooks', session))).toEqual([403, 'account_key_required']);
  for (const unknown of ['acc_unknown', '../x', '%', "' or true --", ''])
    expect(outcome(await browse('GET', '/v1/webhooks', as(unknown))), unknown).toEqual([404, 'not_found']);
  expect(outcome(await browse('GET', '/session', as('acc_unknown')))).toEqual([404, 'not_found']);
});

test('its stream is that of the account it acts for, and without an account there is none', async () => {
  expect((await openStream(service.apiUrl, null, session)).status).toBe(403);
  expect((await openStream(service.apiUrl, null, as('acc_unknown'))).status).toBe(404);
  const { accountId: watched } = await service.newAccount();
  const stream = await openStream(service.apiUrl, null, as(watched));
  expect(stream.status).toBe(200);
  const event = { event: 'document.deleted', data: { document_id: 'd', dataset_id: 'd' } };
  const publish = async (account: string) =>
    (await browse('POST', '/v1/events', as(account), event)).body as unknown as { id: string };
  const notTheirs = await publish(service.accountId);
  const theirs = await publish(watched);
  await stream.untilChanged(theirs.id);
  expect(stream.changes.flatMap(({ ids }) => ids ?? [])).not.toContain(notTheirs.id);
  stream.close();
});

test('it has the scopes of its key, and no more', async () => {
  const operator = await sessionOf(['accounts:read']);
  expect((await browse('GET', '/v1/accounts', operator)).status).toBe(200);
  for (const [method, path, body] of [
    ['GET', '/v1/webhooks'],
    ['POST', '/v1/webhooks', target],
    ['POST', '/v1/events', { event: 'document.deleted', data: { document_id: 'd', dataset_id: 'd' } }],
    ['GET', '/v1/keys'],
    ['POST', '/v1/portal-links'],
    ['GET', '/v1/event-types/stats'],
  ] as const)
    expect(outcome(await browse(method, path, as(other, operator), body)), path).toEqual([
      403,
      'missing_scope',
    ]);
  expect(outcome(await browse('PUT', '/v1/accounts/new', operator, {}))).toEqual([403, 'missing_scope']);
  expect(outcome(await browse('DELETE', `/v1/accounts/${other}`, operator))).toEqual([403, 'missing_scope']);
});

test("an account's session sees no accounts and acts for no other", async () => {
  const mine = { ...own, cookie: cookieOf(await signIn(service.key)) };
  expect(outcome(await browse('GET', '/v1/accounts', mine))).toEqual([403, 'service_key_required']);
  expect(outcome(await browse('GET', '/v1/webhooks', as(other, mine)))).toEqual([
    403,
    'service_key_required',
  ]);
  expect(outcome(await browse('GET', '/session', as(other, mine)))).toEqual([403, 'service_key_required']);
  // Signing in below the pages of another account opens no session.
  const refused = await signIn(service.key, { 'fltr-account': other });
  expect([...outcome(refused), refused.headers.get('set-cookie')]).toEqual([
    403,
    'service_key_required',
    null,
  ]);
  // Its own name changes nothing.
  expect((await browse('GET', '/v1/webhooks', as(service.accountId, mine))).status).toBe(200);
});

test('a portal session acts for no other account', async () => {
  const { token } = await portalCalls(() => service).openNew();
  const headers = { ...own, authorization: `Bearer ${token}` };
  expect((await browse('GET', '/v1/webhooks', headers)).status).toBe(200);
  for (const path of ['/v1/webhooks', '/session'])
    expect(outcome(await browse('GET', path, as(other, headers)))).toEqual([403, 'service_key_required']);
});

test('it is protected against other sites like every session, and ends with its key', async () => {
  const { cookie = '' } = session;
  for (const headers of [{ cookie }, { ...session, origin: 'https://evil.example' }])
    for (const [method, path] of [
      ['GET', '/v1/accounts'],
      ['DELETE', `/v1/accounts/${other}`],
      ['POST', '/v1/webhooks'],
    ] as const)
      expect(outcome(await browse(method, path, as(other, headers as typeof session)))).toEqual([
        403,
        'cross_origin_refused',
      ]);
  const key = await service.newKey({ accountId: null });
  const ended = { ...own, cookie: cookieOf(await signIn(key)) };
  const { body } = await browse('GET', '/session', ended);
  await revokeApiKey(service.pool, body.key_id);
  expect(outcome(await browse('GET', '/v1/accounts', ended))).toEqual([401, 'unauthorized']);
  expect(outcome(await browse('GET', '/v1/webhooks', as(other, ended)))).toEqual([401, 'unauthorized']);
});

test('accounts are found by how their id or name begins, and show their usage', async () => {
  const put = (id: string, name: string) => browse('PUT', `/v1/accounts/${id}`, session, { name });
  for (const [id, name] of [
    ['tenant_1', 'Acme'],
    ['tenant_2', 'acme labs'],
    ['ACME-3', '100% other'],
  ] as const)
    expect((await put(id, name)).status).toBe(201);
  const found = async (q: string) => {
    const { status, body } = await browse('GET', `/v1/accounts?q=${encodeURIComponent(q)}`, session);
    expect(status, q).toBe(200);
    return body.data.map(({ id }) => id).sort();
  };
  expect(await found('acme')).toEqual(['ACME-3', 'tenant_1', 'tenant_2']);
  expect(await found('Acme l')).toEqual(['tenant_2']);
  expect(await found('tenant_')).toEqual(['tenant_1', 'tenant_2']);
  expect(await found('100%')).toEqual(['ACME-3']);
  for (const none of ['%', '_', '\\', '%acme', 'cme', "' or true --", 'a'.repeat(100)])
    expect(await found(none), none).toEqual([]);
  for (const q of ['', 'a'.repeat(101), 'a\u0000'])
    expect((await browse('GET', `/v1/accounts?q=${encodeURIComponent(q)}`, session)).status).toBe(422);

  await service.pool.query(
    `insert into event_type_stats (account_id, hour, event_type, part, attempts, delivered, failed)
     select 'tenant_1', date_trunc('hour', now()) - make_interval(hours => h), 'order.paid', p, 9, 5, 2
     from unnest(array[0, 23, 24]) as h, unnest(array[0, 1]) as p`,
  );
  await browse('POST', '/v1/webhooks', as('tenant_1'), target);
  const { body } = await browse('GET', '/v1/accounts/tenant_1', session);
  expect(body).toMatchObject({ usage: { webhooks: 1, delivered: 20, failed: 8 } });
});
