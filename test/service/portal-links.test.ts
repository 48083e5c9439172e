import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { maxOpenLinks } from '../../src/db/portal-links-table.ts';
import { removeOld } from '../../src/db/retention.ts';
import { runInProcess } from '../kit/command.ts';
import { outcome, ownPage, portalCalls, tokenOf, type PortalBody, type PortalLink } from '../kit/portal.ts';
import { atOnce, call, startService, stopAll, type Service } from '../kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({}, 'api');
});
afterAll(() => service.stop());

const { as, create, open, openNew } = portalCalls(() => service);

test('a link opens a session of its account, once', async () => {
  const returnUrl = 'https://app.example.com/settings?tab=webhooks';
  const link = await create({
    expires_seconds: 60,
    return_url: returnUrl,
    theme: { accent: '#0a7cff', mode: 'dark' },
  });
  expect([link.status, link.headers.get('cache-control')]).toEqual([201, 'no-store']);
  expect(link.body).toEqual({
    id: expect.stringMatching(/^pl_[0-9a-z]{26}$/),
    url: expect.stringMatching(new RegExp(`^${service.apiUrl}/portal#token=[\\w-]{43}$`)),
    expires_at: expect.any(String),
  });
  const lasts = Date.parse(link.body.expires_at) - Date.now();
  expect(lasts).toBeGreaterThan(50_000);
  expect(lasts).toBeLessThanOrEqual(60_000);

  const opened = await open(link.body);
  expect([opened.status, opened.headers.get('set-cookie')]).toEqual([200, null]);
  const { session_token: token = '', ...session } = opened.body;
  expect(session).toEqual({
    account_id: service.accountId,
    account_name: 'test',
    is_service_key: false,
    key_id: link.body.id,
    key_name: '',
    scopes: ['webhooks:read', 'webhooks:write'],
    expires_at: expect.any(String),
    public_url: null,
    portal: {
      accent: '#0a7cff',
      mode: 'dark',
      return_url: returnUrl,
      settings: { header_prefix: 'X-FLTR-', signatures: ['fltr', 'standard'], hold_hours: 72 },
    },
  });
  const sessionLasts = Date.parse(session.expires_at) - Date.now();
  expect(sessionLasts).toBeGreaterThan(12 * 3_600_000 - 30_000);
  expect(sessionLasts).toBeLessThanOrEqual(12 * 3_600_000);
  const again = await as(token, 'GET', '/session');
  expect([again.status, again.body]).toEqual([200, session]);

  const used = await open(link.body);
  expect(outcome(used)).toEqual([401, 'unauthorized']);
  expect(used.body.detail).toBe(
    'This link was used before. It works once. Go back to where it came from, and open the page again: that makes a new link.',
  );
  const { rows } = await service.pool.query(
    `select actor, action from audit_records where target = $1 order by id`,
    [link.body.id],
  );
  expect(rows).toEqual([
    { actor: expect.stringMatching(/^key_/), action: 'portal_link.created' },
    { actor: link.body.id, action: 'portal_link.opened' },
  ]);
});

test('of two that open a link at the same time, one has a session', async () => {
  for (let round = 0; round < 5; round += 1) {
    const { body: link } = await create();
    const opened = await atOnce(6, () => open(link));
    expect(opened.map(({ status }) => String(status)).sort()).toEqual([
      '200',
      '401',
      '401',
      '401',
      '401',
      '401',
    ]);
    const tokens = opened.flatMap(({ body }) => body.session_token ?? []);
    expect(tokens).toHaveLength(1);
    expect((await as(tokens[0] ?? '', 'GET', '/v1/webhooks')).status).toBe(200);
  }
});

test('a key gives no scope that it lacks', async () => {
  const { accountId } = service;
  const writer = await service.newKey({ accountId, scopes: ['webhooks:read', 'webhooks:write'] });
  expect(outcome(await create({ scopes: ['webhooks:read', 'events:write'] }, writer))).toEqual([
    403,
    'missing_scope',
  ]);
  const { token } = await openNew({ scopes: ['webhooks:read'] }, writer);
  expect((await as(token, 'GET', '/v1/webhooks')).status).toBe(200);
  expect(outcome(await as(token, 'POST', '/v1/webhooks', {}))).toEqual([403, 'missing_scope']);
  const blind = await service.newKey({ accountId, scopes: ['webhooks:write'] });
  expect(outcome(await create(undefined, blind))).toEqual([403, 'missing_scope']);
});

