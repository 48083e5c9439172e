import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RangeStats, WebhookRangeStats } from '../../src/contracts/stats.ts';
import { statsRanges } from '../../src/contracts/stats-ranges.ts';
import { nextStep, removeOld } from '../../src/db/retention.ts';
import { stepCount } from '../../src/domain/response-times.ts';
import { call, startService, type Service } from '../kit/service.ts';

let service: Service;
let webhookId: string;
beforeAll(async () => {
  service = await startService();
  ({ webhook_id: webhookId } = await service.newWebhook('https://example.com/'));
  // An attempt in each minute of 40 days, all of them delivered in the same time, and of two activations.
  await service.pool.query(
    `insert into webhook_stats (webhook_id, minute, activation, attempts, delivered, failed, durations)
     select $1, minute, extract(day from minute)::int % 2, 3, 2, 1,
       (select array_agg(case when step = 6 then 3 else 0 end) from generate_series(1, $2::int) as step)
     from generate_series(date_trunc('minute', now()) - interval '40 days', date_trunc('minute', now()), interval '1 minute') as minute`,
    [webhookId, stepCount],
  );
}, 120_000);
afterAll(() => service.stop());

const read = async <T>(path: string): Promise<T> => {
  const { status, body } = await service.call<T>('GET', path);
  expect(status, JSON.stringify(body)).toBe(200);
  return body;
};
const readAll = () =>
  Promise.all(
    statsRanges.map(async (range) => ({
      one: await read<WebhookRangeStats>(`/v1/webhooks/${webhookId}/stats?range=${range}`),
      all: await read<RangeStats>(`/v1/stats?range=${range}`),
    })),
  );

test(
  'each range counts all of its attempts, by the minute as by the hour',
  { timeout: 120_000 },
  async () => {
    const check = async () => {
      for (const { one, all } of await readAll()) {
        const minutes = (Date.parse(one.until) - Date.parse(one.since)) / 60_000;
        // A minute may have begun since the rows were made.
        expect(one.attempts, one.range).toBeGreaterThanOrEqual(3 * (minutes - 10));
        expect(one.attempts).toBeLessThanOrEqual(3 * minutes);
        expect(one.failure_rate).toBeCloseTo(1 / 3);
        const bucketMinutes = one.bucket_seconds / 60;
        for (const bucket of one.buckets.slice(0, -2)) {
          expect(bucket.attempts, `${one.range} ${bucket.at}`).toBe(3 * bucketMinutes);
          expect(bucket.failed_attempts).toBe(bucketMinutes);
          expect(bucket.response_ms.p50).toBe(one.response_ms.p50);
        }
        expect(one.response_ms.p50).not.toBeNull();
        const buckets = one.buckets.map(({ response_ms: _ms, ...bucket }) => bucket);
        expect(all.data.map(({ webhook_id }) => webhook_id)).toEqual([webhookId]);
        expect(all.data[0]?.buckets.slice(0, -1)).toEqual(buckets.slice(0, -1));
      }
    };
    await check();
    const retention = { payloadDays: 0, days: 0 };
    for (let step = nextStep(null); step !== null; step = nextStep(step))
      while ((await removeOld(service.pool, step, retention, 10_000)) > 0);
    const { rows } = await service.pool.query<{ minutes: number; hours: number; oldest: number }>(
      `select (select count(*)::int from webhook_stats) as minutes, (select count(*)::int from webhook_stats_hours) as hours,
         (select extract(epoch from now() - min(hour)) / 86400 from webhook_stats_hours)::float8 as oldest`,
    );
    expect(rows[0]?.minutes).toBeLessThanOrEqual(2 * 1440 + 1);
    expect([695, 696, 697]).toContain(rows[0]?.hours);
    expect(rows[0]?.oldest).toBeLessThanOrEqual(31);
    await check();
  },
);

test('another range is refused, and without one the last 24 hours are by the hour', async () => {
  for (const path of [`/v1/webhooks/${webhookId}/stats`, '/v1/stats']) {
    expect((await service.call('GET', `${path}?range=2d`)).status).toBe(422);
    const body = await read<Record<string, unknown>>(path);
    expect('range' in body || 'buckets' in body).toBe(false);
  }
});

test("another account's webhook is not there", async () => {
  const { key } = await service.newAccount();
  const one = await call(service.apiUrl, key, 'GET', `/v1/webhooks/${webhookId}/stats?range=7d`);
  expect(one.status).toBe(404);
  const all = await call<RangeStats>(service.apiUrl, key, 'GET', '/v1/stats?range=7d');
  expect(all.body.data).toEqual([]);
});
