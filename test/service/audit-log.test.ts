import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AuditRecord } from '../../src/contracts/audit.ts';
import { FltrWebhooks } from '../../src/client/fltr-webhooks.ts';
import { listAuditRecords } from '../../src/db/audit-records.ts';
import { runInProcess } from '../kit/command.ts';
import { createMigratedDatabase } from '../kit/database.ts';
import { explainedPool, rowsRead, wholeReads } from '../kit/explained-pool.ts';
import { portalCalls } from '../kit/portal.ts';
import { call, startService, type Service } from '../kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({}, 'api');
});
afterAll(() => service.stop());

type List = { data: AuditRecord[]; next_cursor: string | null; code: string };
const as = <T = List>(
  key: string,
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => call<T>(service.apiUrl, key, method, path, body, headers);
const list = async (key: string, query = '', headers?: Record<string, string>) =>
  (await as(key, 'GET', `/v1/audit-records${query}`, undefined, headers)).body.data;
const actionsOf = (records: readonly AuditRecord[]) =>
  records.map(({ action, fields }) => [action, ...fields].join(' '));

async function newWebhook(key: string, url = 'https://example.com/in'): Promise<string> {
  const { body } = await as<{ webhook_id: string }>(key, 'POST', '/v1/webhooks', { url, events: ['*'] });
  return body.webhook_id;
}

test('a webhook from its creation to its deletion: each change with its key and the names of the changed fields', async () => {
  const { key } = await service.newAccount();
  const id = await newWebhook(key);
  const path = `/v1/webhooks/${id}`;
  await as(key, 'PATCH', path, { url: 'https://example.com/secret-place', description: 'mine' });
  await as(key, 'PATCH', path, { auth: { type: 'bearer', token: 'a-secret-token' } });
  expect((await as(key, 'PATCH', path, { url: 'ftp://example.com' })).status).toBe(422);
  await as(key, 'POST', `${path}/pause`);
  await as(key, 'DELETE', path);
  expect((await as(key, 'DELETE', path)).status).toBe(404);
  const records = await list(key);
  expect(actionsOf(records)).toEqual([
    'webhook.deleted',
    'webhook.paused',
    'webhook.updated auth',
    'webhook.updated url description',
    'webhook.created',
  ]);
  const { data: keys } = (await as<{ data: { id: string }[] }>(key, 'GET', '/v1/keys')).body;
  for (const { actor, target } of records)
    expect([actor, target]).toEqual([
      { type: 'key', id: keys[0]?.id, name: 'test' },
      { id, name: 'https://example.com/secret-place' },
    ]);
  const { rows } = await service.pool.query<{ text: string }>(
    `select a::text as text from audit_records a where target = $1`,
    [id],
  );
  expect(rows.map(({ text }) => text).join()).not.toMatch(/secret-place|secret-token|mine/);
});

test('PUT of a webhook is on record where it changed something', async () => {
  const { key } = await service.newAccount();
  const put = (body: object) =>
    as<{ code: string }>(key, 'PUT', '/v1/webhooks/own', {
      url: 'https://example.com/',
      events: ['*'],
      ...body,
    });
  expect((await put({})).status).toBe(201);
  expect((await put({})).status).toBe(200);
  expect((await put({ events: ['document.*'], active: false })).status).toBe(200);
  expect((await put({ events: ['document.*'], active: false })).status).toBe(200);
  expect((await put({ events: ['document.*'], active: false, headers: { 'X-A': 'b' } })).status).toBe(200);
  const actions = actionsOf(await list(key));
  expect(actions).toHaveLength(3);
  expect(actions[0]).toBe('webhook.updated headers');
  expect(actions[1]).toMatch(/^webhook.updated (.* )?events (.* )?active/);
  expect(actions[2]).toBe('webhook.created');
});

test('filters: action and family, actor, target and time; pages and the export hold each record once', async () => {
  const { key } = await service.newAccount();
  const made = await as<{ id: string; key: string }>(key, 'POST', '/v1/keys', {
    name: 'Second',
    scopes: ['webhooks:read', 'webhooks:write'],
  });
  const first = await newWebhook(key);
  await newWebhook(made.body.key);
  await as(made.body.key, 'GET', `/v1/webhooks/${first}/secret`);
  const all = await list(key);
  expect(actionsOf(all)).toEqual([
    'webhook.secret_read',
    'webhook.created',
    'webhook.created',
    'key.created',
  ]);
  expect(all[3]?.target).toEqual({ id: made.body.id, name: 'Second' });
  const from = (index: number) => encodeURIComponent(all[index]?.created_at ?? '');
  for (const [query, indexes] of [
    ['action=webhook.created', [1, 2]],
    ['action=webhook.*', [0, 1, 2]],
    ['action=web_ook.*', []],
    ['action=key.*', [3]],
    [`actor=${made.body.id}`, [0, 1]],
    [`target=${first}`, [0, 2]],
    [`target=${first}&action=webhook.created`, [2]],
    [`target=${first}&actor=${made.body.id}`, [0]],
    ['target=wh_none', []],
    ['target=%25', []],
    [`since=${encodeURIComponent(new Date(Date.now() + 60_000).toISOString())}`, []],
    [`until=${encodeURIComponent(new Date(Date.now() - 600_000).toISOString())}`, []],
    [`since=${from(3)}`, [0, 1, 2, 3]],
  ] as const) {
    const found = await list(key, `?${query}`);
    expect([query, found.map(({ id }) => id)]).toEqual([query, indexes.map((index) => all[index]?.id)]);
  }
  const client = new FltrWebhooks({ url: service.apiUrl, apiKey: key });
  const paged: AuditRecord[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.listAuditRecords({ limit: 1, ...(cursor === undefined ? {} : { cursor }) });
    expect(page.data).toHaveLength(1);
    paged.push(...page.data);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  expect(paged).toEqual(all);
  const exported: AuditRecord[] = [];
  for await (const record of client.exportAuditRecords({ action: 'webhook.*' })) exported.push(record);
  expect(exported).toEqual(all.slice(0, 3));
  for (const query of ['action=webhook', 'action=%27', 'limit=0', 'actor=', 'cursor=x', 'account_id=x'])
    expect((await as(key, 'GET', `/v1/audit-records?${query}`)).body.code).toBe('validation_failed');
  const options = ['--api-url', service.apiUrl, '--key', key];
  const table = await runInProcess(['audit', 'list', '--action', 'key.*', ...options], service.env);
  expect([table.code, table.output]).toEqual([0, expect.stringContaining(`${made.body.id} (Second)`)]);
  const lines = await runInProcess(['audit', 'list', '--export', ...options], service.env);
  expect(lines.output.trim().split('\n')).toHaveLength(4);
});

test('nobody reads the records of another account, nor a portal any; a service key reads those it acts for', async () => {
  const [mine, theirs] = await Promise.all([service.newAccount(), service.newAccount()]);
  const webhookId = await newWebhook(mine.key);
  expect(await list(theirs.key)).toEqual([]);
  expect(await list(theirs.key, `?target=${webhookId}`)).toEqual([]);
  const [record] = await list(mine.key);
  const cursor = Buffer.from(JSON.stringify([1, 'audit records', 'aud_zzz'])).toString('base64url');
  expect(await list(theirs.key, `?cursor=${cursor}`)).toEqual([]);
  expect(record?.target.id).toBe(webhookId);
  // An id of another account's webhook or key as the target of an own record shows nothing of it.
  await service.pool.query(
    `insert into audit_records (id, account_id, actor, action, target)
     select 'aud_forged', $1, k.id, 'webhook.updated', $2 from api_keys k where k.account_id = $1`,
    [theirs.accountId, webhookId],
  );
  expect((await list(theirs.key))[0]?.target).toEqual({ id: webhookId, name: null });

  const { openNew } = portalCalls(() => service);
  const { token } = await openNew(undefined, mine.key);
  expect((await as(token, 'GET', '/v1/audit-records')).body.code).toBe('not_in_portal');

  const operator = await service.newKey({
    accountId: null,
    scopes: ['webhooks:read', 'webhooks:write', 'event-types:write'],
  });
  const acting = { 'fltr-account': mine.accountId };
  await as(operator, 'GET', `/v1/webhooks/${webhookId}/secret`, undefined, acting);
  await as(operator, 'PUT', '/v1/event-types/audit.log', { description: 'A test.' });
  const [byOperator] = await list(operator, '', acting);
  expect(byOperator).toMatchObject({
    action: 'webhook.secret_read',
    actor: { type: 'service_key', name: expect.any(String) },
  });
  expect((await list(mine.key))[0]?.actor).toEqual({
    type: 'service_key',
    id: byOperator?.actor.id,
    name: null,
  });
  const ownRecords = await list(operator, '?target=audit.log');
  expect(actionsOf(ownRecords)).toEqual(['event_type.put']);
  expect(await list(mine.key, '?target=audit.log')).toEqual([]);
  expect(await list(operator, `?target=${webhookId}`)).toEqual([]);
  expect((await as(operator, 'GET', '/v1/audit-records', undefined, { 'fltr-account': 'none' })).status).toBe(
    404,
  );
  const reader = await service.newKey({ accountId: mine.accountId, scopes: ['events:write'] });
  expect((await as(reader, 'GET', '/v1/audit-records')).body.code).toBe('missing_scope');
});

test('a page reads the records of its account by an index, however many others there are', async () => {
  const database = await createMigratedDatabase();
  try {
    await database.pool.query(
      `insert into audit_records (id, account_id, actor, action, target)
       select 'aud_' || lpad(n::text, 26, '0'), case when n % 50 = 0 then 'few' when n % 50 = 1 then null else 'many' end,
         'key_' || n % 7, 'webhook.updated', 'wh_' || n % 300 from generate_series(1, 50000) as n`,
    );
    await database.pool.query('analyze');
    const { pool, taken } = explainedPool(database.pool, { analyze: true });
    for (const accountId of ['few', 'many', null])
      for (const filter of [
        {},
        { target: 'wh_100' },
        { until: new Date() },
        { before: 'aud_0000000000000000000020000z' },
      ]) {
        await listAuditRecords(pool, accountId, { before: null, limit: 51, ...filter }, true);
        for (const { nodes, text } of taken()) {
          expect(wholeReads([{ nodes, text }] as never), text).toEqual([]);
          expect(rowsRead(nodes, 'audit_records'), text).toBeLessThanOrEqual(51);
        }
      }
  } finally {
    await database.drop();
  }
});
