import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DeliveryCounts } from '../../src/contracts/delivery-counts.ts';
import type { DeliverySummary } from '../../src/contracts/delivery.ts';
import type { EventSummary } from '../../src/contracts/event.ts';
import type { Page } from '../../src/client/pages.ts';
import { listEvents, listUndelivered } from '../../src/db/event-list.ts';
import { waitForStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { call, startService, stopAll, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
const statuses: Record<string, number> = { '/ok': 200, '/refuses': 404, '/fails': 503 };
/** By event id: the ids of its deliveries. */
const deliveries: Record<string, string[]> = {};
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService({ FLTR_RETRY_SCHEDULE_SECONDS: '600' }),
    startReceiver((request, response) => {
      const status = statuses[request.path];
      if (status === undefined) response.socket?.destroy();
      else response.writeHead(status).end();
    }),
  ]);
  for (const path of ['/ok', '/refuses'])
    await service.newWebhook(`${receiver.url}${path}`, { events: ['document.*'] });
  await service.newWebhook(`${receiver.url}/fails`, { events: ['dataset.created'] });
  await service.newWebhook(`${receiver.url}/silent`, { events: ['dataset.deleted'] });
  const document = { document_id: 'doc_1', dataset_id: 'ds_1' };
  await publish('evt_1', 'document.deleted', document, ['region:eu']);
  await publish('evt_2', 'document.deleted', document, ['region:us', 'vip']);
  await publish('evt_3', 'dataset.created', { dataset_id: 'ds_1', name: 'One' }, ['region:eu']);
  await publish('evt_4', 'dataset.deleted', { dataset_id: 'ds_1' });
  await publish('evt_5', 'dataset.updated', { dataset_id: 'ds_1', changes: { name: 'Two' } });
  for (const id of ['evt_1', 'evt_2']) {
    await waitForStatus(service, deliveries[id]?.[0] ?? '', 'delivered');
    await waitForStatus(service, deliveries[id]?.[1] ?? '', 'failed');
  }
  for (const id of ['evt_3', 'evt_4']) await waitForStatus(service, deliveries[id]?.[0] ?? '', 'retrying', 1);
});
afterAll(() => stopAll(service, receiver));

async function publish(id: string, event: string, data: object, labels?: string[]): Promise<void> {
  const { status, body } = await service.call<{ deliveries: { id: string }[] }>('POST', '/v1/events', {
    id,
    event,
    data,
    ...(labels ? { labels } : {}),
  });
  expect(status, JSON.stringify(body)).toBe(202);
  deliveries[id] = body.deliveries.map((delivery) => delivery.id);
}

const list = async <Item>(path: string): Promise<Page<Item>> => {
  const { status, body } = await service.call<Page<Item>>('GET', path);
  expect(status, JSON.stringify(body)).toBe(200);
  return body;
};
const eventsOf = async (query: string) =>
  (await list<EventSummary>(`/v1/events?${query}`)).data.map(({ id }) => id);

test("deliveries are counted by status, with the filters of the log, and never another account's", async () => {
  const count = async (query: string, key = service.key) => {
    const response = await call<DeliveryCounts>(service.apiUrl, key, 'GET', `/v1/deliveries/counts${query}`);
    expect(response.status, response.text).toBe(200);
    expect(response.body.limit).toBe(10_000);
    return Object.fromEntries(Object.entries(response.body.counts).filter(([, each]) => each > 0));
  };
  expect(await count('')).toEqual({ delivered: 2, failed: 2, retrying: 2 });
  expect(await count('?event=document.deleted')).toEqual({ delivered: 2, failed: 2 });
  expect(await count('?event_id=evt_1')).toEqual({ delivered: 1, failed: 1 });
  expect(await count('?event_id=evt_1&code=4xx')).toEqual({ failed: 1 });
  expect(await count('?error=no_response')).toEqual({ retrying: 1 });
  expect(await count('?until=2020-01-01T00:00:00Z')).toEqual({});
  const [webhook] = (await list<{ webhook_id: string }>('/v1/webhooks')).data;
  const ofWebhook = `?webhook_id=${webhook?.webhook_id}`;
  expect(await count(ofWebhook)).not.toEqual({});
  const { key } = await service.newAccount();
  for (const query of ['', ofWebhook, '?event_id=evt_1']) expect(await count(query, key)).toEqual({});
  const refused = await service.call('GET', '/v1/deliveries/counts?status=failed');
  expect([refused.status, refused.text]).toEqual([422, expect.stringContaining('#query/status')]);
});

test('events are filtered by type, label and time, also together', async () => {
  expect(await eventsOf('event=document.deleted')).toEqual(['evt_2', 'evt_1']);
  expect(await eventsOf('label=region:eu')).toEqual(['evt_3', 'evt_1']);
  expect(await eventsOf('label=region:eu&event=document.deleted')).toEqual(['evt_1']);
  expect(await eventsOf('label=region')).toEqual([]);
  expect(await eventsOf('event=document.processed')).toEqual([]);
  const all = await list<EventSummary>('/v1/events');
  const at = (id: string) => all.data.find((event) => event.id === id)?.created_at ?? '';
  expect(await eventsOf(`since=${at('evt_2')}&until=${at('evt_4')}`)).toEqual(['evt_3', 'evt_2']);
  expect(await eventsOf(`since=${at('evt_2')}&label=region:eu`)).toEqual(['evt_3']);
  expect(await eventsOf(`until=${at('evt_1')}`)).toEqual([]);
});

