import { afterAll, beforeAll, expect, test } from 'vitest';
import { openApiDocument } from '../../src/api/openapi.ts';
import { isOfAccount, isPublishing } from '../../src/api/route.ts';
import { routes } from '../../src/api/routes/route-table.ts';
import { FltrWebhooks } from '../../src/client/fltr-webhooks.ts';
import { publishOne, waitForStatus } from '../kit/delivery-steps.ts';
import { runInProcess } from '../kit/command.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { atOnce, call, startService, stopAll, type ApiResponse, type Service } from '../kit/service.ts';

/** A service key acts for the account that the header names, on every call that concerns one account. */
let service: Service;
let receiver: Receiver;
let serviceKey: string;
let other: string;
let ids: Record<string, string>;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
  serviceKey = await service.newKey({ accountId: null });
  ({ accountId: other } = await service.newAccount());
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url);
  const delivery = await publishOne(service, { id: 'evt_mine' });
  await waitForStatus(service, delivery, 'delivered');
  const since = { since: '2020-01-01T00:00:00Z', dry_run: true };
  const recovery = await service.call<{ id: string }>('POST', `/v1/webhooks/${webhookId}/recover`, since);
  const keys = await service.call<{ data: { id: string }[] }>('GET', '/v1/keys');
  ids = {
    webhooks: webhookId,
    deliveries: delivery,
    events: 'evt_mine',
    recoveries: recovery.body.id,
    operations: recovery.body.id,
    keys: keys.body.data[0]?.id ?? '',
  };
});
afterAll(() => stopAll(service, receiver));

type Operation = { operationId: string; parameters?: { in: string; name: string }[] };
type Body = { code: string; detail: string; key: string; id: string; webhook_id: string; secret: string };
const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
const target = { url: 'https://example.com/', events: ['*'] };
const as = <T = Body>(
  key: string,
  accountId: string | null,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
) =>
  call<T>(service.apiUrl, key, method, path, body, {
    ...(accountId === null ? {} : { 'Fltr-Account': accountId }),
    ...headers,
  });
const outcome = ({ status, body }: ApiResponse<{ code: string }>) => [status, body.code];

const ofAccount = routes.filter((route) => isOfAccount(route));
const named = ofAccount.map((route) => [`${route.method.toUpperCase()} ${route.path}`, route] as const);
const pathOf = (path: string) => path.replace('{id}', ids[path.split('/')[2] ?? ''] ?? 'missing');

test.each(named)('%s needs a known account of a service key', async (_name, route) => {
  const request = [route.method.toUpperCase(), pathOf(route.path)] as const;
  if (!isPublishing(route)) {
    if (!route.mayLackAccount)
      expect(outcome(await as(serviceKey, null, ...request))).toEqual([403, 'account_key_required']);
    for (const unknown of ['acc_none', 'x'.repeat(65), 'a b', `${service.accountId}, ${other}`, ''])
      expect(outcome(await as(serviceKey, unknown, ...request))).toEqual([404, 'not_found']);
  }
  // An account's key acts for no other account; the header with its own account changes nothing.
  expect(outcome(await as(service.key, other, ...request))).toEqual([403, 'service_key_required']);
  expect(outcome(await as(service.key, 'acc_none', ...request))).toEqual([403, 'service_key_required']);
  // A narrower key learns nothing of accounts.
  const narrow = await service.newKey({ accountId: null, scopes: ['accounts:read'] });
  for (const accountId of [service.accountId, 'acc_none'])
    expect(outcome(await as(narrow, accountId, ...request))).toEqual([403, 'missing_scope']);
});

test('the OpenAPI document has the header at each call that concerns one account, and at no other', () => {
  const withHeader = Object.values(openApiDocument().paths ?? {})
    .flatMap((methods) => Object.values(methods as Record<string, Operation>))
    .filter(({ parameters = [] }) =>
      parameters.some(({ in: where, name }) => where === 'header' && name === 'Fltr-Account'),
    )
    .map(({ operationId }) => operationId);
  expect(withHeader.sort()).toEqual(ofAccount.map(({ operationId }) => operationId).sort());
});

