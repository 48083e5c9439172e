import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { routes } from '../../src/api/routes/route-table.ts';
import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { revokeApiKey } from '../../src/db/api-keys-table.ts';
import { createLog } from '../../src/observability/log.ts';
import { digestOfKey } from '../../src/security/api-keys.ts';
import { publishOne, waitForStatus } from '../kit/delivery-steps.ts';
import { outcome, ownPage, portalCalls, tokenOf, type PortalBody } from '../kit/portal.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, until, type ApiResponse, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
});
afterAll(() => stopAll(service, receiver));

const { as, create, open, openNew } = portalCalls(() => service);
const cookieOf = ({ headers }: ApiResponse<unknown>) =>
  /^[^;]+/.exec(headers.get('set-cookie') ?? '')?.[0] ?? '';

test('a session works like a key of its scopes: webhooks, their secrets, deliveries, retries', async () => {
  const { id, token } = await openNew();
  const webhook = await as<{ webhook_id: string; secret: string }>(token, 'POST', '/v1/webhooks', {
    url: receiver.url,
    events: ['*'],
  });
  expect(webhook.status).toBe(201);
  const path = `/v1/webhooks/${webhook.body.webhook_id}`;
  const secret = await as<{ secret: string }>(token, 'GET', `${path}/secret`);
  expect(secret.body.secret).toBe(webhook.body.secret);
  const rotated = await as<{ secret: string }>(token, 'POST', `${path}/rotate-secret`, undefined, {
    'idempotency-key': 'one',
  });
  expect([rotated.status, rotated.body.secret === secret.body.secret]).toEqual([200, false]);
  const delivery = await publishOne(service);
  await waitForStatus(service, delivery, 'delivered');
  const retried = await as(token, 'POST', `/v1/deliveries/${delivery}/retry?force=true`);
  expect(retried.status).toBe(202);
  type Workflow = { workflow: { url: string | null; run_id: string | null } };
  const mine = await until(
    () => service.call<Workflow>('GET', `/v1/deliveries/${delivery}`),
    ({ body }) => body.workflow.run_id !== null,
  );
  const theirs = await as<Workflow>(token, 'GET', `/v1/deliveries/${delivery}`);
  expect([theirs.body.workflow.url, mine.body.workflow.url]).toEqual([null, expect.any(String)]);
  const { rows } = await service.pool.query(`select action from audit_records where actor = $1 order by id`, [
    id,
  ]);
  expect(rows.map(({ action }) => action)).toEqual([
    'portal_link.opened',
    'webhook.created',
    'webhook.secret_read',
    'webhook.secret_rotated',
  ]);
  await service.call('DELETE', path);
});

test('a portal may make the calls about webhooks, events and deliveries; the rest of the API is refused', async () => {
  const { token } = await openNew({ scopes: ['webhooks:read', 'webhooks:write', 'events:write'] });
  const its =
    /^get \/v1\/event-types|^\w+ \/v1\/(webhooks|events|deliveries|recoveries|operations|search|stats)(\/|$)/;
  const refused: string[] = [];
  for (const { method, path, operationId, isStream, isClosedToPortals = false } of routes) {
    // It does not end; its own tests open it with a portal session.
    if (isStream === true) continue;
    const response = await as(token, method.toUpperCase(), path.replaceAll(/\{\w+\}/g, 'none'));
    const isRefused = response.status === 403 && response.body.code === 'not_in_portal';
    expect([operationId, isRefused]).toEqual([
      operationId,
      isClosedToPortals || !its.test(`${method} ${path}`),
    ]);
    if (isRefused) refused.push(operationId);
  }
  expect(refused).toEqual(
    expect.arrayContaining([
      'expungeEvents',
      'listKeys',
      'createKey',
      'revokeKey',
      'createPortalLink',
      'deletePortalLink',
      'getSettings',
    ]),
  );
  const keys = await as(token, 'GET', '/v1/keys');
  expect([keys.status, keys.text.includes('fltr_')]).toEqual([403, false]);
});

test('a session publishes only with events:write, which its key must have', async () => {
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  const batch = { events: [event] };
  const { token } = await openNew();
  expect(outcome(await as(token, 'POST', '/v1/events', event))).toEqual([403, 'missing_scope']);
  const publisher = await openNew({ scopes: ['webhooks:read', 'events:write'] });
  expect((await as(publisher.token, 'POST', '/v1/events', event)).status).toBe(202);
  expect((await as(publisher.token, 'POST', '/v1/events/batch', batch)).status).toBe(207);
  const once = { 'idempotency-key': 'portal' };
  expect((await as(publisher.token, 'POST', '/v1/events', event, once)).status).toBe(202);
  expect(outcome(await as(publisher.token, 'POST', '/v1/webhooks', {}))).toEqual([403, 'missing_scope']);
  const other = { ...event, account_id: service.accountId };
  expect(outcome(await as(publisher.token, 'POST', '/v1/events', other))).toEqual([
    403,
    'service_key_required',
  ]);
});

