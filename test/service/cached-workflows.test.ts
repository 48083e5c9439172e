import { afterAll, beforeAll, expect, test } from 'vitest';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

const cached = 400;
const waiting = 450;

let service: Service;
let receiver: Receiver;
const requestCounts = new Map<string, number>();
beforeAll(async () => {
  receiver = await startReceiver(({ headers }, response) => {
    const id = String(headers['webhook-id']);
    requestCounts.set(id, (requestCounts.get(id) ?? 0) + 1);
    response.writeHead(requestCounts.get(id) === 1 ? 503 : 200).end();
  });
  service = await startService({
    FLTR_MAX_CACHED_WORKFLOWS: String(cached),
    FLTR_RETRY_SCHEDULE_SECONDS: '3600',
    FLTR_DELIVERIES_PER_HOUR: '0',
  });
});
afterAll(() => stopAll(service, receiver));

test(
  'more deliveries wait than their workflows are kept in memory: each is retried, once',
  { timeout: 240_000 },
  async () => {
    await service.newWebhook(receiver.url);
    const events = Array.from({ length: waiting }, (_, number) => ({
      event: 'document.deleted',
      data: { document_id: `doc_${number}`, dataset_id: 'ds_1' },
    }));
    const response = await service.call<{ data: { deliveries: { id: string }[] }[] }>(
      'POST',
      '/v1/events/batch',
      {
        events,
      },
    );
    const ids = response.body.data.flatMap(({ deliveries }) => deliveries.map(({ id }) => id));
    expect(ids).toHaveLength(waiting);
    const counts = async () => {
      const { rows } = await service.pool.query<{ status: string; count: number }>(
        `select status, count(*)::int as count from deliveries where run_id is not null and owner_id = id group by status`,
      );
      return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
    };
    await until(counts, ({ retrying }) => retrying === waiting, 120_000);
    for (const id of ids) expect((await service.call('POST', `/v1/deliveries/${id}/retry`)).status).toBe(202);
    await until(counts, ({ delivered }) => delivered === waiting, 90_000);
    expect([...requestCounts.values()].filter((count) => count !== 2)).toEqual([]);
    expect(requestCounts.size).toBe(waiting);
  },
);