const ofOneResource = named.filter(([, { path }]) => path.includes('{id}'));
test.each(ofOneResource)("%s finds nothing of another account's", async (_name, { method, path }) => {
  const body = method === 'get' ? undefined : { since: '2020-01-01T00:00:00Z' };
  const found = await as(serviceKey, other, method.toUpperCase(), pathOf(path), body);
  expect([404, 422]).toContain(found.status);
  expect(found.text).not.toContain(receiver.url);
});

test('a service key reads the same as the key of the account', async () => {
  for (const path of [
    '/v1/webhooks',
    '/v1/deliveries',
    '/v1/events',
    '/v1/settings',
    ...Object.entries(ids).flatMap(([list, id]) => (list === 'keys' ? [] : [`/v1/${list}/${id}`])),
    `/v1/webhooks/${ids['webhooks']}/secret`,
  ]) {
    const own = await as(service.key, null, 'GET', path);
    expect([own.status, path]).toEqual([200, path]);
    expect((await as(serviceKey, service.accountId, 'GET', path)).text).toBe(own.text);
    expect((await as(service.key, service.accountId, 'GET', path)).text).toBe(own.text);
  }
});

test('a service key makes a webhook, publishes for the account, and reads the delivery', async () => {
  const { accountId } = await service.newAccount();
  const client = new FltrWebhooks({ url: service.apiUrl, apiKey: serviceKey, account: accountId });
  const webhook = await client.createWebhook({ url: receiver.url, events: ['*'] });
  const { deliveries } = await client.publishEvent({
    event: 'document.deleted',
    data: { document_id: 'doc_1', dataset_id: 'ds_1' },
  });
  expect(deliveries.map(({ webhook_id: id }) => id)).toEqual([webhook.webhook_id]);
  const {
    data: [shown],
  } = await client.listDeliveries();
  expect(shown?.id).toBe(deliveries[0]?.id);
  const batch = await client.publishEvents([
    { event: 'document.deleted', data: { document_id: 'doc_2', dataset_id: 'ds_1' } },
  ]);
  expect(batch.data.map(({ status }) => status)).toEqual([202]);
  const listed = await runInProcess(['webhooks', 'list', '--account', accountId], {
    FLTR_API_URL: service.apiUrl,
    FLTR_API_KEY: serviceKey,
  });
  expect([listed.code, listed.output]).toEqual([0, expect.stringContaining(webhook.webhook_id)]);
});

test('publishing: header and body name the same account, or the body alone does', async () => {
  const publish = (accountId: string | null, more: object) =>
    as(serviceKey, accountId, 'POST', '/v1/events', { ...event, ...more });
  const mine = service.accountId;
  expect((await publish(mine, {})).status).toBe(202);
  expect((await publish(mine, { account_id: mine })).status).toBe(202);
  expect((await publish(null, { account_id: mine })).status).toBe(202);
  expect(outcome(await publish(mine, { account_id: other }))).toEqual([422, 'validation_failed']);
  expect(outcome(await publish(null, {}))).toEqual([422, 'validation_failed']);
  expect(outcome(await publish('acc_none', {}))).toEqual([404, 'not_found']);
  expect(outcome(await publish(null, { account_id: 'acc_none' }))).toEqual([422, 'validation_failed']);
  const batch = await as<{ data: { status: number }[] }>(serviceKey, mine, 'POST', '/v1/events/batch', {
    events: [event, { ...event, account_id: other }, { ...event, account_id: mine }],
  });
  expect(batch.body.data.map(({ status }) => status)).toEqual([202, 422, 202]);
  const { rows } = await service.pool.query(`select 1 from events where account_id = $1`, [other]);
  expect(rows).toEqual([]);
});

test('an Idempotency-Key of a service key counts for each account that it acts for', async () => {
  const [one, two] = [(await service.newAccount()).accountId, (await service.newAccount()).accountId];
  const again = { 'Idempotency-Key': 'create-1' };
  const create = (accountId: string) => as(serviceKey, accountId, 'POST', '/v1/webhooks', target, again);
  const made = await create(one);
  const others = await create(two);
  expect([made.status, others.status]).toEqual([201, 201]);
  expect(others.body.webhook_id).not.toBe(made.body.webhook_id);
  expect((await create(one)).text).toBe(made.text);
  const publish = (accountId: string) => as(serviceKey, accountId, 'POST', '/v1/events', event, again);
  const [first, second] = [await publish(one), await publish(two)];
  expect([first.status, second.status]).toEqual([202, 202]);
  expect(second.body.id).not.toBe(first.body.id);
  expect((await publish(two)).text).toBe(second.text);
});

