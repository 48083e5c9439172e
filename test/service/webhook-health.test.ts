import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Webhook } from '../../src/contracts/webhook.ts';
import { judgeWebhooks } from '../../src/db/webhook-health.ts';
import { newId } from '../../src/domain/ids.ts';
import { publishOne } from '../kit/delivery-steps.ts';
import { passTime } from '../kit/pass-time.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { atOnce, startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  // Nothing runs but the API: the rounds are those of the tests.
  [service, receiver] = await Promise.all([startService({}, 'api'), startReceiver()]);
});
afterAll(() => stopAll(service, receiver));

const judge = async (): Promise<number> => {
  let emitted = 0;
  for (let after: string | null = ''; after !== null;) {
    const round: Awaited<ReturnType<typeof judgeWebhooks>> = await judgeWebhooks(service.pool, after);
    emitted += round.emitted;
    after = round.next;
  }
  return emitted;
};

/** A webhook with a history: its attempts so many seconds ago, oldest first. */
async function setUp(more: Record<string, unknown> = {}) {
  const { accountId, key } = await service.newAccount();
  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(service.apiUrl + path, {
      method,
      headers: { authorization: `Bearer ${key}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return (await response.json()) as T;
  };
  const create = (events: string[]) =>
    call<Webhook>('POST', '/v1/webhooks', { url: receiver.url, events, ...more });
  const { webhook_id: id } = await create(['document.*']);
  await create(['webhook.*']);
  const health = async () => (await call<Webhook>('GET', `/v1/webhooks/${id}`)).health;
  const attempted = async (outcome: 'delivered' | 'retry' | 'failed', ...secondsAgo: number[]) => {
    for (const seconds of secondsAgo) {
      await service.pool.query(
        `insert into attempts (id, delivery_id, webhook_id, number, started_at, duration_ms, outcome, url, format, body_bytes)
         values ($1, $2, $3, 1, now() - make_interval(secs => $4), 5, $5, '', 'fltr', 1)`,
        [newId('att'), newId('dlv'), id, seconds, outcome],
      );
      await service.pool.query(
        `insert into webhook_stats as s (webhook_id, minute, activation, attempts, delivered, failed, durations)
         values ($1, date_trunc('minute', now() - make_interval(secs => $2)), 0, 1, $3, 0, '{}')
         on conflict (webhook_id, minute, activation) do update
           set attempts = s.attempts + 1, delivered = s.delivered + excluded.delivered`,
        [id, seconds, outcome === 'delivered' ? 1 : 0],
      );
    }
  };
  const events = async () => {
    const { data } = await call<{ data: { id: string; event: string }[] }>('GET', '/v1/events');
    return Promise.all(
      data
        .toReversed()
        .map(async (each) => await call<{ event: string; data: unknown }>('GET', `/v1/events/${each.id}`)),
    );
  };
  return { id, health, attempted, events, accountId };
}
const range = (from: number, count: number, step: number) =>
  Array.from({ length: count }, (_, index) => from - index * step);

test('healthy, failing and healthy again, by the share of failed attempts in the last hour; no event', async () => {
  const { health, attempted, events } = await setUp();
  expect(await health()).toEqual({ state: 'healthy', since: null, next_probe_at: null });
  await attempted('retry', 100);
  await attempted('delivered', ...range(90, 3, 10));
  await judge();
  expect((await health()).state).toBe('healthy');
  await attempted('delivered', 10);
  await judge();
  const failing = await health();
  expect(failing.state).toBe('failing');
  expect(Math.abs(Date.parse(failing.since ?? '') - Date.now())).toBeLessThan(60_000);
  await attempted('delivered', 5);
  await judge();
  expect((await health()).state).toBe('healthy');
  expect(await events()).toEqual([]);
});

test('down since the first of 20 failures, once that is 5 minutes ago; recovered with the next success', async () => {
  const { id, health, attempted, events } = await setUp();
  await attempted('delivered', 1000);
  await attempted('retry', ...range(290, 20, 2));
  await judge();
  expect((await health()).state).toBe('failing');
  await passTime(service.pool, 15);
  expect(await judge()).toBe(1);
  const down = await health();
  expect(down.state).toBe('down');
  const sinceMs = Date.now() - Date.parse(down.since ?? '');
  expect(sinceMs).toBeGreaterThan(304_000);
  expect(sinceMs).toBeLessThan(330_000);
  // Long ones are found, too, though only the last 20 attempts are counted.
  await attempted('retry', ...range(9, 5, 1));
  expect(await judge()).toBe(0);
  await attempted('delivered', 2);
  expect(await judge()).toBe(1);
  expect((await health()).state).toBe('failing');
  expect(await judge()).toBe(0);
  expect((await events()).map(({ event, data }) => ({ event, data }))).toEqual([
    { event: 'webhook.down', data: { webhook_id: id, since: down.since } },
    { event: 'webhook.recovered', data: { webhook_id: id, down_since: down.since } },
  ]);
});

test('of several processes that judge at once, one emits the event', async () => {
  const { events, attempted } = await setUp();
  await attempted('failed', ...range(400, 25, 2));
  const emitted = await atOnce(6, judge);
  expect(emitted.reduce((sum, count) => sum + count, 0)).toBe(1);
  expect((await events()).map(({ event }) => event)).toEqual(['webhook.down']);
});

test('19 failures do not make a webhook down, nor 20 with a success among them, however old', async () => {
  const [few, mixed] = [await setUp(), await setUp()];
  await few.attempted('retry', ...range(590, 19, 10));
  await mixed.attempted('retry', ...range(590, 10, 10));
  await mixed.attempted('delivered', 480);
  await mixed.attempted('retry', ...range(470, 19, 10));
  expect(await judge()).toBe(0);
  for (const { health } of [few, mixed]) expect((await health()).state).toBe('failing');
});

test('without any attempt for an hour, a webhook that does not probe is healthy again, with no event', async () => {
  const { health, attempted, events } = await setUp();
  await attempted('retry', ...range(400, 20, 2));
  await judge();
  expect((await health()).state).toBe('down');
  await passTime(service.pool, 3700);
  await judge();
  expect((await health()).state).toBe('healthy');
  expect((await events()).map(({ event }) => event)).toEqual(['webhook.down']);
});

test('an inactive or deleted webhook is not judged, and keeps its state', async () => {
  const { id, health, attempted, events } = await setUp();
  await attempted('retry', ...range(400, 20, 2));
  await service.pool.query(`update webhooks set active = false where id = $1`, [id]);
  expect(await judge()).toBe(0);
  expect((await health()).state).toBe('healthy');
  await service.pool.query(`update webhooks set deleted_at = now() where id = $1`, [id]);
  expect(await judge()).toBe(0);
  expect(await events()).toEqual([]);
});

test('the service judges by itself', async () => {
  const own = await startService({ FLTR_RETRY_SCHEDULE_SECONDS: '86400' });
  const failing = await startReceiver((request, response) => {
    response.writeHead(request.path === '/ops' ? 200 : 503).end();
  });
  try {
    await own.newWebhook(`${failing.url}/ops`, { events: ['webhook.*'] });
    const { webhook_id: id } = await own.newWebhook(failing.url, { events: ['document.*'] });
    for (let index = 0; index < 20; index += 1) await publishOne(own);
    await until(
      () => failing.requests.length,
      (count) => count === 20,
    );
    await passTime(own.pool, 301);
    await until(
      async () => (await own.call<Webhook>('GET', `/v1/webhooks/${id}`)).body.health.state,
      (state) => state === 'down',
    );
    const event = await until(
      () => failing.requests.find(({ path }) => path === '/ops'),
      (request) => request !== undefined,
    );
    expect(JSON.parse(String(event?.body))).toMatchObject({
      event: 'webhook.down',
      data: { webhook_id: id },
    });
  } finally {
    await stopAll(own, failing);
  }
});
