import { afterAll, beforeAll, expect, test } from 'vitest';
import { FltrWebhooks } from '../../src/client/fltr-webhooks.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import {
  atOnce,
  call,
  startService,
  stopAll,
  until,
  type ApiResponse,
  type Service,
} from '../kit/service.ts';

/** FLTR_CREATE_ACCOUNTS=on_publish: an account is there from its first event on. */
let service: Service;
let receiver: Receiver;
let publisher: string;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService({ FLTR_CREATE_ACCOUNTS: 'on_publish' }),
    startReceiver(),
  ]);
  publisher = await service.newKey({ accountId: null, scopes: ['events:write'] });
});
afterAll(() => stopAll(service, receiver));

type Body = { code: string; id: string; duplicate: boolean; deliveries: { id: string }[] };
const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
const publish = (key: string, more: object, headers: Record<string, string> = {}) =>
  call<Body>(service.apiUrl, key, 'POST', '/v1/events', { ...event, ...more }, headers);
const outcome = ({ status, body }: ApiResponse<{ code: string }>) => [status, body.code];
async function readAccount(id: string) {
  const { rows } = await service.pool.query<{ name: string; created: number; events: number }>(
    `select name, (select count(*)::int from events where account_id = a.id) as events,
       (select count(*)::int from audit_records where account_id = a.id and action = 'account.created') as created
     from accounts a where id = $1`,
    [id],
  );
  return rows[0];
}

test('the first event makes the account, named by its id; by body, header, batch and Idempotency-Key', async () => {
  expect((await publish(publisher, { account_id: 'by-body' })).status).toBe(202);
  expect((await publish(publisher, {}, { 'Fltr-Account': 'by-header' })).status).toBe(202);
  const once = { 'Idempotency-Key': 'first', 'Fltr-Account': 'by-key' };
  const first = await publish(publisher, {}, once);
  expect([first.status, (await publish(publisher, {}, once)).text]).toEqual([202, first.text]);
  const batch = await call<{ data: { status: number }[] }>(
    service.apiUrl,
    publisher,
    'POST',
    '/v1/events/batch',
    { events: ['in-batch-1', 'in-batch-2', 'in-batch-1'].map((account_id) => ({ ...event, account_id })) },
  );
  expect(batch.body.data.map(({ status }) => status)).toEqual([202, 202, 202]);
  for (const id of ['by-body', 'by-header', 'by-key', 'in-batch-2'])
    expect(await readAccount(id)).toEqual({ name: id, created: 1, events: 1 });
  expect(await readAccount('in-batch-1')).toEqual({ name: 'in-batch-1', created: 1, events: 2 });
});

test('first events at once make one account, and all are accepted', async () => {
  const [plain, keyed] = await Promise.all([
    atOnce(10, () => publish(publisher, { account_id: 'raced' })),
    atOnce(10, () => publish(publisher, { account_id: 'raced' }, { 'Idempotency-Key': crypto.randomUUID() })),
  ]);
  const responses = [...plain, ...keyed];
  expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([202]));
  expect(await readAccount('raced')).toEqual({ name: 'raced', created: 1, events: 20 });
  const twice = await atOnce(2, () => publish(publisher, { account_id: 'twice', id: 'evt_same' }));
  expect(twice.map(({ body }) => Number(body.duplicate)).sort((a, b) => a - b)).toEqual([0, 1]);
  expect(await readAccount('twice')).toEqual({ name: 'twice', created: 1, events: 1 });
});

test('nothing else makes an account: another call, an invalid event or id, a revoked or narrower key', async () => {
  const all = await service.newKey({ accountId: null });
  const list = await call<Body>(service.apiUrl, all, 'GET', '/v1/webhooks', undefined, {
    'Fltr-Account': 'none-1',
  });
  expect(outcome(list)).toEqual([404, 'not_found']);
  expect((await publish(publisher, { account_id: 'none-2', event: 'nothing' })).status).toBe(422);
  expect((await publish(publisher, { account_id: 'none-3', data: {} })).status).toBe(422);
  expect((await publish(publisher, { account_id: 'a.b' })).status).toBe(422);
  expect((await publish(publisher, { account_id: 'x'.repeat(65) })).status).toBe(422);
  expect(outcome(await publish(publisher, {}, { 'Fltr-Account': 'a.b' }))).toEqual([404, 'not_found']);
  const reader = await service.newKey({ accountId: null, scopes: ['accounts:read'] });
  expect(outcome(await publish(reader, { account_id: 'none-4' }))).toEqual([403, 'missing_scope']);
  const revoked = await service.newKey({ accountId: null, scopes: ['events:write'] });
  // It is remembered, so only the statement that writes finds it revoked.
  expect((await publish(revoked, { account_id: 'by-revoked' })).status).toBe(202);
  await service.pool.query(`update api_keys set revoked_at = now() where scopes = '{events:write}' and id in
    (select actor from audit_records where target = 'by-revoked')`);
  expect(outcome(await publish(revoked, { account_id: 'none-5' }))).toEqual([401, 'unauthorized']);
  const once = { 'Idempotency-Key': 'revoked' };
  expect(outcome(await publish(revoked, { account_id: 'none-6' }, once))).toEqual([401, 'unauthorized']);
  expect(outcome(await publish(service.key, { account_id: 'none-7' }))).toEqual([
    403,
    'service_key_required',
  ]);
  const { rows } = await service.pool.query(`select id from accounts where id like 'none%'`);
  expect(rows).toEqual([]);
});

test('one that is being deleted is not made again before it is gone', async () => {
  const operator = await service.newKey({ accountId: null });
  const client = new FltrWebhooks({ url: service.apiUrl, apiKey: operator, account: 'leaving' });
  await publish(operator, { account_id: 'leaving' });
  const webhook = await client.createWebhook({ url: receiver.url, events: ['*'] });
  await client.deleteAccount('leaving');
  expect(outcome(await publish(operator, { account_id: 'leaving' }))).toEqual([422, 'validation_failed']);
  expect(outcome(await publish(operator, {}, { 'Fltr-Account': 'leaving' }))).toEqual([404, 'not_found']);
  await until(
    async () => {
      await service.pool.query(
        `update accounts set deletion_requested_at = now() - interval '2 minutes' where id = 'leaving'`,
      );
      await service.pool.query(
        `update webhooks set sync_at = now(), sync_until = now() where id = $1 and sync_until > now()`,
        [webhook.webhook_id],
      );
      return readAccount('leaving');
    },
    (account) => account === undefined,
    60_000,
  );
  const again = await publish(operator, { account_id: 'leaving' });
  expect([again.status, again.body.deliveries]).toEqual([202, []]);
});
