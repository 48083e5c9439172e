import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestOfKey } from '../../src/security/api-keys.ts';
import { runInProcess } from '../kit/command.ts';
import { call, startService, type Service } from '../kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({}, 'api');
});
afterAll(() => service.stop());

async function command(...args: string[]): Promise<string> {
  const { code, output } = await runInProcess(args, service.env);
  expect([code, output]).toEqual([0, expect.anything()]);
  return output;
}

test('keys made and revoked and secrets read are on record, with the key and the time, and nothing secret', async () => {
  const accountId = 'customer';
  const operator = await command('keys', 'create', '--service', '--scopes', 'all');
  const [operatorId = '', serviceKey = ''] = [
    /key_\w+/.exec(operator)?.[0],
    /fltr_[\w-]{43}/.exec(operator)?.[0],
  ];
  const put = ['accounts', 'put', accountId, '--name', 'Name of a customer'];
  await command(...put, '--api-url', service.apiUrl, '--key', serviceKey);
  const made = await command('keys', 'create', '--account', accountId, '--name', 'Name of a key');
  const [keyId = '', key = ''] = [/key_\w+/.exec(made)?.[0], /fltr_[\w-]{43}/.exec(made)?.[0]];
  const api = <T>(method: string, path: string, body?: unknown) =>
    call<T>(service.apiUrl, key, method, path, body);
  const { body: webhook } = await api<{ webhook_id: string; secret: string }>('POST', '/v1/webhooks', {
    url: 'https://example.com/url-path',
    events: ['*'],
  });
  const read = await api('GET', `/v1/webhooks/${webhook.webhook_id}/secret`);
  expect(read.text).toContain(webhook.secret);
  // A refused call and one for a missing webhook have read nothing.
  expect((await api('GET', '/v1/webhooks/wh_none/secret')).status).toBe(404);
  expect((await service.call('GET', `/v1/webhooks/${webhook.webhook_id}/secret`)).status).toBe(404);
  await command('keys', 'revoke', keyId);
  expect((await api('GET', `/v1/webhooks/${webhook.webhook_id}/secret`)).status).toBe(401);

  const { rows } = await service.pool.query<{ created_at: Date }>(
    `select account_id, actor, action, target, created_at from audit_records order by id`,
  );
  const actor = 'command line';
  expect(rows).toMatchObject([
    { account_id: null, actor, action: 'key.created', target: operatorId },
    { account_id: accountId, actor: operatorId, action: 'account.created', target: accountId },
    { account_id: accountId, actor, action: 'key.created', target: keyId },
    { account_id: accountId, actor: keyId, action: 'webhook.created', target: webhook.webhook_id },
    { account_id: accountId, actor: keyId, action: 'webhook.secret_read', target: webhook.webhook_id },
    { account_id: accountId, actor, action: 'key.revoked', target: keyId },
  ]);
  for (const { created_at: at } of rows) expect(Date.now() - at.getTime()).toBeLessThan(300_000);

  const { rows: texts } = await service.pool.query<{ text: string }>(
    `select audit_records::text as text from audit_records`,
  );
  const text = texts.map((row) => row.text).join('\n');
  for (const needle of [
    key.slice(5, 15),
    key.slice(-10),
    digestOfKey(key).toString('hex'),
    digestOfKey(key).toString('base64'),
    webhook.secret.slice(6, 20),
    'whsec_',
    'url-path',
    'Name of',
  ]) {
    expect(text).not.toContain(needle);
  }
});