test('undelivered events have a delivery that failed or was canceled, and are listed once', async () => {
  expect(await eventsOf('outcome=undelivered')).toEqual(['evt_2', 'evt_1']);
  expect(await eventsOf('outcome=undelivered&label=region:eu')).toEqual(['evt_1']);
  expect(await eventsOf('outcome=undelivered&event=dataset.created')).toEqual([]);
  await service.newWebhook(`${receiver.url}/refuses`, { events: ['dataset.updated'] });
  const second = await service.newWebhook(`${receiver.url}/fails`, { events: ['dataset.updated'] });
  await publish('evt_6', 'dataset.updated', { dataset_id: 'ds_1', changes: { name: 'Three' } });
  const ids = deliveries['evt_6'] ?? [];
  await waitForStatus(service, ids[0] ?? '', 'failed');
  expect(await eventsOf('outcome=undelivered&limit=1')).toEqual(['evt_6']);
  // Both of its deliveries ended without being delivered now.
  const retrying = await list<DeliverySummary>(
    `/v1/deliveries?webhook_id=${second.webhook_id}&event_id=evt_6`,
  );
  await service.call('POST', `/v1/deliveries/${retrying.data[0]?.id}/cancel`);
  await waitForStatus(service, retrying.data[0]?.id ?? '', 'canceled');
  const pages: string[][] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const page: Page<EventSummary> = await list(`/v1/events?outcome=undelivered&limit=1${cursor}`);
    pages.push(page.data.map(({ id }) => id));
    cursor = page.next_cursor === null ? null : `&cursor=${page.next_cursor}`;
  }
  expect(pages.flat()).toEqual(['evt_6', 'evt_2', 'evt_1']);
});

test('a page of a filtered list continues where the scan ended, with any number of matches', async () => {
  const { rows, next } = await listEvents(
    service.pool,
    service.accountId,
    { eventType: 'document.deleted' },
    { before: null, limit: 1 },
  );
  expect(rows.map(({ id }) => id)).toEqual(['evt_2']);
  expect(next).toMatchObject({ id: 'evt_2' });
  const undelivered = await listUndelivered(
    service.pool,
    service.accountId,
    { label: 'vip' },
    { before: null, limit: 1 },
  );
  expect(undelivered).toMatchObject({ rows: [{ id: 'evt_2' }], next: null });
});

test('a filter that matches rarely is found over several pages', { timeout: 120_000 }, async () => {
  const { accountId, key } = await service.newAccount();
  const count = 25_000;
  await service.pool.query(
    `insert into events (account_id, id, type, "timestamp", body, created_at, labels)
     select $1, 'evt_' || n, case when n = 1 then 'dataset.deleted' else 'dataset.created' end, '2024-01-10T12:00:00Z',
       '{"data":{}}', date_trunc('milliseconds', now()) - interval '1 day' + n / 10 * interval '1 millisecond', case when n in (1, 12000) then array['rare'] end
     from generate_series(1, $2::int) as n`,
    [accountId, count],
  );
  for (const [query, expected] of [
    ['event=dataset.deleted', ['evt_1']],
    ['label=rare', ['evt_12000', 'evt_1']],
    ['label=rare&event=dataset.created', ['evt_12000']],
  ] as const) {
    const found: string[] = [];
    let [pages, cursor]: [number, string] = [0, ''];
    for (;;) {
      const { body } = await call<Page<EventSummary>>(
        service.apiUrl,
        key,
        'GET',
        `/v1/events?${query}${cursor}`,
      );
      found.push(...body.data.map(({ id }) => id));
      pages += 1;
      if (body.next_cursor === null) break;
      cursor = `&cursor=${body.next_cursor}`;
    }
    expect(found, query).toEqual(expected);
    expect(pages).toBeLessThanOrEqual(3);
  }
});

test('deliveries are filtered by event and by the error of their last attempt', async () => {
  const idsOf = async (query: string) =>
    (await list<DeliverySummary>(`/v1/deliveries?${query}`)).data.map(({ id }) => id);
  expect(await idsOf('event_id=evt_1')).toEqual([...(deliveries['evt_1'] ?? [])].toSorted().toReversed());
  expect(await idsOf('event_id=evt_1&status=failed')).toEqual([deliveries['evt_1']?.[1]]);
  expect(await idsOf('event_id=evt_none')).toEqual([]);
  expect(await idsOf('error=no_response')).toEqual(deliveries['evt_4']);
  expect(await idsOf('error=connection_closed')).toEqual(deliveries['evt_4']);
  expect(await idsOf('error=connection_refused')).toEqual([]);
  expect(await idsOf('error=client_error&event_id=evt_2')).toEqual([deliveries['evt_2']?.[1]]);
  expect(await idsOf('error=server_error&event=dataset.created')).toEqual(deliveries['evt_3']);
  expect(await idsOf('error=server_error&code=404')).toEqual([]);
});

test('an unknown filter is refused, as is the cursor of another list', async () => {
  for (const query of [
    'outcome=delivered',
    'label=',
    'since=yesterday',
    'status=failed',
    'event=Documents',
  ]) {
    const { status, body } = await service.call<{ code: string }>('GET', `/v1/events?${query}`);
    expect([status, body.code], query).toEqual([422, 'validation_failed']);
  }
  for (const query of ['error=timeout', 'event_id=a.b']) {
    const { status } = await service.call('GET', `/v1/deliveries?${query}`);
    expect(status, query).toBe(422);
  }
  const page = await list<EventSummary>('/v1/events?limit=1');
  const other = await service.call('GET', `/v1/events?outcome=undelivered&cursor=${page.next_cursor}`);
  expect(other.status).toBe(422);
});