test('a request that is not valid is refused, with the remedy', async () => {
  const at = async (body: unknown) => {
    const { status, body: problem } = await create(body);
    return [status, ...(problem.errors ?? []).map(({ pointer, message }) => `${pointer} ${message}`)];
  };
  for (const [body, ...faults] of [
    [{ expires_seconds: 9 }, /^\/expires_seconds/],
    [{ expires_seconds: 86_401 }, /^\/expires_seconds/],
    [{ expires_seconds: 10.5 }, /^\/expires_seconds/],
    [{ scopes: [] }, /^\/scopes/],
    [{ scopes: ['webhooks:write'] }, /^\/scopes .*must include webhooks:read/],
    [{ scopes: ['webhooks:read', 'webhooks:read'] }, /^\/scopes .*twice/],
    [{ scopes: ['accounts:write', 'webhooks:read'] }, /^\/scopes\/0/],
    [{ return_url: 'http://app.example.com' }, /^\/return_url .*https URL/],
    [{ return_url: 'javascript:alert(1)' }, /^\/return_url .*https URL/],
    [{ return_url: 'data:text/html,x' }, /^\/return_url .*https URL/],
    [{ return_url: '//app.example.com' }, /^\/return_url .*https URL/],
    [{ return_url: 'http://localhost.example.com' }, /^\/return_url .*https URL/],
    [{ return_url: 'https://me:secret@app.example.com' }, /^\/return_url .*password/],
    [{ return_url: `https://a.example/${'x'.repeat(2031)}` }, /^\/return_url/],
    [{ theme: { mode: 'pink' } }, /^\/theme\/mode/],
    ...['red', '#12', '#12345', '#1234567', '#ggg', '#fff;}', 'rgb(0,0,0)', '#fff ', 'var(--x)'].map(
      (accent) => [{ theme: { accent } }, /^\/theme\/accent .*color/] as const,
    ),
    [{ theme: { logo: 'x' } }, /^\/theme/],
    [{ more: 1 }, /more/],
  ] as const)
    expect([body, await at(body)]).toEqual([
      body,
      [422, ...faults.map((fault) => expect.stringMatching(fault))],
    ]);
  for (const body of [
    { expires_seconds: 10 },
    { expires_seconds: 86_400 },
    { return_url: `https://a.example/${'x'.repeat(2030)}` },
    { return_url: 'http://localhost:3000/x' },
    { theme: { accent: '#FfF' } },
    { theme: { accent: '#00FFaa', mode: 'light' } },
    { account_id: service.accountId },
    undefined,
  ])
    expect([body, (await create(body)).status]).toEqual([body, 201]);
});

test('a link that has expired opens nothing', async () => {
  const { body: link } = await create();
  await service.pool.query(`update portal_links set ends_at = now() - interval '1 second' where id = $1`, [
    link.id,
  ]);
  const late = await open(link);
  expect(outcome(late)).toEqual([401, 'unauthorized']);
  expect(late.body.detail).toContain('This link has expired or was ended.');
  for (const token of ['x', 'x'.repeat(200), tokenOf(link).slice(1), `${tokenOf(link)} `]) {
    const wrong = await open({ url: `http://x/portal#token=${encodeURIComponent(token)}` });
    expect(outcome(wrong)).toEqual([401, 'unauthorized']);
    expect(wrong.body.detail).toContain('This link is not valid.');
  }
});

test('a service key names the account, and ends the links that it made', async () => {
  const scopes = ['webhooks:read', 'webhooks:write', 'events:write'] as const;
  const [key, otherKey] = [
    await service.newKey({ accountId: null, scopes }),
    await service.newKey({ accountId: null, scopes }),
  ];
  expect(outcome(await create({}, key))).toEqual([422, 'validation_failed']);
  expect(outcome(await create({ account_id: 'acc_none' }, key))).toEqual([422, 'validation_failed']);
  const { accountId } = await service.newAccount();
  const { id, token } = await openNew({ account_id: accountId, scopes: [...scopes] }, key);
  expect((await as(token, 'GET', '/session')).body.account_id).toBe(accountId);
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  expect((await as(token, 'POST', '/v1/events', event)).status).toBe(202);
  expect(outcome(await as(otherKey, 'DELETE', `/v1/portal-links/${id}`))).toEqual([404, 'not_found']);
  expect((await as(key, 'DELETE', `/v1/portal-links/${id}`)).status).toBe(204);
  expect(outcome(await as(token, 'GET', '/session'))).toEqual([401, 'unauthorized']);
  const publishOnly = await service.newKey({ accountId: null, scopes: ['events:write'] });
  expect(outcome(await create({ account_id: accountId }, publishOnly))).toEqual([403, 'missing_scope']);
});

