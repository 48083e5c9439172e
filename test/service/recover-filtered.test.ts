import { afterAll, beforeAll, expect, test } from 'vitest';
import type { WebhookFilter } from '../../src/contracts/filter.ts';
import { openAccount, waitForDeliveries, type Account } from '../kit/recoveries.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let status = 200;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService(),
    startReceiver((_request, response) => void response.writeHead(status).end()),
  ]);
});
afterAll(() => stopAll(service, receiver));

const since = '2020-01-01T00:00:00Z';
const sizeAtLeast = (value: number): WebhookFilter => ({ path: '/data/size_bytes', op: 'gte', value });

/** An event of each size, with so many bytes of data beside it. */
async function publish(account: Account, sizes: readonly number[], bytes = 0): Promise<void> {
  for (const size of sizes) {
    const data = {
      document_id: `doc_${size}`,
      dataset_id: 'ds_1',
      size_bytes: size,
      metadata: { text: 'x'.repeat(bytes) },
    };
    const labels = size % 2 === 0 ? ['even'] : [];
    const response = await account.call('POST', '/v1/events', { event: 'document.uploaded', data, labels });
    if (response.status !== 202) throw new Error(response.text);
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);
const hasEnded = ({ ended_at }: { ended_at: string | null }) => ended_at !== null;

async function sizesSentTo(webhookId: string): Promise<number[]> {
  const { rows } = await service.pool.query<{ size: number }>(
    `select (convert_from(e.body, 'UTF8')::jsonb -> 'data' ->> 'size_bytes')::int as size
     from deliveries d join events e on e.account_id = d.account_id and e.id = d.event_id
     where d.webhook_id = $1 order by 1`,
    [webhookId],
  );
  return rows.map(({ size }) => size);
}

test('after a filter was loosened, a recovery sends the events that match now, and a dry run counts the same', async () => {
  const account = await openAccount(service);
  const webhookId = await account.newWebhook(receiver.url, {
    events: ['document.*'],
    filter: sizeAtLeast(60),
  });
  // More than the bodies that are read at once.
  await publish(account, upTo(40), 200_000);
  await publish(account, upTo(70).slice(40));
  await account.call('POST', '/v1/events', { event: 'dataset.deleted', data: { dataset_id: 'ds_1' } });
  await waitForDeliveries(service, account.accountId, 'delivered', 10);
  const dryRun = async (only?: string) =>
    (await account.recover(webhookId, { since, dry_run: true, ...(only ? { only } : {}) })).body.total;
  expect([await dryRun(), await dryRun('missed'), await dryRun('failed')]).toEqual([0, 0, 0]);
  await account.call('PATCH', `/v1/webhooks/${webhookId}`, { filter: sizeAtLeast(5) });
  expect([await dryRun(), await dryRun('missed'), await dryRun('failed')]).toEqual([55, 55, 0]);
  const { body } = await account.recover(webhookId, { since, only: 'missed' });
  expect(body.total).toBe(55);
  const ended = await account.waitForRecovery(body.id, hasEnded);
  expect(ended).toMatchObject({ status: 'completed', total: 55, done: 55, failed: 0 });
  await waitForDeliveries(service, account.accountId, 'delivered', 65);
  expect(await sizesSentTo(webhookId)).toEqual(upTo(70).slice(5));
  expect(await dryRun()).toBe(0);
});

test('failed deliveries are sent again with any present filter; labels count, and events without a body do not', async () => {
  const account = await openAccount(service);
  const webhookId = await account.newWebhook(receiver.url, { filter: sizeAtLeast(8) });
  status = 400;
  await publish(account, upTo(10));
  await waitForDeliveries(service, account.accountId, 'failed', 2);
  status = 200;
  const isEven = { path: '/labels', op: 'eq', value: 'even' } as const;
  await account.call('PATCH', `/v1/webhooks/${webhookId}`, {
    filter: { all: [isEven, { not: sizeAtLeast(8) }] },
  });
  await service.pool.query(
    `update events set body = null where account_id = $1 and convert_from(body, 'UTF8') like '%"doc_2"%'`,
    [account.accountId],
  );
  const total = async (only: string) =>
    (await account.recover(webhookId, { since, only, dry_run: true })).body.total;
  expect([await total('failed'), await total('missed')]).toEqual([2, 3]);
  const { body } = await account.recover(webhookId, { since });
  const ended = await account.waitForRecovery(body.id, hasEnded);
  expect(ended).toMatchObject({ total: 5, done: 5, failed: 0 });
  await waitForDeliveries(service, account.accountId, 'delivered', 5);
  expect(await sizesSentTo(webhookId)).toEqual([0, 4, 6, 8, 9]);
});

test('a recovery uses the filter of the moment when it was requested', async () => {
  const account = await openAccount(service);
  const webhookId = await account.newWebhook(receiver.url, { filter: sizeAtLeast(1000) });
  await publish(account, upTo(120));
  await account.call('PATCH', `/v1/webhooks/${webhookId}`, { filter: sizeAtLeast(20) });
  const { body } = await account.recover(webhookId, { since });
  await account.call('PATCH', `/v1/webhooks/${webhookId}`, { filter: sizeAtLeast(1000) });
  const ended = await account.waitForRecovery(body.id, hasEnded);
  expect(ended).toMatchObject({ status: 'completed', total: 100, done: 100 });
  expect(await sizesSentTo(webhookId)).toEqual(upTo(120).slice(20));
});
