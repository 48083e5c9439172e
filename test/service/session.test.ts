import { afterAll, beforeAll, expect, test } from 'vitest';
import { sealSession } from '../../src/api/session-cookie.ts';
import { readConfig } from '../../src/config.ts';
import { revokeApiKey } from '../../src/db/api-keys-table.ts';
import { removeOld } from '../../src/db/retention.ts';
import { encryptionKeysFor } from '../../src/development-secrets.ts';
import { digestOfKey, newApiKey } from '../../src/security/api-keys.ts';
import { createSecretBox, type SecretBox } from '../../src/security/secret-box.ts';
import { createSignInToken } from '../../src/sign-in-link.ts';
import { atOnce, call, startService, until, type ApiResponse, type Service } from '../kit/service.ts';

let service: Service;
let box: SecretBox;
beforeAll(async () => {
  service = await startService({}, 'api');
  // The service's own key: cookies that are sealed with it here are as good as the service's.
  box = createSecretBox(await encryptionKeysFor(readConfig(service.env)));
});
afterAll(() => service.stop());

type Problem = { code: string; detail: string };
type Session = { account_id: string; key_id: string; scopes: string[]; expires_at: string };
type Body = Problem & Session;
const own = { 'x-fltr-dashboard': '1' };

/** A call of a browser: without a key, with the header that its page sends along. */
const browse = <T = Body>(method: string, path: string, headers: Record<string, string>, body?: unknown) =>
  call<T>(service.apiUrl, null, method, path, body, headers);
const signIn = (body: unknown, headers: Record<string, string> = own) =>
  browse('POST', '/session', headers, body);
const cookieOf = ({ headers }: ApiResponse<unknown>) =>
  /^[^;]+/.exec(headers.get('set-cookie') ?? '')?.[0] ?? '';
const session = async (key = service.key) => ({ ...own, cookie: cookieOf(await signIn({ key })) });
const outcome = ({ status, body }: ApiResponse<Body>) => [status, body.code];

async function idOf(key: string): Promise<string> {
  const { rows } = await service.pool.query<{ id: string }>(`select id from api_keys where digest = $1`, [
    digestOfKey(key),
  ]);
  return rows[0]?.id ?? '';
}

test('a key signs in: the cookie names its session, and holds nothing of the key', async () => {
  const response = await signIn({ key: service.key });
  expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'no-store']);
  const keyId = await idOf(service.key);
  expect(response.body).toEqual({
    account_id: service.accountId,
    account_name: 'test',
    is_service_key: false,
    key_id: keyId,
    key_name: 'test',
    scopes: ['webhooks:read', 'webhooks:write', 'events:write'],
    expires_at: expect.any(String),
    public_url: null,
    portal: null,
  });
  const lastsSeconds = (Date.parse(response.body.expires_at) - Date.now()) / 1000;
  expect(lastsSeconds).toBeGreaterThan(43_170);
  expect(lastsSeconds).toBeLessThanOrEqual(43_200);
  const cookie = response.headers.get('set-cookie') ?? '';
  expect(cookie).toMatch(/^fltr_session=[\w.-]{60,200}; HttpOnly; SameSite=Strict; Path=\/; Max-Age=43200$/);
  for (const part of cookie.split('.')) {
    const text = Buffer.from(part, 'base64url').toString('latin1') + part;
    for (const needle of [service.key.slice(5, 15), keyId]) expect(text).not.toContain(needle);
  }

  const headers = { ...own, cookie: `theme=dark; ${cookieOf(response)}; other=1` };
  const again = await browse('GET', '/session', headers);
  expect([again.status, again.body]).toEqual([200, response.body]);
  const webhook = { url: 'https://example.com/', events: ['*'] };
  const created = await browse<{ webhook_id: string }>('POST', '/v1/webhooks', headers, webhook);
  expect(created.status).toBe(201);
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  expect((await browse('POST', '/v1/events', headers, event)).status).toBe(202);
  // Reading a secret is on record, with the key as the one who did.
  const path = `/v1/webhooks/${created.body.webhook_id}/secret`;
  expect((await browse('GET', path, headers)).status).toBe(200);
  const { rows } = await service.pool.query(
    `select actor, action from audit_records where target = $1 order by id`,
    [created.body.webhook_id],
  );
  expect(rows).toEqual([
    { actor: keyId, action: 'webhook.created' },
    { actor: keyId, action: 'webhook.secret_read' },
  ]);

  const ended = await browse('DELETE', '/session', headers);
  expect([ended.status, ended.text]).toEqual([204, '']);
  expect(ended.headers.get('set-cookie')).toBe('fltr_session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0');
  expect(outcome(await browse('GET', '/session', own))).toEqual([401, 'unauthorized']);
});

