import { expect, test } from 'vitest';
import type { DeliveryStatus } from '../../src/contracts/delivery.ts';
import { undeliveredOf } from '../../src/dashboard/log/undelivered.ts';

const webhooks = [
  { webhook_id: 'wh_active', active: true, auto_disabled: null },
  { webhook_id: 'wh_paused', active: false, auto_disabled: null },
];
const delivery = (id: string, status: DeliveryStatus, webhook = 'wh_active') => ({
  id,
  status,
  webhook_id: webhook,
});
const undelivered = (deliveries: ReturnType<typeof delivery>[], body: string | null = '{}') =>
  undeliveredOf({ deliveries, body }, webhooks);

test('the deliveries of an event that can be retried are chosen; the others are counted', () => {
  expect(
    undelivered([
      delivery('dlv_1', 'delivered'),
      delivery('dlv_2', 'failed'),
      delivery('dlv_3', 'retrying'),
      delivery('dlv_4', 'pending'),
      delivery('dlv_5', 'canceled'),
      delivery('dlv_6', 'failed', 'wh_paused'),
      delivery('dlv_7', 'held', 'wh_paused'),
      delivery('dlv_8', 'failed', 'wh_deleted'),
    ]),
  ).toEqual({ filter: { ids: ['dlv_2', 'dlv_3', 'dlv_4'] }, leftOut: 3 });
});

test('there is nothing to retry, or a reason why nothing can be', () => {
  expect(undelivered([])).toBeUndefined();
  expect(undelivered([delivery('dlv_1', 'delivered'), delivery('dlv_2', 'canceled')])).toBeUndefined();
  expect(undelivered([delivery('dlv_1', 'failed', 'wh_paused')])).toEqual({
    reason: 'The webhook is paused. Activate it first.',
  });
  expect(undelivered([delivery('dlv_1', 'failed')], null)).toEqual({
    reason: 'The payload was removed: its retention period ended, or its event was expunged.',
  });
});

test('one operation has at most 1,000 deliveries', () => {
  const many = Array.from({ length: 1200 }, (_, index) => delivery(`dlv_${index}`, 'failed'));
  const target = undelivered(many);
  expect(target && 'filter' in target && [target.filter.ids?.length, target.leftOut]).toEqual([1000, 200]);
});
