import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Account } from '../../src/contracts/account.ts';
import { beginDeletion } from '../../src/db/account-deletions.ts';
import { erasedTables } from '../../src/db/erase-account.ts';
import { withTransaction, type Pool } from '../../src/db/pool.ts';
import { startProcess } from '../kit/process.ts';
import { openAccount } from '../kit/recoveries.ts';
import { startReceiver } from '../kit/test-receiver.ts';
import {
  atOnce,
  call,
  startService,
  until,
  untilReady,
  type ApiResponse,
  type Service,
} from '../kit/service.ts';

/** An account is deleted with everything that belongs to it, by a workflow; beside publishing, changes and crashes. */
let service: Service;
let operator: string;
beforeAll(async () => {
  service = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '600' });
  operator = await service.newKey({ accountId: null });
});
afterAll(() => service.stop());

type Body = Account & { code: string; webhook_id: string; deliveries: { id: string }[] };
const as = (key: string, method: string, path: string, body?: unknown, accountId?: string) =>
  call<Body>(
    service.apiUrl,
    key,
    method,
    path,
    body,
    accountId === undefined ? {} : { 'Fltr-Account': accountId },
  );
const outcome = ({ status, body }: ApiResponse<{ code: string }>) => [status, body.code];
const read = (id: string) => as(operator, 'GET', `/v1/accounts/${id}`);
const remove = (id: string) => as(operator, 'DELETE', `/v1/accounts/${id}`);
const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
const target = { url: 'https://example.com/', events: ['*'] };

/** A receiver with one status for each path; it ends with the test. */
async function receive(statuses: Record<string, number> = {}) {
  const receiver = await startReceiver((request, response) => {
    response.writeHead(statuses[request.path] ?? 200).end();
  });
  onTestFinished(() => receiver.close());
  return receiver;
}

/** As if the statements of before the deletion had ended. */
async function hurry(pool: Pool, id: string): Promise<void> {
  await pool.query(
    `update accounts set deletion_requested_at = deletion_requested_at - interval '2 minutes'
     where id = $1 and deletion_requested_at > now() - interval '1 minute'`,
    [id],
  );
  await pool.query(
    `update webhooks set sync_at = now(), sync_until = now() where account_id = $1 and sync_until > now()`,
    [id],
  );
}
const untilGone = (pool: Pool, id: string, isGone: () => Promise<boolean>) =>
  until(
    async () => {
      await hurry(pool, id);
      return isGone();
    },
    (gone) => gone,
    60_000,
  );
const isUnknown = async (id: string) => (await read(id)).status === 404;

/** The tables in which some row names the account. */
async function tablesNaming(pool: Pool, id: string): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = 'public' order by 1`,
  );
  const naming: string[] = [];
  for (const { name } of rows) {
    const found = await pool.query(`select 1 from "${name}" t where t::text like $1 limit 1`, [`%${id}%`]);
    if (found.rowCount !== 0) naming.push(name);
  }
  return naming;
}

async function countOf(pool: Pool, table: string, accountId: string): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*)::int as count from ${table} where account_id = $1`,
    [accountId],
  );
  return rows[0]?.count ?? 0;
}

test('each table that names an account, a webhook or a delivery is erased, or known to stay', async () => {
  const { rows } = await service.pool.query<{ name: string }>(
    `select distinct table_name as name from information_schema.columns
     where table_schema = 'public' and column_name in ('account_id', 'webhook_id', 'delivery_id') order by 1`,
  );
  const kept = rows.map(({ name }) => name).filter((name) => !erasedTables.has(name));
  expect(kept).toEqual(['audit_records']);
});