test('a service key makes and revokes keys of the account, with no scope that it lacks; on record with both', async () => {
  const { accountId, key: own } = await service.newAccount();
  const writer = await service.newKey({ accountId: null, scopes: ['webhooks:read', 'webhooks:write'] });
  const make = (scopes: string[]) =>
    as(writer, accountId, 'POST', '/v1/keys', { name: 'made for the account', scopes });
  const made = await make(['webhooks:read']);
  expect(made.status).toBe(201);
  expect((await as(made.body.key, null, 'GET', '/v1/webhooks')).status).toBe(200);
  expect(outcome(await as(made.body.key, other, 'GET', '/v1/webhooks'))).toEqual([
    403,
    'service_key_required',
  ]);
  expect(outcome(await make(['events:write']))).toEqual([403, 'missing_scope']);
  expect(outcome(await make(['accounts:read']))).toEqual([422, 'validation_failed']);
  const list = await as<{ data: { id: string; name: string }[] }>(writer, accountId, 'GET', '/v1/keys');
  const strong = list.body.data.find(({ name }) => name === 'test')?.id;
  expect(outcome(await as(writer, accountId, 'DELETE', `/v1/keys/${strong}`))).toEqual([
    403,
    'missing_scope',
  ]);
  expect((await as(own, null, 'GET', '/v1/webhooks')).status).toBe(200);
  expect((await as(writer, accountId, 'DELETE', `/v1/keys/${made.body.id}`)).status).toBe(204);
  expect((await as(made.body.key, null, 'GET', '/v1/webhooks')).status).toBe(401);
  const { rows } = await service.pool.query(
    `select r.action, r.target, k.account_id as "ofKey" from audit_records r join api_keys k on k.id = r.actor
     where r.account_id = $1 and r.action like 'key.%' order by r.id`,
    [accountId],
  );
  expect(rows).toEqual([
    { action: 'key.created', target: made.body.id, ofKey: null },
    { action: 'key.revoked', target: made.body.id, ofKey: null },
  ]);
});

test("the session of an account's key is refused for another account, as the key is", async () => {
  const signIn = await fetch(`${service.apiUrl}/session`, {
    method: 'POST',
    headers: { 'x-fltr-dashboard': '1' },
    body: JSON.stringify({ key: service.key }),
  });
  const cookie = signIn.headers.get('set-cookie')?.split(';')[0] ?? '';
  const list = await fetch(`${service.apiUrl}/v1/webhooks`, {
    headers: { cookie, 'x-fltr-dashboard': '1', 'fltr-account': other },
  });
  const { code } = (await list.json()) as { code: string };
  expect([list.status, code]).toEqual([403, 'service_key_required']);
});

test('calls count for the service key, and for each account that it acts for', async () => {
  const limited = await startService({ FLTR_API_REQUESTS_PER_MINUTE: '2' }, 'api');
  try {
    const { accountId } = await limited.newAccount();
    const { accountId: quiet, key: quietKey } = await limited.newAccount();
    const list = (key: string, account: string) =>
      call<Body>(limited.apiUrl, key, 'GET', '/v1/webhooks', undefined, { 'Fltr-Account': account });
    // Two calls each: twenty for the account, with all keys.
    for (let keys = 0; keys < 10; keys += 1) {
      const key = await limited.newKey({ accountId: null });
      const responses = await atOnce(3, () => list(key, accountId));
      const statuses = responses.map(({ status }) => status).sort((a, b) => a - b);
      expect(statuses).toEqual([200, 200, 429]);
    }
    const late = await limited.newKey({ accountId: null });
    expect(outcome(await list(late, accountId))).toEqual([429, 'rate_limited']);
    expect((await list(late, quiet)).status).toBe(200);
    expect((await list(quietKey, quiet)).status).toBe(200);
  } finally {
    await limited.stop();
  }
});
