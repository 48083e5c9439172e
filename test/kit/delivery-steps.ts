import type { Delivery } from '../../src/contracts/delivery.ts';
import type { Pool } from '../../src/db/pool.ts';
import { until, type Service } from './service.ts';

export async function readDelivery(service: Service, id: string): Promise<Delivery> {
  const response = await service.call<Delivery>('GET', `/v1/deliveries/${id}`);
  if (response.status !== 200) throw new Error(response.text);
  return response.body;
}

type Row = { status: Delivery['status']; attempts: number; workflowId: string | null };

async function readRow({ pool }: Service, id: string): Promise<Row | undefined> {
  const { rows } = await pool.query<Row>(
    `select status, (select count(*)::int from attempts where delivery_id = d.id) as attempts,
       case when owner_id is not null or run_id is not null then coalesce(owner_id, id) end as "workflowId"
     from deliveries d where id = $1`,
    [id],
  );
  return rows[0];
}

/**
 * Waits for a delivery's status, and after an end also for its workflow's, so that both can be compared. It looks into the
 * database, because for each response the API reads a workflow's history, and returns the API's response then.
 */
export async function waitForStatus(
  service: Service,
  id: string,
  status: Delivery['status'],
  attempts?: number,
): Promise<Delivery> {
  const row = await until(
    () => readRow(service, id),
    (now) => now?.status === status && (attempts === undefined || now.attempts === attempts),
  );
  const workflowId = row?.workflowId ?? null;
  // One that expired may have none.
  if (workflowId !== null && (status === 'delivered' || status === 'failed'))
    await endOf(service, workflowId);
  return until(
    () => readDelivery(service, id),
    (delivery) =>
      delivery.status === status && (attempts === undefined || delivery.attempts.length === attempts),
  );
}

/** Waits until all of these deliveries have a status, each after so many attempts. */
export async function waitForAll(
  { pool }: Service,
  ids: readonly string[],
  status: Delivery['status'],
  attempts: number,
): Promise<void> {
  await until(
    async () =>
      (
        await pool.query<{ count: number }>(
          `select count(*)::int as count from deliveries where id = any($1) and status = $2
             and (select count(*) from attempts where delivery_id = deliveries.id) = $3`,
          [ids, status, attempts],
        )
      ).rows[0]?.count,
    (count) => count === ids.length,
  );
}

async function endOf({ temporal }: Service, workflowId: string): Promise<string> {
  const handle = temporal.client.workflow.getHandle(workflowId);
  const description = await until(
    () => handle.describe(),
    ({ status }) => status.name !== 'RUNNING',
  );
  return description.status.name;
}

/** How a workflow ended: the delivery's owner, or another one by its id. */
export async function workflowStatus(service: Service, id: string): Promise<string> {
  return endOf(service, id.startsWith('dlv_') ? (await readDelivery(service, id)).workflow.id : id);
}

/** Publishes one event to the account's only webhook. Returns the delivery's id. */
export async function publishOne(service: Service, more: Record<string, unknown> = {}): Promise<string> {
  const { deliveries } = await service.publish(more);
  const [delivery] = deliveries;
  if (!delivery || deliveries.length !== 1) throw new Error('Exactly one webhook must match');
  return delivery.id;
}

/** How many deliveries each status has. */
export async function countByStatus(pool: Pool): Promise<Record<string, number>> {
  const { rows } = await pool.query<{ status: string; count: number }>(
    `select status, count(*)::int as count from deliveries group by status`,
  );
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
}
