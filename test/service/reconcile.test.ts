import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reconcileDue } from '../../src/dispatch/reconcile.ts';
import { newId } from '../../src/domain/ids.ts';
import type { Caller } from '../../src/temporal/client.ts';
import { taskQueue } from '../../workflows/contract.ts';
import { publishOne, waitForStatus } from '../kit/delivery-steps.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let webhookId: string;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    // One workflow each, so that the runs can be counted by the delivery's id.
    startService({ FLTR_DELIVERIES_PER_WORKFLOW: '1' }),
    startReceiver(),
  ]);
  webhookId = (await service.newWebhook(receiver.url)).webhook_id;
});
afterAll(() => stopAll(service, receiver));

const runsOf = async (id: string): Promise<number> => {
  let count = 0;
  for await (const _run of service.temporal.client.workflow.list({ query: `WorkflowId = '${id}'` }))
    count += 1;
  return count;
};

/** Its own workflow, as a process started it that died before it heard so. */
async function startUnseen(id: string): Promise<{ runId: string }> {
  const { firstExecutionRunId: runId } = await service.temporal.client.workflow.start('deliverEvent', {
    taskQueue,
    workflowId: id,
    args: [],
  });
  return { runId };
}

/** As the row was while its first attempt was under way. */
const setUnderWay = (id: string) =>
  service.pool.query(
    `update deliveries set status = 'pending', ended_at = null, run_id = null, attempt_count = 0,
       reconcile_at = now() - interval '1 second' where id = $1`,
    [id],
  );
const setDelivered = (id: string) =>
  service.pool.query(
    `update deliveries set status = 'delivered', ended_at = now(), attempt_count = 1, reconcile_at = null where id = $1`,
    [id],
  );

/** With the parts that a round needs only. */
const depsWith = (temporal: Parameters<typeof reconcileDue>[0]['temporal']) => ({
  pool: service.pool,
  log: pino({ level: 'silent' }),
  limits: { cap: 0, grantMs: 1000 },
  scheduleSeconds: [60],
  mayShare: () => true,
  onStarted: () => undefined,
  wakeDispatcher: () => undefined,
  giveWay: () => Promise.resolve(),
  temporal,
});

test('a delivery that ends between the claim and the look at its workflow is not started a second time', async () => {
  const id = await publishOne(service);
  await waitForStatus(service, id, 'delivered');
  await service.stopApp();
  await setUnderWay(id);
  let looks = 0;
  // The claim is made: only now the delivery ends.
  const temporal = () => {
    looks += 1;
    const withDeadline: Caller['connection']['withDeadline'] = async (deadline, request) => {
      await setDelivered(id);
      return service.temporal.connection.withDeadline(deadline, request);
    };
    return { ...service.temporal, connection: { withDeadline } };
  };
  await reconcileDue(depsWith(temporal), 'start');
  expect(looks).toBeGreaterThan(0);
  expect(await runsOf(id)).toBe(1);
  const { rows } = await service.pool.query(`select status from deliveries where id = $1`, [id]);
  expect(rows).toEqual([{ status: 'delivered' }]);
});

/** A delivery that its group has deferred by hours: its own workflow is due to be started. */
async function insertDeferred(): Promise<string> {
  const id = newId('dlv');
  await service.pool.query(
    `insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at, owner_id, reconcile_at,
       next_attempt_at, wait_reason)
     values ($1, $2, $3, $4, 'document.uploaded', 'pending', now(), $1, now(), now() + interval '5 hours', 'hourly_cap')`,
    [id, service.accountId, webhookId, newId('evt')],
  );
  return id;
}

/** As the check of a canceled delivery leaves it that finds no workflow. */
const setCanceled = (id: string) =>
  service.pool.query(
    `update deliveries set status = 'canceled', ended_at = now(), next_attempt_at = null, wait_reason = null,
       reconcile_at = null where id = $1`,
    [id],
  );

test('one that is canceled between the claim and the start of its workflow is not started', async () => {
  const id = await insertDeferred();
  const giveWay = async () => void (await setCanceled(id));
  await reconcileDue({ ...depsWith(() => service.temporal), giveWay }, 'start');
  expect(await runsOf(id)).toBe(0);
});

test('one that is canceled while its workflow starts is woken, so that it does not wait for hours', async () => {
  const id = await insertDeferred();
  const withDeadline: Caller['connection']['withDeadline'] = async (deadline, request) => {
    await setCanceled(id);
    return service.temporal.connection.withDeadline(deadline, request);
  };
  await reconcileDue(
    depsWith(() => ({ ...service.temporal, connection: { withDeadline } })),
    'start',
  );
  const { events } = await service.temporal.client.workflow.getHandle(id).fetchHistory();
  const signals = events?.flatMap(
    ({ workflowExecutionSignaledEventAttributes: signal }) => signal?.signalName ?? [],
  );
  expect(signals).toEqual(['wake']);
});

test('one whose start was not acknowledged is woken, and checked again half a minute later', async () => {
  // No worker runs any more: its workflow stays as it is.
  const id = newId('dlv');
  await service.pool.query(
    `insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at, owner_id, reconcile_at)
     values ($1, $2, $3, $4, 'document.uploaded', 'pending', now(), $1, now())`,
    [id, service.accountId, webhookId, newId('evt')],
  );
  const { runId } = await startUnseen(id);
  await reconcileDue(
    depsWith(() => service.temporal),
    'start',
  );
  const { rows } = await service.pool.query<{ runId: string; seconds: number }>(
    `select run_id as "runId", extract(epoch from reconcile_at - now())::float8 as seconds from deliveries where id = $1`,
    [id],
  );
  const [row] = rows;
  expect(row?.runId).toBe(runId);
  expect(row?.seconds).toBeGreaterThan(20);
  expect(row?.seconds).toBeLessThan(31);
});