test('nobody is signed in with a wrong key, with both, with neither, or with a body that is no JSON', async () => {
  expect(outcome(await signIn({ key: newApiKey() }))).toEqual([401, 'unauthorized']);
  for (const [body, status, code] of [
    [{ key: service.key, token: 'x' }, 422, 'validation_failed'],
    [{}, 422, 'validation_failed'],
    [{ key: 'x'.repeat(201) }, 422, 'validation_failed'],
    ['{', 400, 'malformed_json'],
    [`{"key":"${'x'.repeat(4096)}"}`, 413, 'body_too_large'],
  ] as const) {
    const response = await signIn(body);
    expect(outcome(response)).toEqual([status, code]);
    expect(response.headers.get('set-cookie')).toBeNull();
  }
  const method = await browse('PUT', '/session', own, '{}');
  expect([method.status, method.headers.get('allow')]).toEqual([405, 'GET, POST, DELETE']);
});

test('forged, altered and expired cookies are refused', async () => {
  const { cookie } = await session();
  const [name = '', ...parts] = cookie.split('.');
  const flip = (part = '') => `${part.startsWith('A') ? 'B' : 'A'}${part.slice(1)}`;
  const keyId = await idOf(service.key);
  const sealed = (lifeMs: number) => `fltr_session=${sealSession(box, keyId, lifeMs).sealed}`;
  const otherBox = createSecretBox([{ id: box.currentKeyId, key: Buffer.alloc(32, 7) }]);
  const forged = [
    'fltr_session=',
    `fltr_session=${keyId}`,
    `fltr_session=${service.key}`,
    `fltr_session=${Buffer.from(`${keyId} 9999999999999`).toString('base64url')}`,
    ...parts.map((_, index) =>
      [name, ...parts.map((part, each) => (each === index ? flip(part) : part))].join('.'),
    ),
    cookie.slice(0, -4),
    cookie.replace('=', '=none'),
    `fltr_session=${sealSession(otherBox, keyId).sealed}`,
    // Sealed by this service, but as something else: a webhook's secret, say.
    `fltr_session=${box.seal(`${keyId} 9999999999999`, 'wh_1')}`,
    // A key that there is not.
    `fltr_session=${sealSession(box, 'key_none').sealed}`,
    sealed(-1),
  ];
  for (const cookie of forged) {
    for (const path of ['/session', '/v1/webhooks']) {
      const response = await browse('GET', path, { ...own, cookie });
      expect([cookie, ...outcome(response)]).toEqual([cookie, 401, 'unauthorized']);
    }
  }
  // A cookie that is sealed here is accepted, until its time is over.
  const short = { ...own, cookie: sealed(5000) };
  expect((await browse('GET', '/v1/webhooks', short)).status).toBe(200);
  await until(
    async () => outcome(await browse('GET', '/v1/webhooks', short)),
    ([status, code]) => status === 401 && code === 'unauthorized',
  );
});

test('a revoked key ends its sessions at once, for publishing as well', async () => {
  const key = await service.newKey({ accountId: service.accountId });
  const headers = await session(key);
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  expect((await browse('POST', '/v1/events', headers, event)).status).toBe(202);
  expect(await revokeApiKey(service.pool, await idOf(key))).not.toBeNull();
  for (const [method, path, body] of [
    ['POST', '/v1/events', event],
    ['GET', '/v1/webhooks'],
    ['GET', '/session'],
  ] as const) {
    expect(outcome(await browse(method, path, headers, body))).toEqual([401, 'unauthorized']);
  }
});