test(`an account has ${maxOpenLinks} links that wait to be opened, also when calls race for the last`, async () => {
  const { key, accountId } = await service.newAccount();
  const { rows } = await service.pool.query<{ id: string }>(`select id from api_keys where account_id = $1`, [
    accountId,
  ]);
  await service.pool.query(
    `insert into portal_links (id, account_id, created_by, token_digest, scopes, mode, ends_at)
     select 'pl_many_' || n, $1, $2, sha256(n::text::bytea), '{webhooks:read}', 'auto', now() + interval '1 hour'
     from generate_series(1, $3) n`,
    [accountId, rows[0]?.id, maxOpenLinks - 3],
  );
  const made = await atOnce(10, () => create(undefined, key));
  const statuses = made.map(({ status }) => status);
  expect(statuses.filter((status) => status === 201)).toHaveLength(3);
  const refused = made.find(({ status }) => status !== 201);
  expect(refused && outcome(refused)).toEqual([409, 'portal_limit_reached']);
  // One that was opened or ended waits no longer.
  const link = made.find(({ status }) => status === 201);
  expect((await open(link?.body ?? { url: '' })).status).toBe(200);
  expect((await create(undefined, key)).status).toBe(201);
  expect((await create(undefined, key)).status).toBe(409);
  expect((await as(key, 'DELETE', '/v1/portal-links/pl_many_1')).status).toBe(204);
  expect((await create(undefined, key)).status).toBe(201);
});

test('the link leads to where browsers reach the service', async () => {
  const { hostname, port } = new URL(service.apiUrl);
  const byName = await call<PortalLink>(`http://localhost:${port}`, service.key, 'POST', '/v1/portal-links');
  expect(byName.body.url).toMatch(`http://localhost:${port}/portal#token=`);
  expect(hostname).toBe('127.0.0.1');
  const production = await startService(
    {
      FLTR_ENV: 'production',
      FLTR_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}`,
    },
    'api',
  );
  const named = await startService({ FLTR_PUBLIC_URL: 'https://webhooks.example.com' }, 'api');
  onTestFinished(() => stopAll(production, named));
  const inProduction = await production.call<PortalBody>('POST', '/v1/portal-links');
  expect(inProduction.body.url).toMatch(`${production.apiUrl.replace('http:', 'https:')}/portal#token=`);
  const local = await production.call<PortalBody>('POST', '/v1/portal-links', {
    return_url: 'http://localhost/',
  });
  expect(outcome(local)).toEqual([422, 'validation_failed']);
  const secure = await call<PortalBody>(
    production.apiUrl,
    null,
    'POST',
    '/session',
    { portal_token: tokenOf(inProduction.body) },
    ownPage,
  );
  expect(secure.headers.get('set-cookie')).toMatch(/^__Host-fltr_session=portal\..*; Secure$/);
  const link = await named.call<PortalBody>('POST', '/v1/portal-links');
  expect(link.body.url).toMatch('https://webhooks.example.com/portal#token=');
});

test('the command line makes and ends a link', async () => {
  const settings = { FLTR_API_URL: service.apiUrl, FLTR_API_KEY: service.key };
  const make = ['portal-link', 'create', '--expires-seconds', '60', '--scopes', 'webhooks:read'];
  const look = ['--accent', '#0a7cff', '--mode', 'dark', '--return-url', 'https://app.example.com/'];
  const { code, output } = await runInProcess([...make, ...look, '--json'], settings);
  expect(code).toBe(0);
  const link = JSON.parse(output) as PortalLink;
  const session = await open(link);
  expect(session.body).toMatchObject({
    scopes: ['webhooks:read'],
    portal: { accent: '#0a7cff', mode: 'dark', return_url: 'https://app.example.com/' },
  });
  const ended = await runInProcess(['portal-link', 'delete', link.id], settings);
  expect(ended).toMatchObject({ code: 0, output: expect.stringContaining(`Ended ${link.id}.`) });
  expect((await as(session.body.session_token ?? '', 'GET', '/session')).status).toBe(401);
  const wrong = await runInProcess(['portal-link', 'create', '--expires-seconds', 'soon'], settings);
  expect(wrong.code).not.toBe(0);
  expect((await runInProcess(['portal-link', 'delete', 'pl_none'], settings)).code).toBe(3);
});

test('links are removed a day after their end', async () => {
  const { body: young } = await create();
  const { id: old } = await openNew();
  await service.pool.query(`update portal_links set ends_at = now() - interval '25 hours' where id = $1`, [
    old,
  ]);
  await removeOld(service.pool, 'portal links', { payloadDays: 0, days: 0 }, 100);
  const { rows } = await service.pool.query<{ id: string }>(
    `select id from portal_links where id = any($1)`,
    [[young.id, old]],
  );
  expect(rows).toEqual([{ id: young.id }]);
});
