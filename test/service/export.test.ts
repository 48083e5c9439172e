import { afterAll, beforeAll, expect, test } from 'vitest';
import { FltrWebhooks } from '../../src/client/fltr-webhooks.ts';
import type { FltrWebhooksError } from '../../src/client/request.ts';
import { runInProcess } from '../kit/command.ts';
import { startService, type Service } from '../kit/service.ts';

const count = 25_000;
let service: Service;
let accountId: string;
let key: string;
let client: FltrWebhooks;
beforeAll(async () => {
  service = await startService();
  ({ accountId, key } = await service.newAccount());
  client = new FltrWebhooks({ url: service.apiUrl, apiKey: key });
  await service.pool.query(
    `insert into events (account_id, id, type, "timestamp", body, created_at)
     select $1, 'evt_' || n, case when n % 100 = 0 then 'dataset.deleted' else 'dataset.created' end, '2024-01-10T12:00:00Z',
       '{"data":{}}', date_trunc('milliseconds', now()) - interval '1 day' + n / 10 * interval '1 millisecond'
     from generate_series(1, $2::int) as n`,
    [accountId, count],
  );
  await service.pool.query(
    `insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at, ended_at, attempt_count,
       last_status_code, last_error_code)
     select 'dlv_' || lpad(n::text, 26, '0'), $1, 'wh_' || n % 3, 'evt_' || n, 'dataset.created',
       case when n % 100 = 0 then 'failed' else 'delivered' end, now(), now(), 1, case when n % 100 = 0 then 404 else 200 end,
       case when n % 100 = 0 then 'client_error' end
     from generate_series(1, $2::int) as n`,
    [accountId, count],
  );
}, 120_000);
afterAll(() => service.stop());

async function idsOf(rows: AsyncIterable<{ id: string }>): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of rows) ids.push(id);
  return ids;
}
const deliveryId = (n: number) => `dlv_${String(n).padStart(26, '0')}`;
const numbers = Array.from({ length: count }, (_, index) => count - index);
const hundreds = numbers.filter((n) => n % 100 === 0);

test('an export has every row once, newest first', { timeout: 60_000 }, async () => {
  expect(await idsOf(client.exportDeliveries())).toEqual(numbers.map(deliveryId));
  const events = await idsOf(client.exportEvents());
  expect(new Set(events).size).toBe(count);
  expect(events).toHaveLength(count);
});

test('an export is filtered, and begins at a cursor', { timeout: 60_000 }, async () => {
  expect(await idsOf(client.exportDeliveries({ error: 'client_error' }))).toEqual(hundreds.map(deliveryId));
  expect(await idsOf(client.exportDeliveries({ webhook_id: 'wh_1', status: 'failed' }))).toEqual(
    hundreds.filter((n) => n % 3 === 1).map(deliveryId),
  );
  expect(await idsOf(client.exportEvents({ event: 'dataset.deleted' }))).toHaveLength(hundreds.length);
  expect(await idsOf(client.exportEvents({ outcome: 'undelivered' }))).toEqual(
    hundreds.map((n) => `evt_${n}`),
  );
  const page = await client.listDeliveries({ limit: 100 });
  const rest = await idsOf(client.exportDeliveries({ cursor: page.next_cursor ?? '' }));
  expect(rest).toEqual(numbers.slice(100).map(deliveryId));
});

test('its lines are the rows of the list', async () => {
  const page = await client.listDeliveries({ status: 'failed', limit: 2 });
  const rows: unknown[] = [];
  for await (const row of client.exportDeliveries({ status: 'failed' })) {
    rows.push(row);
    if (rows.length === 2) break;
  }
  expect(rows).toEqual(page.data);
});

test('a wrong filter is refused as in the list, and HEAD and other types get no export', async () => {
  const refused = await idsOf(client.exportDeliveries({ cursor: 'no cursor' })).catch(
    (error: unknown) => error as FltrWebhooksError,
  );
  expect(refused).toMatchObject({ status: 422, code: 'validation_failed' });
  const request = (accept: string, method = 'GET') =>
    fetch(`${service.apiUrl}/v1/deliveries`, {
      method,
      headers: { authorization: `Bearer ${key}`, accept },
    });
  for (const [accept, type] of [
    ['*/*', 'application/json'],
    ['application/json, application/x-ndjson;q=0.5', 'application/json'],
    ['application/x-ndjson', 'application/x-ndjson'],
  ] as const) {
    const response = await request(accept);
    expect(response.headers.get('content-type'), accept).toBe(`${type}; charset=utf-8`);
    await response.body?.cancel();
  }
  const head = await request('application/x-ndjson', 'HEAD');
  expect(head.headers.get('content-type')).toBe('application/json; charset=utf-8');
});

test('another account exports nothing of it', async () => {
  const stranger = new FltrWebhooks({ url: service.apiUrl, apiKey: (await service.newAccount()).key });
  expect(await idsOf(stranger.exportDeliveries())).toEqual([]);
  expect(await idsOf(stranger.exportEvents({ outcome: 'undelivered' }))).toEqual([]);
});

test('the command prints a line for each row', { timeout: 60_000 }, async () => {
  const env = { FLTR_API_URL: service.apiUrl, FLTR_API_KEY: key };
  const { code, output } = await runInProcess(['deliveries', 'list', '--export', '--status', 'failed'], env);
  expect(code, output).toBe(0);
  const lines = output.trim().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { id: string }).id)).toEqual(hundreds.map(deliveryId));
  const events = await runInProcess(['events', 'list', '--export', '--undelivered'], env);
  expect(events.output.trim().split('\n')).toHaveLength(hundreds.length);
});