test("another site's page gets nothing with the cookie, nor does one at another port", async () => {
  const headers = await session();
  const host = new URL(service.apiUrl).host;
  const webhook = { url: 'https://example.com/', events: ['*'] };
  const count = async () => (await service.call<{ data: unknown[] }>('GET', '/v1/webhooks')).body.data.length;
  const before = await count();
  const { cookie } = headers;
  const attacks: Record<string, string>[] = [
    { cookie },
    { cookie, 'x-fltr-dashboard': '0' },
    { cookie, 'x-fltr-dashboard': '1, 1' },
    { ...headers, origin: 'https://evil.example' },
    { ...headers, origin: 'null' },
    { ...headers, origin: `http://${host}.evil.example` },
    { ...headers, origin: 'http://127.0.0.1:1' },
    { ...headers, origin: 'no origin' },
    ...['cross-site', 'same-site', 'none', ''].map((site) => ({ ...headers, 'sec-fetch-site': site })),
  ];
  for (const attack of attacks) {
    for (const [method, path, body] of [
      ['POST', '/v1/webhooks', webhook],
      ['POST', '/v1/events', '{}'],
      ['GET', '/v1/webhooks'],
      ['GET', '/session'],
      ['DELETE', '/session'],
      ['POST', '/session', { key: service.key }],
    ] as const) {
      const response = await browse(method, path, attack, body);
      expect([attack, ...outcome(response)]).toEqual([attack, 403, 'cross_origin_refused']);
      expect(response.headers.get('access-control-allow-origin')).toBeNull();
      expect(response.headers.get('set-cookie')).toBeNull();
    }
  }
  expect(await count()).toBe(before);
  const page = { ...headers, origin: service.apiUrl, 'sec-fetch-site': 'same-origin' };
  expect((await browse('POST', '/v1/webhooks', page, webhook)).status).toBe(201);
  // A browser sends a preflight before it sends that header elsewhere: it is not allowed.
  const preflight = await browse('OPTIONS', '/v1/webhooks', {
    origin: 'https://evil.example',
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'x-fltr-dashboard',
  });
  expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([405, null]);
});

test("a session is for its key's account, with the scopes of the key", async () => {
  const other = await service.newAccount();
  const { webhook_id: id } = await service.newWebhook('https://example.com/');
  const headers = await session(other.key);
  expect((await browse('GET', '/session', headers)).body.account_id).toBe(other.accountId);
  for (const [method, path] of [
    ['GET', `/v1/webhooks/${id}`],
    ['GET', `/v1/webhooks/${id}/secret`],
    ['DELETE', `/v1/webhooks/${id}`],
  ] as const) {
    expect(outcome(await browse(method, path, headers))).toEqual([404, 'not_found']);
  }
  expect((await browse<{ data: unknown[] }>('GET', '/v1/webhooks', headers)).body.data).toEqual([]);
  const reader = await session(
    await service.newKey({ accountId: service.accountId, scopes: ['webhooks:read'] }),
  );
  expect(outcome(await browse('DELETE', `/v1/webhooks/${id}`, reader))).toEqual([403, 'missing_scope']);
  // Where both are sent the header counts, also a wrong one.
  const both = await call<Body>(service.apiUrl, other.key, 'GET', `/v1/webhooks/${id}`, undefined, reader);
  expect(both.status).toBe(404);
  const wrong = await call<Body>(service.apiUrl, 'nonsense', 'GET', `/v1/webhooks/${id}`, undefined, reader);
  expect(outcome(wrong)).toEqual([401, 'unauthorized']);
});

const link = (key: string | null | undefined, headers = {}) =>
  call<Body & { url: string; expires_at: string }>(
    service.apiUrl,
    key ?? null,
    'POST',
    '/session/link',
    undefined,
    headers,
  );
const tokenOf = (url: string): string => /#token=(.*)$/.exec(url)?.[1] ?? '';

