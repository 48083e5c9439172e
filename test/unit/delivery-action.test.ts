import { expect, test } from 'vitest';
import { deliveryStatuses } from '../../src/contracts/delivery.ts';
import { deliveryActions, statusesOf } from '../../src/contracts/operation.ts';
import { decideAction, pacing, type ActionFacts } from '../../src/domain/delivery-action.ts';

const usual: Omit<ActionFacts, 'status'> = {
  isMarked: false,
  isBehindOther: false,
  blocksLine: false,
  webhook: 'active',
  hasBody: true,
  isExpired: false,
};

test.each(deliveryActions)(
  '%s is done in its states, and fails in each other one with its name',
  (action) => {
    for (const status of deliveryStatuses) {
      const expected = statusesOf[action].includes(status) ? { is: 'act' } : { is: 'fail', reason: status };
      // A retry of a waiting delivery is always possible; `resend` does it, too, though nothing selects it.
      if (action === 'resend' && (status === 'pending' || status === 'retrying')) continue;
      expect([status, decideAction(action, { ...usual, status })]).toEqual([status, expected]);
    }
  },
);

test('a delivery that this operation marked, and that has ended since, is done', () => {
  expect(decideAction('retry', { ...usual, status: 'failed', isMarked: true })).toEqual({ is: 'done' });
  expect(decideAction('resend', { ...usual, status: 'delivered', isMarked: true })).toEqual({ is: 'done' });
  expect(decideAction('cancel', { ...usual, status: 'canceled', isMarked: true })).toEqual({ is: 'done' });
  expect(decideAction('cancel', { ...usual, status: 'delivered', isMarked: true })).toEqual({
    is: 'fail',
    reason: 'delivered',
  });
  // It may not have been signaled: once more does no harm.
  expect(decideAction('retry', { ...usual, status: 'retrying', isMarked: true })).toEqual({ is: 'act' });
});

test.each([
  ['not_active', 'webhook_not_active'],
  ['deleted', 'webhook_deleted'],
] as const)(
  'nothing is sent to a webhook that is %s; waiting deliveries can be canceled',
  (webhook, reason) => {
    const facts = { ...usual, webhook, status: 'failed' } as const;
    expect(decideAction('retry', facts)).toEqual({ is: 'fail', reason });
    expect(decideAction('resend', facts)).toEqual({ is: 'fail', reason });
    expect(decideAction('cancel', { ...facts, status: 'held' })).toEqual({ is: 'act' });
  },
);

test('an event without its body is not sent again', () => {
  expect(decideAction('retry', { ...usual, status: 'failed', hasBody: false })).toEqual({
    is: 'fail',
    reason: 'payload_removed',
  });
});

test('at any rate, no second has more actions than that, and few less', () => {
  for (let perSecond = 1; perSecond <= 1000; perSecond += 1) {
    const { pageSize, pauseMs } = pacing(perSecond);
    const pagesInASecond = Math.ceil(1000 / pauseMs);
    expect(pageSize * pagesInASecond).toBeLessThanOrEqual(perSecond);
    expect(pageSize).toBeLessThanOrEqual(250);
    expect((pageSize * 1000) / pauseMs).toBeGreaterThan(perSecond * 0.95 - 1);
  }
});

test('one that waits for another one of its line can only be canceled; one that blocks its line, too', () => {
  const waiting = { ...usual, status: 'pending', isBehindOther: true } as const;
  for (const action of ['retry', 'resend', 'reschedule'] as const) {
    expect(decideAction(action, waiting)).toEqual({ is: 'fail', reason: 'waits_in_order' });
    // It was sent again by this operation.
    expect(decideAction(action, { ...waiting, isMarked: true })).toEqual({ is: 'done' });
  }
  expect(decideAction('cancel', waiting)).toEqual({ is: 'act' });
  expect(decideAction('cancel', { ...usual, status: 'failed', blocksLine: true })).toEqual({ is: 'act' });
});

test('a delivery whose expires_at has passed is neither sent again nor moved; it can be canceled', () => {
  const expired = { ...usual, isExpired: true };
  const fails = { is: 'fail', reason: 'expired' };
  expect(decideAction('retry', { ...expired, status: 'failed' })).toEqual(fails);
  expect(decideAction('resend', { ...expired, status: 'delivered' })).toEqual(fails);
  expect(decideAction('reschedule', { ...expired, status: 'retrying' })).toEqual(fails);
  expect(decideAction('cancel', { ...expired, status: 'pending' })).toEqual({ is: 'act' });
  expect(decideAction('retry', { ...expired, status: 'delivered' })).toEqual({
    is: 'fail',
    reason: 'delivered',
  });
});
