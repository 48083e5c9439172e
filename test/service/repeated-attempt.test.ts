import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readDelivery, workflowStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
const open = new Map<string, ServerResponse>();
let isHolding = true;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    startService({ FLTR_DELIVERIES_PER_WORKFLOW: '1', FLTR_ATTEMPT_TIMEOUT_MS: '20000' }),
    startReceiver(({ body }, response) => {
      if (isHolding) open.set((JSON.parse(body.toString()) as { id: string }).id, response);
      else response.end();
    }),
  ]);
});
afterAll(() => stopAll(service, receiver));

test('a delivery whose time is changed during the attempt that delivers it ends, also if its webhook has no permit left', async () => {
  await service.newWebhook(receiver.url);
  // More than a process has permits for, and deliveries that wait for one.
  const published = await Promise.all(
    Array.from({ length: 60 }, async () => {
      const { id, deliveries } = await service.publish();
      return { id, deliveryId: deliveries[0]?.id ?? '' };
    }),
  );
  await until(
    () => Promise.resolve(open.size),
    (size) => size === 20,
  );
  const attempted = published.find(({ id }) => open.has(id));
  if (!attempted) throw new Error('None was attempted');
  const next_attempt_at = new Date(Date.now() + 3_600_000).toISOString();
  const { status } = await service.call('PATCH', `/v1/deliveries/${attempted.deliveryId}`, {
    next_attempt_at,
  });
  expect(status).toBe(200);
  open.get(attempted.id)?.end();
  await until(
    () => readDelivery(service, attempted.deliveryId),
    (delivery) => delivery.status === 'delivered',
  );
  expect(await workflowStatus(service, attempted.deliveryId)).toBe('COMPLETED');
  const { timeline } = await readDelivery(service, attempted.deliveryId);
  expect(timeline.filter(({ type }) => type === 'wait')).toEqual([]);
  isHolding = false;
  for (const response of open.values()) response.end();
});