test('a session ends at its time', async () => {
  const { id, token } = await openNew();
  await service.pool.query(`update portal_links set ends_at = now() where id = $1`, [id]);
  for (const path of ['/session', '/v1/webhooks'])
    expect(outcome(await as(token, 'GET', path))).toEqual([401, 'unauthorized']);
});

test('DELETE ends a link that was not opened, and a session, at once', async () => {
  const { body: link } = await create();
  expect((await service.call('DELETE', `/v1/portal-links/${link.id}`)).status).toBe(204);
  expect(outcome(await open(link))).toEqual([401, 'unauthorized']);

  const { id, token } = await openNew({ scopes: ['webhooks:read', 'events:write'] });
  expect((await as(token, 'GET', '/v1/webhooks')).status).toBe(200);
  const ended = await service.call('DELETE', `/v1/portal-links/${id}`);
  expect([ended.status, ended.text]).toEqual([204, '']);
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  for (const [method, path, body] of [
    ['GET', '/v1/webhooks'],
    ['POST', '/v1/events', event],
    ['POST', '/v1/events/batch', { events: [event] }],
    ['GET', '/session'],
  ] as const)
    expect(outcome(await as(token, method, path, body))).toEqual([401, 'unauthorized']);
  // Again: it stays ended.
  expect((await service.call('DELETE', `/v1/portal-links/${id}`)).status).toBe(204);
});

test("another account's link is not found, and its session sees nothing of this one", async () => {
  const other = await service.newAccount();
  const { id, token } = await openNew();
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  expect(outcome(await as(other.key, 'DELETE', `/v1/portal-links/${id}`))).toEqual([404, 'not_found']);
  expect((await as(token, 'GET', '/v1/webhooks')).status).toBe(200);
  const theirs = await openNew(undefined, other.key);
  for (const [method, path] of [
    ['GET', `/v1/webhooks/${webhookId}`],
    ['GET', `/v1/webhooks/${webhookId}/secret`],
    ['DELETE', `/v1/webhooks/${webhookId}`],
  ] as const)
    expect(outcome(await as(theirs.token, method, path))).toEqual([404, 'not_found']);
  expect(outcome(await create({ account_id: other.accountId }))).toEqual([403, 'service_key_required']);
  await service.call('DELETE', `/v1/webhooks/${webhookId}`);
});

test('the key that made a link ends it with itself', async () => {
  const { accountId } = service;
  const key = await service.newKey({ accountId });
  const [{ token }, { body: waiting }] = [await openNew(undefined, key), await create(undefined, key)];
  const { rows } = await service.pool.query<{ id: string }>(`select id from api_keys where digest = $1`, [
    digestOfKey(key),
  ]);
  await revokeApiKey(service.pool, rows[0]?.id ?? '');
  expect(outcome(await as(token, 'GET', '/v1/webhooks'))).toEqual([401, 'unauthorized']);
  expect(outcome(await open(waiting))).toEqual([401, 'unauthorized']);
});

test('a link of an account ends with its deletion, also one that a service key made', async () => {
  const key = await service.newKey({ accountId: null });
  expect((await as(key, 'PUT', '/v1/accounts/acme', {})).status).toBe(201);
  const acting = { 'fltr-account': 'acme' };
  const make = () => as(key, 'POST', '/v1/portal-links', undefined, acting);
  const [{ body: link }, { body: waiting }] = [await make(), await make()];
  const { body: session } = await open(link);
  const token = session.session_token ?? '';
  expect(session.account_id).toBe('acme');
  // A session is of its account, and acts for no other one.
  const elsewhere = { 'fltr-account': service.accountId };
  for (const path of ['/session', '/v1/webhooks'])
    expect(outcome(await as(token, 'GET', path, undefined, elsewhere))).toEqual([
      403,
      'service_key_required',
    ]);
  expect((await as(key, 'DELETE', '/v1/accounts/acme')).status).toBe(202);
  for (const path of ['/session', '/v1/webhooks'])
    expect(outcome(await as(token, 'GET', path))).toEqual([401, 'unauthorized']);
  expect(outcome(await open(waiting))).toEqual([401, 'unauthorized']);
  expect(outcome(await make())).toEqual([404, 'not_found']);
  expect(outcome(await create({ account_id: 'acme' }, key))).toEqual([422, 'validation_failed']);
});