test('everything of the account goes, and nothing of another; meanwhile it does as if it were unknown', async () => {
  const [account, other] = [await openAccount(service), await openAccount(service)];
  const { accountId: id, key } = account;
  const receiver = await receive({ '/failing': 503 });
  const path = (name: string) => `${receiver.url}/${name}`;
  for (const each of [account, other]) {
    await each.newWebhook(path('fine'));
    await each.newWebhook(path('failing'));
    await each.newWebhook(path('held'), { active: false });
    await each.publish(20);
    await call(service.apiUrl, each.key, 'POST', '/v1/events', event, { 'Idempotency-Key': 'once' });
    await call(service.apiUrl, each.key, 'POST', '/v1/portal-links');
  }
  const webhookId = await account.newWebhook(path('paused'));
  const { body: recovery } = await account.recover(webhookId, { since: '2020-01-01T00:00:00Z' });
  await account.call('POST', `/v1/recoveries/${recovery.id}/pause`);
  await until(
    async () =>
      (
        await service.pool.query(
          `select 1 from deliveries where account_id = any($1) and status in ('delivered', 'retrying', 'held')`,
          [[id, other.accountId]],
        )
      ).rowCount,
    (count) => (count ?? 0) >= 2 * 3 * 21,
  );
  const waiting = await service.pool.query<{ id: string }>(
    `select id from deliveries where account_id = $1 and status = 'retrying' limit 3`,
    [id],
  );
  const others = await Promise.all(
    ['webhooks', 'deliveries', 'events', 'api_keys', 'idempotency_keys', 'portal_links'].map(
      async (table) => [table, await countOf(service.pool, table, other.accountId)],
    ),
  );

  const requested = await remove(id);
  expect([requested.status, requested.body.deletion?.started_at]).toEqual([202, expect.any(String)]);
  const again = await remove(id);
  expect([again.status, again.body.deletion?.started_at]).toEqual([202, requested.body.deletion?.started_at]);
  // Its keys are revoked, and nobody acts for it.
  expect(outcome(await as(key, 'GET', '/v1/webhooks'))).toEqual([401, 'unauthorized']);
  expect(outcome(await as(key, 'POST', '/v1/events', event))).toEqual([401, 'unauthorized']);
  for (const [method, of, body] of [
    ['GET', '/v1/webhooks', undefined],
    ['POST', '/v1/webhooks', target],
    ['POST', '/v1/keys', { name: 'x', scopes: ['events:write'] }],
    ['POST', '/v1/events', event],
  ] as const)
    expect(outcome(await as(operator, method, of, body, id))).toEqual([404, 'not_found']);
  expect(outcome(await as(operator, 'POST', '/v1/events', { ...event, account_id: id }))).toEqual([
    422,
    'validation_failed',
  ]);
  expect(outcome(await as(operator, 'PUT', `/v1/accounts/${id}`))).toEqual([409, 'account_being_deleted']);
  // Its progress can be read.
  await until(
    () => read(id),
    ({ body }) => (body.deletion?.deliveries ?? 0) > 60 && (body.deletion?.events ?? 0) > 20,
    60_000,
  );
  expect(outcome(await as(operator, 'PUT', `/v1/accounts/${id}`))).toEqual([409, 'account_being_deleted']);
  await untilGone(service.pool, id, () => isUnknown(id));
  const sent = receiver.requests.length;

  expect(await tablesNaming(service.pool, id)).toEqual(['audit_records']);
  expect(await tablesNaming(service.pool, webhookId)).toEqual(['audit_records']);
  const { rows: records } = await service.pool.query<{ action: string; actor: string }>(
    `select action, actor from audit_records where account_id = $1 and target = $1 order by id`,
    [id],
  );
  expect(records).toEqual([
    { action: 'account.deleted', actor: expect.stringMatching(/^key_/) },
    { action: 'account.erased', actor: 'service' },
  ]);
  // Deliveries that waited have ended canceled, and no workflow is left.
  const ends = await Promise.all(
    waiting.rows.map(({ id: delivery }) =>
      service.temporal.client.workflow
        .getHandle(delivery)
        .result()
        // Its own workflow had not begun yet after the group's.
        .catch((error: Error) => ({
          status: error.name === 'WorkflowNotFoundError' ? 'none' : error.message,
        })),
    ),
  );
  for (const { status } of ends) expect(['canceled', 'none']).toContain(status);
  const { client } = service.temporal;
  expect(await client.workflow.getHandle(`delete_account_${id}`).result()).toEqual({ status: 'erased' });
  // Temporal's lists follow a moment later.
  const running = () =>
    client.workflow.count(`FltrAccount = '${id}' and ExecutionStatus = 'Running'`).then(({ count }) => count);
  await until(running, (count) => count === 0, 10_000);
  for (const [table, count] of others)
    expect([table, await countOf(service.pool, String(table), other.accountId)]).toEqual([table, count]);
  expect((await as(other.key, 'GET', '/v1/webhooks')).status).toBe(200);

  // The id is free again, for an account with nothing of the old one.
  expect((await remove(id)).status).toBe(404);
  const fresh = await as(operator, 'PUT', `/v1/accounts/${id}`, { name: 'Again' });
  expect([fresh.status, fresh.body.deletion]).toEqual([201, null]);
  const published = await as(operator, 'POST', '/v1/events', event, id);
  expect([published.status, published.body.deliveries]).toEqual([202, []]);
  const webhook = await as(operator, 'POST', '/v1/webhooks', { url: path('fresh'), events: ['*'] }, id);
  expect(webhook.status).toBe(201);
  expect((await as(operator, 'POST', '/v1/events', event, id)).body.deliveries).toHaveLength(1);
  expect((await as(operator, 'POST', '/v1/events', { ...event, id: 'once' }, id)).status).toBe(202);
  expect((await as(key, 'GET', '/v1/webhooks')).status).toBe(401);
  await until(
    () => receiver.requests.filter(({ path: to }) => to === '/fresh').length,
    (count) => count === 2,
  );
  expect(receiver.requests.filter(({ path: to }) => to !== '/fresh')).toHaveLength(sent);
}, 120_000);

