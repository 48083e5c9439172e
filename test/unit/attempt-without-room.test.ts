import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, test } from 'vitest';
import { createAttemptDelivery } from '../../activities/attempt-delivery.ts';
import { createTurns } from '../../activities/turns.ts';
import type { AttemptContext } from '../../src/db/load-attempts.ts';
import { SenderBusy } from '../../src/outbound/sender-busy.ts';

test('a delivery for which the sender has no room comes back, with nothing written', async () => {
  const attempt = createAttemptDelivery({
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is read of it before the request
    load: () => Promise.resolve({ recorded: null, status: 'pending' } as AttemptContext),
    makeAttempt: () => Promise.reject(new SenderBusy()),
    turns: createTurns(),
    onFirstAttempts: () => {},
  });
  const input = {
    deliveryId: 'dlv_1',
    webhookId: 'wh_1',
    number: 2,
    scheduledSeconds: 60,
    trigger: 'due' as const,
    notes: [],
  };
  expect(await new MockActivityEnvironment().run(attempt, input)).toEqual({ next: 'busy', seconds: 5 });
});
