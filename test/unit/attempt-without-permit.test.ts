import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, test } from 'vitest';
import { createAttemptDelivery } from '../../activities/attempt-deliveries.ts';
import type { Pool } from '../../src/db/pool.ts';
import { createMakeAttempt, type AttemptDeps } from '../../src/delivery/attempt.ts';
import { createPermits } from '../../src/delivery/permits.ts';
import { SenderBusy } from '../../src/outbound/sender-busy.ts';

test('a delivery for which the sender has no capacity is postponed without any write', async () => {
  const environment = new MockActivityEnvironment();
  const ownerId = environment.context.info.workflowExecution?.workflowId;
  const statements: string[] = [];
  const query = ({ name }: { name: string }) => {
    statements.push(name);
    const row = {
      deliveryId: 'dlv_1',
      number: 2,
      status: 'pending',
      isActive: true,
      body: Buffer.from('{}'),
    };
    return Promise.resolve({ rows: [{ ...row, ownerId, format: 'fltr', attemptId: null }] });
  };
  const fail = () => Promise.reject(new SenderBusy());
  const makeAttempt = createMakeAttempt({
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what it uses before the request
    ...({
      pool: { query } as unknown as Pool,
      sender: { send: fail, close: fail },
    } as unknown as AttemptDeps),
    limits: { cap: 0, grantMs: 0 },
    permits: createPermits(),
  });
  const attempt = createAttemptDelivery({ makeAttempt, onFirstAttempts: () => {} });
  const input = {
    deliveryId: 'dlv_1',
    webhookId: 'wh_1',
    number: 2,
    scheduledSeconds: 60,
    trigger: 'due' as const,
    notes: [],
  };
  expect(await environment.run(attempt, input)).toEqual({ next: 'busy', seconds: 5 });
  expect(statements).toEqual(['load-attempts']);
});
