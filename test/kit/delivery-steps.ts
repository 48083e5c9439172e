import type { Delivery } from '../../src/contracts/delivery.ts';
import { until, type Service } from './service.ts';

export async function readDelivery(service: Service, id: string): Promise<Delivery> {
  const response = await service.call<Delivery>('GET', `/v1/deliveries/${id}`);
  if (response.status !== 200) throw new Error(response.text);
  return response.body;
}

/** Waits for a delivery's status, and after an end also for its workflow's, so that both can be compared. */
export async function waitForStatus(
  service: Service,
  id: string,
  status: Delivery['status'],
  attempts?: number,
): Promise<Delivery> {
  await until(
    () => readDelivery(service, id),
    (delivery) =>
      delivery.status === status && (attempts === undefined || delivery.attempts.length === attempts),
  );
  if (status === 'delivered' || status === 'failed') await workflowStatus(service, id);
  return readDelivery(service, id);
}

/** How a workflow ended: the delivery's owner, or another one by its id. */
export async function workflowStatus(service: Service, id: string): Promise<string> {
  const workflowId = id.startsWith('dlv_') ? (await readDelivery(service, id)).workflow.id : id;
  const handle = service.temporal.client.workflow.getHandle(workflowId);
  const description = await until(
    () => handle.describe(),
    ({ status }) => status.name !== 'RUNNING',
  );
  return description.status.name;
}

/** Publishes one event to the account's only webhook. Returns the delivery's id. */
export async function publishOne(service: Service, more: Record<string, unknown> = {}): Promise<string> {
  const { deliveries } = await service.publish(more);
  const [delivery] = deliveries;
  if (!delivery || deliveries.length !== 1) throw new Error('Exactly one webhook must match');
  return delivery.id;
}
