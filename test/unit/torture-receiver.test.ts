import { expect, test } from 'vitest';
import { countOutOfOrder } from '../../bench/torture-receiver.ts';

test('requests that came before an earlier event of their order key, or beside another one, are counted', () => {
  const firstRequests = new Map([
    [1, ['evt_0_1', 'evt_1_2', 'evt_0_9', 'evt_0_8', 'evt_1_3', 'evt_01k8outbox']],
    [2, ['evt_0_2', 'evt_0_1']],
  ]);
  const overlaps = [
    { webhook: 1, event: 'evt_0_9' },
    { webhook: 2, event: 'evt_0_2' },
    // Without an order key.
    { webhook: 1, event: 'evt_01k8outbox' },
  ];
  expect(countOutOfOrder({ firstRequests, overlaps }, 1)).toBe(2);
  expect(countOutOfOrder({ firstRequests, overlaps: [] }, 1)).toBe(1);
  expect(countOutOfOrder({ firstRequests, overlaps: [] }, 3)).toBe(0);
});
