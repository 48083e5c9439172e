import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Slot } from '../../src/db/rate-limit-slots.ts';
import { createPermits } from '../../src/delivery/permits.ts';
import { requestSlot, SlotTooLate } from '../../src/delivery/request-slot.ts';
import type { AttemptResult } from '../../src/domain/attempt-result.ts';

const held: AttemptResult = { next: 'stop', status: 'held', attempt: null, seconds: null };
const parked: AttemptResult = { next: 'stop', status: 'deferred', attempt: null, seconds: null };
const until = new Date(1_000_000);

/** Requests slots until there is a result; the last slot comes again and again. */
async function request(slots: Slot[], stopAfter = Infinity) {
  const patience: number[] = [];
  let checks = 0;
  const result = await requestSlot({
    deliveryId: 'dlv_1',
    takeSlot: (patienceMs) => {
      patience.push(patienceMs);
      return Promise.resolve(slots[Math.min(patience.length, slots.length) - 1] ?? { is: 'changed' });
    },
    stop: () => Promise.resolve((checks += 1) > stopAfter ? held : null),
    deferred: ({ reason }) => ({ next: 'defer', at: '', until: '', reason }),
    parked: () => parked,
  });
  return { result, patience };
}

test('a slot that is free soon is waited for; one that is not is deferred', async () => {
  const startedAt = performance.now();
  const { result, patience } = await request([{ is: 'soon', waitMs: 60 }, { is: 'granted' }]);
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(55);
  expect([result, patience]).toMatchObject([{ isProbe: false, isCounted: true }, [250, 250]]);
  const slot: Slot = { is: 'deferred', at: until, until, reason: 'rate_limit' };
  expect((await request([slot])).result).toMatchObject({ next: 'defer', reason: 'rate_limit' });
});

test('such waits end: then the time is written, or it comes back', async () => {
  const soon = await request([
    { is: 'soon', waitMs: 760 },
    { is: 'deferred', at: until, until, reason: 'rate_limit' },
  ]);
  expect([soon.result, soon.patience]).toMatchObject([{ next: 'defer' }, [250, 0]]);
  const busy = await request([{ is: 'busy' }]);
  expect(busy.result).toEqual({ next: 'busy', seconds: 1 });
  expect(busy.patience.length).toBeLessThan(12);
});

test('a delivery that changed while it waited is not sent', async () => {
  expect((await request([{ is: 'soon', waitMs: 1 }], 0)).result).toEqual(held);
  expect((await request([{ is: 'busy' }], 1)).result).toEqual(held);
  expect((await request([{ is: 'parked' }])).result).toEqual(parked);
  await expect(request([{ is: 'changed' }])).rejects.toThrow('again and again');
});

test('a request that begins later than its slot allows is refused, at its edge', async () => {
  const grantAt = async (startBy?: number) => {
    const { result } = await request([{ is: 'granted', ...(startBy !== undefined && { startBy }) }]);
    if ('next' in result) throw new Error(result.next);
    return result;
  };
  const late = await grantAt(performance.now() + 20);
  late.begin();
  await delay(25);
  expect(late.begin).toThrow(SlotTooLate);
  expect((await grantAt()).begin).not.toThrow();
  expect((await request([{ is: 'granted', isProbe: true }])).result).toMatchObject({ isProbe: true });
});

test("a webhook's own limit of concurrent requests counts for permits once it is known", async () => {
  const permits = createPermits();
  const acquire = async () => {
    const permit = await permits.acquire('wh_1', false);
    if ('seconds' in permit) throw new Error('busy');
    return permit;
  };
  const [first, second] = [await acquire(), await acquire()];
  first.limitTo(1);
  let isGranted = false;
  const third = acquire().then((permit) => {
    isGranted = true;
    return permit;
  });
  first.release();
  await delay(10);
  expect(isGranted).toBe(false);
  second.release();
  (await third).limitTo(null);
  await acquire();
});