test('only a service key with accounts:write deletes an account, and only one that exists', async () => {
  const { accountId } = await service.newAccount();
  const reader = await service.newKey({ accountId: null, scopes: ['accounts:read', 'webhooks:write'] });
  expect(outcome(await as(reader, 'DELETE', `/v1/accounts/${accountId}`))).toEqual([403, 'missing_scope']);
  expect(outcome(await as(service.key, 'DELETE', `/v1/accounts/${service.accountId}`))).toEqual([
    403,
    'service_key_required',
  ]);
  expect(outcome(await remove('nobody'))).toEqual([404, 'not_found']);
  expect((await read(accountId)).body.deletion).toBeNull();
});

test('beside publishing, new webhooks, new keys and changes: rows from before the deletion are erased, later calls refused', async () => {
  const receiver = await receive();
  const { accountId: id, newWebhook, key } = await openAccount(service);
  await newWebhook(receiver.url);
  const acting = (method: string, path: string, body: unknown) => as(operator, method, path, body, id);
  const responses: Promise<ApiResponse<Body>>[] = [];
  const send = (round: number) => {
    responses.push(
      acting('POST', '/v1/events', event),
      as(operator, 'POST', '/v1/events', { ...event, account_id: id }),
      as(key, 'POST', '/v1/events', event),
      acting('POST', '/v1/webhooks', { ...target, url: receiver.url }),
      acting('POST', '/v1/keys', { name: `made ${round}`, scopes: ['events:write'] }),
      as(operator, 'PUT', `/v1/accounts/${id}`, { metadata: { round: String(round) } }),
      call<Body>(service.apiUrl, operator, 'POST', '/v1/events', event, {
        'Fltr-Account': id,
        'Idempotency-Key': `key ${round}`,
      }),
    );
    if (round === 8) responses.push(remove(id), remove(id), remove(id));
  };
  for (let round = 0; round < 20; round += 1) {
    send(round);
    await Promise.race([...responses.slice(-1), new Promise((resolve) => setTimeout(resolve, 5))]);
  }
  const all = await Promise.all(responses);
  const kinds = new Set(all.map(({ status, body }) => `${status} ${body.code ?? ''}`.trim()));
  for (const kind of kinds)
    expect([
      '200',
      '201',
      '202',
      '401 unauthorized',
      '404 not_found',
      '409 account_being_deleted',
      '422 validation_failed',
    ]).toContain(kind);
  expect(kinds).toContain('404 not_found');
  // From its response on, nothing is accepted.
  for (const response of await atOnce(5, () => acting('POST', '/v1/events', event)))
    expect(response.status).toBe(404);
  await untilGone(service.pool, id, () => isUnknown(id));
  expect(await tablesNaming(service.pool, id)).toEqual(['audit_records']);
  const deletions = await service.pool.query(
    `select 1 from audit_records where account_id = $1 and action = 'account.deleted'`,
    [id],
  );
  expect(deletions.rowCount).toBe(1);
}, 120_000);

