import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, test } from 'vitest';
import { createAttemptDelivery } from '../activities/attempt-delivery.ts';
import { createAttemptGroup } from '../activities/attempt-group.ts';
import { createTurns } from '../activities/turns.ts';
import type { AttemptMaterial } from '../src/db/load-attempts.ts';
import { SenderBusy } from '../src/outbound/sender-busy.ts';

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is read of it before the request
const material = { carriedBy: null, recorded: null, status: 'pending' } as AttemptMaterial;
const deps = {
  load: () => Promise.resolve(material),
  makeAttempt: () => Promise.reject(new SenderBusy()),
  turns: createTurns(),
  onFirstAttempts: () => {},
};

test('a delivery for which the sender has no room comes back, with nothing written', async () => {
  const attempt = createAttemptDelivery(deps);
  const input = { deliveryId: 'dlv_1', webhookId: 'wh_1', number: 2, scheduledSeconds: 60, notes: [] };
  expect(await new MockActivityEnvironment().run(attempt, input)).toEqual({ next: 'busy', seconds: 5 });
});

test('in a group it is left to its own workflow', async () => {
  const attempt = createAttemptGroup(deps);
  const result = await new MockActivityEnvironment().run(attempt, {
    deliveries: [{ id: 'dlv_1', webhookId: 'wh_1' }],
    releasedIds: [],
    scheduledSeconds: 60,
    startedAt: '2026-01-01T00:00:00.000Z',
  });
  expect(result).toEqual([{ deliveryId: 'dlv_1', result: null }]);
});