test('a sign-in link opens once, for its time, with the scopes of its key', async () => {
  const { accountId, key } = await service.newAccount();
  const reader = await service.newKey({ accountId, scopes: ['webhooks:read'] });
  const { status, body, headers } = await link(reader);
  expect([status, headers.get('cache-control')]).toEqual([201, 'no-store']);
  expect(body.url).toMatch(new RegExp(`^${service.apiUrl}/sign-in#token=[\\w-]{43}$`));
  const minutes = (Date.parse(body.expires_at) - Date.now()) / 60_000;
  expect(minutes).toBeGreaterThan(9);
  expect(minutes).toBeLessThanOrEqual(10);
  const token = tokenOf(body.url);
  for (const wrong of [`${token} `, token.slice(1), reader, 'x'])
    expect(outcome(await signIn({ token: wrong }))).toEqual([401, 'unauthorized']);
  // Of many at once, one signs in.
  const opened = await atOnce(9, () => signIn({ token }));
  const [signedIn, ...others] = opened.toSorted((a, b) => a.status - b.status);
  expect(signedIn?.status).toBe(200);
  expect(others.map((each) => each.status)).toEqual(Array.from({ length: 8 }, () => 401));
  expect(signedIn?.body).toMatchObject({ account_id: accountId, scopes: ['webhooks:read'] });
  const { rows } = await service.pool.query<{ action: string }>(
    'select action from audit_records where account_id = $1',
    [accountId],
  );
  expect(rows).toEqual([{ action: 'sign_in_link.created' }]);

  const expired = tokenOf((await link(key)).body.url);
  await service.pool.query(`update sign_in_links set ends_at = now() where account_id = $1`, [accountId]);
  expect(outcome(await signIn({ token: expired }))).toEqual([401, 'unauthorized']);
  // With its key, its links end.
  const revoked = tokenOf((await link(reader)).body.url);
  await service.pool.query(`update api_keys set revoked_at = now() where digest = $1`, [digestOfKey(reader)]);
  expect(outcome(await signIn({ token: revoked }))).toEqual([401, 'unauthorized']);
  expect(outcome(await link(reader))).toEqual([401, 'unauthorized']);
});

test('only a key of an account makes sign-in links, and no session, and no portal', async () => {
  const headers = await session();
  const serviceKey = await service.newKey({ accountId: null });
  const portal = await service.call<{ url: string }>('POST', '/v1/portal-links', {});
  const opened = await call<{ session_token: string }>(
    service.apiUrl,
    null,
    'POST',
    '/session',
    { portal_token: tokenOf(portal.body.url), in_frame: true },
    own,
  );
  expect(opened.status).toBe(200);
  expect(outcome(await link(null, headers))).toEqual([401, 'unauthorized']);
  expect(outcome(await link(opened.body.session_token))).toEqual([401, 'unauthorized']);
  expect(outcome(await link(serviceKey))).toEqual([403, 'account_key_required']);
  expect(outcome(await link('nonsense'))).toEqual([401, 'unauthorized']);
});

test('a key has 20 sign-in links at most: the newest, and the one that lasts longest', async () => {
  const { key } = await service.newAccount();
  const printed = await createSignInToken(service.pool, digestOfKey(key), 86_400);
  const urls: string[] = [];
  for (let number = 0; number < 25; number += 1) urls.push((await link(key)).body.url);
  const digests = (tokens: string[]) => tokens.map(digestOfKey);
  const { rows } = await service.pool.query<{ count: number }>(
    `select count(*)::int as count from sign_in_links where token_digest = any($1)`,
    [digests([...urls.slice(-19).map(tokenOf), printed?.token ?? ''])],
  );
  expect(rows[0]?.count).toBe(20);
  expect((await signIn({ token: tokenOf(urls[0] ?? '') })).status).toBe(401);
  expect((await signIn({ token: printed?.token })).status).toBe(200);
});

test('sign-in links are removed an hour after they end, and not before', async () => {
  const { accountId, key } = await service.newAccount();
  for (const minutes of [61, 59]) {
    await createSignInToken(service.pool, digestOfKey(key), 60);
    await service.pool.query(
      `update sign_in_links set ends_at = now() - make_interval(mins => $2) where account_id = $1 and ends_at > now()`,
      [accountId, minutes],
    );
  }
  await removeOld(service.pool, 'sign-in links', { payloadDays: 28, days: 28 }, 1000);
  const { rows } = await service.pool.query<{ minutes: number }>(
    `select round(extract(epoch from now() - ends_at) / 60)::int as minutes from sign_in_links where account_id = $1`,
    [accountId],
  );
  expect(rows).toEqual([{ minutes: 59 }]);
});

test('the response to an invalid sign-in token explains how to sign in', async () => {
  const response = await signIn({ token: 'x'.repeat(43) });
  expect(outcome(response)).toEqual([401, 'unauthorized']);
  expect(response.body.detail).toContain('sign in with an API key');
});

