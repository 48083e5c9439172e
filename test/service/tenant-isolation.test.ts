import { afterAll, beforeAll, expect, test } from 'vitest';
import { isOfAccount } from '../../src/api/route.ts';
import { routes } from '../../src/api/routes/route-table.ts';
import { isServiceScope } from '../../src/contracts/key.ts';
import { revokeApiKey } from '../../src/db/api-keys-table.ts';
import { accountScopes, digestOfKey, scopes } from '../../src/security/api-keys.ts';
import { publishOne, waitForStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let ids: Record<string, string>;
let stranger: string;
beforeAll(async () => {
  [service, receiver] = await Promise.all([startService(), startReceiver()]);
  const { webhook_id: webhookId } = await service.newWebhook(receiver.url, {
    ordering: 'by_key',
  });
  const delivery = await publishOne(service, { id: 'evt_mine', order_key: 'order-1' });
  await waitForStatus(service, delivery, 'delivered');
  const recovery = await service.call<{ id: string }>('POST', `/v1/webhooks/${webhookId}/recover`, {
    since: '2020-01-01T00:00:00Z',
    dry_run: true,
  });
  const link = await service.call<{ id: string }>('POST', '/v1/portal-links');
  ids = {
    webhooks: webhookId,
    deliveries: delivery,
    events: 'evt_mine',
    recoveries: recovery.body.id,
    operations: recovery.body.id,
    keys: await keyIdOf(service.accountId),
    'portal-links': link.body.id,
  };
  ({ key: stranger } = await service.newAccount());
});
afterAll(() => stopAll(service, receiver));

async function keyIdOf(accountId: string): Promise<string> {
  const { rows } = await service.pool.query<{ id: string }>(`select id from api_keys where account_id = $1`, [
    accountId,
  ]);
  return rows[0]?.id ?? '';
}

const bodies: Record<string, unknown> = {
  createWebhook: { url: 'https://example.com/', events: ['*'] },
  putWebhook: { url: 'https://example.com/', events: ['*'] },
  updateWebhook: { description: 'taken over' },
  publishEvent: { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } },
  matchWebhook: { event: 'document.deleted', data: {} },
  rescheduleDelivery: { next_attempt_at: new Date(Date.now() + 60_000).toISOString() },
  publishEvents: { events: [{}] },
  recoverWebhook: { since: '2020-01-01T00:00:00Z' },
  actOnDeliveries: { action: 'cancel', filter: { since: '2020-01-01T00:00:00Z' } },
  createKey: { name: 'taken over', scopes: ['webhooks:read'] },
  expungeEvents: { ids: ['evt_mine'] },
};
const pathOf = (path: string) => path.replace('{id}', ids[path.split('/')[2] ?? ''] ?? 'missing');
const bodyOf = (operationId: string) =>
  operationId === 'testWebhook'
    ? { webhook_id: ids['webhooks'], event: 'document.deleted' }
    : bodies[operationId];

const ofOneResource = routes.filter(
  (route) => isOfAccount(route) && (route.path.includes('{id}') || route.operationId === 'testWebhook'),
);
test.each(ofOneResource.map((route) => [`${route.method.toUpperCase()} ${route.path}`, route] as const))(
  "%s responds with 404 to another account's key",
  async (_name, { method, path, operationId }) => {
    const response = await call<{ code: string }>(
      service.apiUrl,
      stranger,
      method.toUpperCase(),
      pathOf(path),
      bodyOf(operationId),
    );
    expect([response.status, response.body.code]).toEqual([404, 'not_found']);
    expect(response.text).not.toContain(receiver.url);
  },
);

test.each(['/v1/webhooks', '/v1/events', '/v1/deliveries', '/v1/operations'])(
  '%s gives another account an empty list',
  async (path) => {
    const { body } = await call<{ data: unknown[] }>(service.apiUrl, stranger, 'GET', path);
    expect(body.data).toEqual([]);
    for (const query of [
      `deliveries?webhook_id=${ids['webhooks']}`,
      'deliveries?event_id=evt_mine',
      'deliveries?status=delivered',
      'deliveries?order_key=order-1',
      'events?event=document.deleted',
      'events?outcome=undelivered',
    ]) {
      const filtered = await call<{ data: unknown[] }>(service.apiUrl, stranger, 'GET', `/v1/${query}`);
      expect(filtered.body.data, query).toEqual([]);
    }
  },
);

// Event types are read with any key.
const withScope = routes.flatMap((route) => (route.scope === null ? [] : [{ ...route, scope: route.scope }]));
test.each(withScope.map((route) => [`${route.method.toUpperCase()} ${route.path}`, route] as const))(
  '%s responds with 401 without a key, and with 403 to a key without the scope',
  async (_name, { method, path, operationId, scope }) => {
    const request = [method.toUpperCase(), pathOf(path), bodyOf(operationId)] as const;
    for (const key of [null, 'fltr_unknown', 'x'.repeat(300)]) {
      const refused = await call<{ code: string }>(service.apiUrl, key, ...request);
      expect([refused.status, refused.body.code]).toEqual([401, 'unauthorized']);
    }
    const isOfService = isServiceScope(scope);
    const key = await service.newKey({
      accountId: isOfService ? null : service.accountId,
      scopes: (isOfService ? scopes : accountScopes).filter((other) => other !== scope),
    });
    const refused = await call<{ code: string }>(service.apiUrl, key, ...request);
    expect([refused.status, refused.body.code]).toEqual([403, 'missing_scope']);
  },
);

test('a revoked key is refused from that moment on', async () => {
  const key = await service.newKey({ accountId: service.accountId });
  expect((await call(service.apiUrl, key, 'GET', '/v1/webhooks')).status).toBe(200);
  const { rows } = await service.pool.query<{ id: string }>(`select id from api_keys where digest = $1`, [
    digestOfKey(key),
  ]);
  await revokeApiKey(service.pool, rows[0]?.id ?? '');
  expect((await call(service.apiUrl, key, 'GET', '/v1/webhooks')).status).toBe(401);
});

test('a missing object and a missing scope have different responses', async () => {
  const unknown = await service.call<{ code: string }>('GET', '/v1/nothing');
  expect([unknown.status, unknown.body.code]).toEqual([404, 'not_found']);
  const method = await service.call<{ code: string }>('POST', `/v1/webhooks/${ids['webhooks']}`);
  expect([method.status, method.headers.get('allow')]).toEqual([405, 'GET, PATCH, DELETE, PUT']);
  expect((await service.call('GET', '/v1/webhooks/%00')).status).toBe(404);
  expect((await service.call('GET', '/v1/webhooks/%zz')).status).toBe(400);
});

test('the keys are kept as digests alone', async () => {
  const { rows } = await service.pool.query<{ row: string }>(`select api_keys::text as row from api_keys`);
  expect(rows.length).toBeGreaterThan(0);
  for (const { row } of rows) expect(row).not.toContain(service.key.slice(12));
});
