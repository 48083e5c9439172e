import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reconcileDue } from '../src/dispatch/reconcile.ts';
import { publishOne, waitForStatus } from './kit/delivery.ts';
import { startReceiver, type Receiver } from './kit/receiver.ts';
import { startService, type Service } from './kit/service.ts';

let service: Service;
let receiver: Receiver;
beforeAll(async () => {
  [service, receiver] = await Promise.all([
    // One workflow each, so that the runs can be counted by the delivery's id.
    startService({ FLTR_DELIVERIES_PER_WORKFLOW: '1' }),
    startReceiver(),
  ]);
  await service.newWebhook(receiver.url);
});
afterAll(async () => {
  await service.stop();
  await receiver.close();
});

const runsOf = async (id: string): Promise<number> => {
  let count = 0;
  for await (const _run of service.temporal.client.workflow.list({ query: `WorkflowId = '${id}'` }))
    count += 1;
  return count;
};

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

test('a delivery that ends between the claim and the look at its workflow is not started a second time', async () => {
  const id = await publishOne(service);
  await waitForStatus(service, id, 'delivered');
  await service.stopApp();
  await setUnderWay(id);
  let looks = 0;
  await reconcileDue(
    {
      pool: service.pool,
      log: pino({ level: 'silent' }),
      limits: { cap: 0, grantMs: 1000 },
      scheduleSeconds: [60],
      mayShare: () => true,
      onStarted: () => undefined,
      wakeDispatcher: () => undefined,
      // The claim is made: only now the delivery ends.
      temporal: () => {
        looks += 1;
        return {
          ...service.temporal,
          connection: {
            withDeadline: async (deadline, call) => {
              await setDelivered(id);
              return service.temporal.connection.withDeadline(deadline, call);
            },
          },
        };
      },
    },
    'start',
  );
  expect(looks).toBeGreaterThan(0);
  expect(await runsOf(id)).toBe(1);
  const { rows } = await service.pool.query(`select status from deliveries where id = $1`, [id]);
  expect(rows).toEqual([{ status: 'delivered' }]);
});
