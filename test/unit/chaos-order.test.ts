import { expect, test } from 'vitest';
import { checkOrder } from '../../bench/chaos/check-order.ts';
import type { Event } from '../../bench/chaos/model.ts';
import type { Request } from '../../bench/chaos/receivers.ts';
import { newModel } from '../../bench/chaos/model.ts';
import { event, now, request, webhook } from '../kit/chaos-facts.ts';

/** Two events of one key, the first accepted before the second was sent. */
function findFaults(requests: Partial<Request>[], more: Partial<Event> = {}, kind = 'none'): string[] {
  const model = newModel(0);
  model.webhooks.push(webhook({ ordering: 'by_key' }));
  model.events.set('evt_1', event({ orderKey: 'a', ...more }));
  model.events.set(
    'evt_2',
    event({ id: 'evt_2', orderKey: 'a', ...more, sentAt: now - 3000, acceptedAt: now - 2900 }),
  );
  model.events.set('evt_b', event({ id: 'evt_b', orderKey: 'b' }));
  model.disturbances.push({ kind, from: now, to: now + 500, isGraceful: true });
  return checkOrder({ model, requests: requests.map((each) => request(each)) });
}
const sent = (eventId: string, at: number, endedAt = at + 10): Partial<Request> => ({
  eventId,
  at: now + at,
  endedAt: now + endedAt,
});

test('first attempts are in order of acceptance; retries and other keys do not matter', () => {
  expect(findFaults([sent('evt_1', 0), sent('evt_2', 100), sent('evt_1', 200)])).toEqual([]);
  expect(findFaults([sent('evt_b', 0, 900), sent('evt_1', 5), sent('evt_2', 20)])).toEqual([]);
  expect(findFaults([sent('evt_2', 0), sent('evt_1', 100)])).toHaveLength(1);
});

test('one whose acceptance is not known, or that a recovery found, may come at any time', () => {
  expect(findFaults([sent('evt_2', 0), sent('evt_1', 100)], { acceptedAt: null })).toEqual([]);
  expect(findFaults([sent('evt_2', 0), sent('evt_1', 100)], { deliveries: [] })).toEqual([]);
});

test('no two of a line are under way at once, unless a process was stopped for a while', () => {
  const overlap = [sent('evt_1', 0, 1000), sent('evt_2', 400)];
  expect(findFaults(overlap)).toHaveLength(1);
  expect(findFaults(overlap, {}, 'process paused')).toEqual([]);
  // A second request of the same delivery, after a crash.
  expect(findFaults([sent('evt_1', 0, 1000), sent('evt_1', 400), sent('evt_2', 1100)])).toEqual([]);
});
