import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../src/config.ts';
import { startService, type Service } from './kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({
    FLTR_ENV: 'production',
    FLTR_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}`,
  });
});
afterAll(() => service.stop());

test.each([
  'http://localhost:5000/hook',
  'https://localhost/hook',
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

test('every fault of the settings is told at once', () => {
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