test('outside of a frame the session is a cookie that no script reads and no other site uses', async () => {
  const { body: link } = await create();
  const opened = await open(link, false);
  expect([opened.status, opened.body.session_token]).toEqual([200, undefined]);
  expect(opened.headers.get('set-cookie')).toMatch(
    /^fltr_session=portal\.[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/; Max-Age=43200$/,
  );
  const cookie = cookieOf(opened);
  expect((await as(null, 'GET', '/v1/webhooks', undefined, { ...ownPage, cookie })).status).toBe(200);
  for (const attack of [
    { cookie },
    { ...ownPage, cookie, origin: 'https://evil.example' },
    { ...ownPage, cookie, 'sec-fetch-site': 'cross-site' },
  ]) {
    for (const [method, path] of [
      ['POST', '/v1/webhooks'],
      ['GET', '/session'],
      ['DELETE', '/session'],
    ] as const)
      expect(outcome(await as(null, method, path, undefined, attack))).toEqual([403, 'cross_origin_refused']);
  }
  const { body: unopened } = await create();
  for (const attack of [{}, { ...ownPage, 'sec-fetch-site': 'cross-site' }])
    expect(outcome(await open(unopened, true, attack))).toEqual([403, 'cross_origin_refused']);
  expect((await open(unopened)).status).toBe(200);
  // Signing out ends it in the database: a copy of the cookie is worth nothing.
  const left = await as(null, 'DELETE', '/session', undefined, { ...ownPage, cookie });
  expect([left.status, left.headers.get('set-cookie')]).toEqual([204, expect.stringContaining('Max-Age=0')]);
  expect(outcome(await as(null, 'GET', '/session', undefined, { ...ownPage, cookie }))).toEqual([
    401,
    'unauthorized',
  ]);
});

test('in_frame is for a portal only, and one credential signs in', async () => {
  const { body: link } = await create();
  for (const body of [
    { key: service.key, in_frame: true },
    { key: service.key, portal_token: tokenOf(link) },
    { in_frame: true },
  ])
    expect(outcome(await as(null, 'POST', '/session', body, ownPage))).toEqual([422, 'validation_failed']);
  expect((await open(link)).status).toBe(200);
});

test('the tokens are in the database as digests only, and a token of one kind is none of another', async () => {
  const { body: link } = await create();
  const linkToken = tokenOf(link);
  for (const wrong of [linkToken, `portal.${linkToken}`])
    expect(outcome(await as(wrong, 'GET', '/v1/webhooks'))).toEqual([401, 'unauthorized']);
  const token = (await open(link)).body.session_token ?? '';
  const { rows } = await service.pool.query<{ text: string }>(
    `select p::text as text from portal_links p where id = $1
     union all select a::text from audit_records a where target = $1`,
    [link.id],
  );
  const text = rows.map((row) => row.text).join('\n');
  expect(text).toContain(digestOfKey(token).toString('hex'));
  expect(text).toContain(digestOfKey(linkToken).toString('hex'));
  for (const needle of [linkToken, token.slice('portal.'.length)]) {
    expect(text).not.toContain(needle);
    expect(text).not.toContain(Buffer.from(needle).toString('hex'));
  }
  expect(outcome(await as(null, 'POST', '/session', { portal_token: token }, ownPage))).toEqual([
    401,
    'unauthorized',
  ]);
  expect(outcome(await as(null, 'POST', '/session', { key: token }, ownPage))).toEqual([401, 'unauthorized']);
});

test('a change by one process counts in another', async () => {
  const env = { ...service.env, PORT: String(await reservePort()) };
  const config = readConfig(env);
  const second = await startApp({
    config,
    role: 'api',
    log: createLog('silent'),
    report: () => undefined,
    onFatal: (error: Error) => {
      throw error;
    },
  });
  onTestFinished(() => second.stop());
  const there = <T = PortalBody>(key: string | null, method: string, path: string, body?: unknown) =>
    call<T>(second.apiUrl ?? '', key, method, path, body, key === null ? ownPage : {});
  const { body: link } = await create();
  const body = { portal_token: tokenOf(link), in_frame: true };
  const races = await Promise.all([open(link), there(null, 'POST', '/session', body)]);
  expect(races.map(({ status }) => String(status)).sort()).toEqual(['200', '401']);
  const token = races.find(({ status }) => status === 200)?.body.session_token ?? '';
  expect((await there(token, 'GET', '/v1/webhooks')).status).toBe(200);
  expect((await service.call('DELETE', `/v1/portal-links/${link.id}`)).status).toBe(204);
  expect(outcome(await there(token, 'GET', '/v1/webhooks'))).toEqual([401, 'unauthorized']);
});