test('an attempt under way ends before the account is gone, and none is made afterwards', async () => {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const receiver = await startReceiver(
    (_request, response) => void gate.then(() => response.writeHead(503).end()),
  );
  onTestFinished(() => receiver.close());
  const { accountId: id, newWebhook, publish } = await openAccount(service);
  await newWebhook(receiver.url);
  const [delivery = ''] = await publish(1);
  await until(
    () => receiver.requests.length,
    (count) => count === 1,
  );
  expect((await remove(id)).status).toBe(202);
  await until(
    async () =>
      (await service.pool.query(`select 1 from deliveries where id = $1 and status = 'canceled'`, [delivery]))
        .rowCount,
    (count) => count === 1,
  );
  await hurry(service.pool, id);
  expect((await read(id)).status).toBe(200);
  release();
  await untilGone(service.pool, id, () => isUnknown(id));
  expect(receiver.requests).toHaveLength(1);
  expect(await service.temporal.client.workflow.getHandle(delivery).result()).toEqual({ status: 'canceled' });
}, 120_000);

test('a deletion whose workflow was never started, or was terminated, continues', async () => {
  const { accountId: id, newWebhook, publish } = await openAccount(service);
  await newWebhook('http://localhost:1', { active: false });
  await publish(3);
  // As where the process died between the commit and the start.
  await withTransaction(service.pool, (client) => beginDeletion(client, id));
  await service.pool.query(`update accounts set check_at = now() where id = $1`, [id]);
  const handle = service.temporal.client.workflow.getHandle(`delete_account_${id}`);
  await until(
    () => handle.describe().catch(() => null),
    (run) => run?.status.name === 'RUNNING',
  );
  await handle.terminate('by an operator');
  await service.pool.query(`update accounts set check_at = now() where id = $1`, [id]);
  await untilGone(service.pool, id, () => isUnknown(id));
  expect(await tablesNaming(service.pool, id)).toEqual(['audit_records']);
}, 120_000);

test('a deletion continues where a kill -9 stopped it', async () => {
  const own = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '600', LOG_LEVEL: 'warn' }, null);
  onTestFinished(() => own.stop());
  const receiver = await receive({ '/failing': 503 });
  let up = startProcess(['up'], own.env);
  onTestFinished(async () => {
    up.kill('SIGTERM');
    await up.exited();
  });
  await untilReady(own.apiUrl, up);
  const key = await own.newKey({ accountId: null });
  const account = await openAccount(own);
  const { accountId: id } = account;
  await account.newWebhook(`${receiver.url}/failing`);
  await account.newWebhook(receiver.url, { active: false });
  await account.publish(1500);
  const { status } = await call(own.apiUrl, key, 'DELETE', `/v1/accounts/${id}`);
  expect(status).toBe(202);
  const erased = async () => {
    const { rows } = await own.pool.query<{ count: number }>(
      `select erased_deliveries as count from accounts where id = $1`,
      [id],
    );
    return rows[0]?.count ?? -1;
  };
  await until(erased, (count) => count > 0, 60_000);
  up.kill('SIGKILL');
  await up.exited();
  expect(await countOf(own.pool, 'events', id)).toBeGreaterThan(0);
  up = startProcess(['up'], own.env);
  await untilReady(own.apiUrl, up);
  await untilGone(own.pool, id, async () => (await erased()) === -1);
  expect(await tablesNaming(own.pool, id)).toEqual(['audit_records']);
}, 180_000);
