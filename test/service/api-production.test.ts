import { afterAll, beforeAll, expect, test } from 'vitest';
import { sealSession } from '../../src/api/session-cookie.ts';
import { readConfig } from '../../src/config.ts';
import { developmentKeyFor, encryptionKeysFor } from '../../src/development-secrets.ts';
import { digestOfKey } from '../../src/security/api-keys.ts';
import { createSecretBox } from '../../src/security/secret-box.ts';
import { call, startService, type Service } from '../kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({
    FLTR_ENV: 'production',
    FLTR_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}`,
  });
});
afterAll(() => service.stop());

test.each([
  'http://localhost:5000/events',
  'https://localhost/events',
  'http://example.com/',
  'https://2130706433',
  'https://127.0.0.1/',
  'https://[::1]/',
  'https://0x7f.1/',
])('in production %s is refused at create and at update', async (url) => {
  const created = await service.call<{ errors: { pointer: string }[] }>('POST', '/v1/webhooks', {
    url,
    events: ['*'],
  });
  expect([created.status, created.body.errors[0]?.pointer]).toEqual([422, '/url']);
  const { webhook_id: id } = await service.newWebhook('https://example.com/');
  expect((await service.call('PATCH', `/v1/webhooks/${id}`, { url })).status).toBe(422);
});

test('in production there is no development key', async () => {
  const { rows } = await service.pool.query(`select 1 from accounts where id = 'acc_development'`);
  expect(rows).toEqual([]);
  expect(() => readConfig({ ...service.env, FLTR_DEV_KEY: 'a-key-that-is-long-enough' })).toThrow(
    /FLTR_DEV_KEY is for development/,
  );
});

test('in production the key that a start in development left in the database opens nothing', async () => {
  const { FLTR_ENV: _production, ...development } = service.env;
  const config = readConfig({ ...development, FLTR_DEV_KEY: 'left-by-development' });
  const key = (await developmentKeyFor(config, service.pool)) ?? '';
  const { rows } = await service.pool.query<{ id: string }>(
    `select id from api_keys where digest = $1 and revoked_at is null`,
    [digestOfKey(key)],
  );
  const [{ id } = { id: '' }] = rows;
  expect(id).toMatch(/^key_/);
  const event = { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } };
  const box = createSecretBox(await encryptionKeysFor(readConfig(service.env)));
  const page = { 'x-fltr-dashboard': '1' };
  const cookie = { ...page, cookie: `__Host-fltr_session=${sealSession(box, id).sealed}` };
  const ask = (apiKey: string | null, method: string, path: string, body?: unknown, headers = {}) =>
    call<{ code: string }>(service.apiUrl, apiKey, method, path, body, headers);
  for (const response of [
    await ask(key, 'GET', '/v1/webhooks'),
    await ask(key, 'POST', '/v1/keys', { name: 'another', scopes: ['webhooks:read'] }),
    await ask(key, 'POST', '/v1/events', event),
    await ask(key, 'POST', '/v1/events', event, { 'Idempotency-Key': 'once' }),
    await ask(key, 'POST', '/v1/events/batch', { events: [event] }),
    await ask(null, 'POST', '/session', { key }, page),
    await ask(null, 'GET', '/session', undefined, cookie),
    await ask(null, 'GET', '/v1/webhooks', undefined, cookie),
    await ask(null, 'POST', '/v1/events', event, cookie),
  ]) {
    expect([response.status, response.body.code]).toEqual([401, 'unauthorized']);
    expect(response.headers.get('set-cookie')).toBeNull();
  }
  const events = await service.pool.query(`select 1 from events`);
  expect(events.rows).toEqual([]);
});

test('every fault of the settings is reported at once', () => {
  const env = {
    FLTR_ENV: 'production',
    PORT: '70000',
    FLTR_RETRY_SCHEDULE_SECONDS: '60,,5',
    FLTR_ALLOWED_CIDRS: '10.0.0.0/99',
    FLTR_ENCRYPTION_KEYS: 'short:abc',
  };
  expect(() => readConfig(env)).toThrow(
    /PORT must be[^]*FLTR_ENCRYPTION_KEYS must be[^]*FLTR_RETRY_SCHEDULE_SECONDS must be[^]*FLTR_ALLOWED_CIDRS[^]*DATABASE_URL must be set[^]*TEMPORAL_ADDRESS must be set/,
  );
});