test('in production the cookie is sent over TLS only, and no token signs in', async () => {
  const production = await startService(
    { FLTR_ENV: 'production', FLTR_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}` },
    'api',
  );
  try {
    const ask = (method: string, body?: unknown) =>
      call<Body>(production.apiUrl, null, method, '/session', body, own);
    const signedIn = await ask('POST', { key: production.key });
    expect(signedIn.headers.get('set-cookie')).toMatch(/^__Host-fltr_session=[^;]+; .*Path=\/;.*; Secure$/);
    expect(signedIn.headers.get('set-cookie')).not.toContain('Domain');
    expect((await ask('DELETE')).headers.get('set-cookie')).toMatch(
      /^__Host-fltr_session=;.*Max-Age=0; Secure$/,
    );
    // Another site may have set the cookie without the prefix: it counts for nothing.
    const cookie = cookieOf(signedIn);
    const plain = cookie.replace('__Host-', '');
    const read = (cookie: string) =>
      call<Body>(production.apiUrl, null, 'GET', '/session', undefined, { ...own, cookie });
    expect((await read(cookie)).status).toBe(200);
    expect(outcome(await read(plain))).toEqual([401, 'unauthorized']);
    expect((await read(`${plain}; ${cookie}`)).status).toBe(200);
    expect(outcome(await read(`${cookie}; ${cookie}`))).toEqual([400, 'bad_request']);
    for (const token of ['', 'x', 'undefined', 'null'])
      expect([401, 422]).toContain((await ask('POST', { token })).status);
  } finally {
    await production.stop();
  }
});

test('two session cookies are refused, in either order: one of them is not the user’s', async () => {
  const [mine, theirs] = [await session(), await session((await service.newAccount()).key)];
  for (const cookie of [
    `${theirs.cookie}; ${mine.cookie}`,
    `${mine.cookie}; theme=dark; ${theirs.cookie}`,
    `${mine.cookie};${mine.cookie}`,
    `fltr_session=; ${mine.cookie}`,
  ]) {
    for (const [method, path] of [
      ['GET', '/session'],
      ['GET', '/v1/webhooks'],
      ['POST', '/v1/events'],
    ] as const) {
      const response = await browse(method, path, { ...own, cookie });
      expect(outcome(response)).toEqual([400, 'bad_request']);
      expect(response.body.detail).toContain('two session cookies');
    }
  }
  // Signing out and in again still works.
  const both = { ...own, cookie: `${theirs.cookie}; ${mine.cookie}` };
  expect((await browse('DELETE', '/session', both)).status).toBe(204);
  expect((await signIn({ key: service.key }, both)).status).toBe(200);
  // A name that only begins like it is another cookie.
  const other = { ...own, cookie: `fltr_session_2=x; ${mine.cookie}` };
  expect((await browse('GET', '/session', other)).status).toBe(200);
});

test('calls by cookie count for their key, requested sessions included; wrong keys count for the address', async () => {
  const limited = await startService({ FLTR_API_REQUESTS_PER_MINUTE: '4' }, 'api');
  try {
    const ask = (headers: Record<string, string>, body?: unknown) =>
      call<Body>(
        limited.apiUrl,
        null,
        body ? 'POST' : 'GET',
        body ? '/session' : '/v1/webhooks',
        body,
        headers,
      );
    const headers = { ...own, cookie: cookieOf(await ask(own, { key: limited.key })) };
    const statuses = [];
    for (let index = 0; index < 4; index += 1) statuses.push((await ask(headers)).status);
    expect(statuses).toEqual([200, 200, 200, 429]);
    expect((await limited.call('GET', '/v1/webhooks')).status).toBe(429);
    expect((await ask(own, { key: limited.key })).status).toBe(429);
    for (let index = 0; index < 300; index += 1) {
      const response = await (index % 2 === 0
        ? ask(own, { key: `fltr_guess_${index}` })
        : ask({ ...own, cookie: 'fltr_session=a.b.c.d' }));
      expect([index, response.status]).toEqual([index, 401]);
    }
    expect(outcome(await ask(own, { key: 'fltr_guess' }))).toEqual([429, 'rate_limited']);
    expect(outcome(await ask(own, { token: 'guess' }))).toEqual([429, 'rate_limited']);
    const other = await limited.newAccount();
    expect((await ask(own, { key: other.key })).status).toBe(200);
  } finally {
    await limited.stop();
  }
});
