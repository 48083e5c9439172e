import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Startable } from '../../src/db/deliveries-table.ts';
import type { Pool } from '../../src/db/pool.ts';
import { createDispatcher } from '../../src/dispatch/dispatcher.ts';
import { createFirstAttempts } from '../../src/dispatch/first-attempts.ts';
import { giveWayMs } from '../../src/dispatch/limits.ts';
import { createStartGate } from '../../src/dispatch/start-gate.ts';
import type { Caller } from '../../src/temporal/client.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** How many of the calls have passed. */
function countPassed(pass: () => Promise<void>, calls: number): () => number {
  let passed = 0;
  for (let call = 0; call < calls; call += 1) void pass().then(() => (passed += 1));
  return () => passed;
}

test('starts that are not urgent pass at once while nothing is urgent, else one after the other', async () => {
  let isBusy = false;
  const gate = createStartGate(() => isBusy);
  const atOnce = countPassed(gate.pass, 20);
  await vi.advanceTimersByTimeAsync(0);
  expect(atOnce()).toBe(20);

  isBusy = true;
  const passed = countPassed(gate.pass, 20);
  await vi.advanceTimersByTimeAsync(giveWayMs - 1);
  expect(passed()).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(passed()).toBe(1);
  // Never more than one in that time, and never none.
  await vi.advanceTimersByTimeAsync(4 * giveWayMs);
  expect(passed()).toBe(5);
  gate.look();
  await vi.advanceTimersByTimeAsync(0);
  expect(passed()).toBe(5);

  isBusy = false;
  gate.look();
  await vi.advanceTimersByTimeAsync(0);
  expect(passed()).toBe(20);
});

/** A dispatcher whose starts the test ends; `wh_slow` is known to hang. */
function startDispatcher() {
  const acknowledge: (() => void)[] = [];
  const client = {
    workflow: { start: () => new Promise((resolve) => void acknowledge.push(() => resolve({}))) },
  };
  const connection = { withDeadline: (_: number, call: () => unknown) => call() };
  const onQueued = vi.fn();
  const dispatcher = createDispatcher({
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- no row is read
    pool: { connect: () => new Promise(() => undefined) } as unknown as Pool,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the parts that a start uses
    temporal: () => ({ client, connection, isWorkers: true }) as unknown as Caller,
    log: pino({ level: 'silent' }),
    scheduleSeconds: [60],
    mayShare: (webhookId) => webhookId !== 'wh_slow',
    onStarted: () => undefined,
    deliveriesPerWorkflow: 64,
    firstAttempts: createFirstAttempts(),
    onQueued,
  });
  return { dispatcher, acknowledge, onQueued };
}
const delivery = (id: string, webhookId: string): Startable => ({
  id,
  webhookId,
  accountId: 'acc_1',
  eventId: 'evt_1',
  eventType: 'document.deleted',
  attemptCount: 0,
  retriesUsed: 0,
  nextAttemptAt: null,
  waitReason: null,
  runId: null,
});

test('while a first attempt is being started, starts that are not urgent give way to it', async () => {
  const { dispatcher, acknowledge } = startDispatcher();
  const deliveries = [delivery('dlv_1', 'wh_1')];
  dispatcher.reserve(deliveries).committed(deliveries);
  expect(acknowledge).toHaveLength(1);
  const passed = countPassed(dispatcher.giveWay, 5);
  await vi.advanceTimersByTimeAsync(giveWayMs - 1);
  expect(passed()).toBe(0);
  acknowledge[0]?.();
  // The start stays in flight until its request is sent, or for a while.
  await vi.advanceTimersByTimeAsync(1);
  expect(passed()).toBe(1);
  await vi.advanceTimersByTimeAsync(1000);
  expect(passed()).toBe(5);
});

test('a delivery to a webhook that hangs is queued with a workflow of its own, and uses no capacity', () => {
  const { dispatcher, acknowledge, onQueued } = startDispatcher();
  const deliveries = [
    ...['dlv_1', 'dlv_2', 'dlv_3'].map((id) => delivery(id, 'wh_slow')),
    delivery('dlv_4', 'wh_1'),
  ];
  const reservation = dispatcher.reserve(deliveries);
  expect([...reservation.owners]).toEqual([
    ['dlv_1', { id: 'dlv_1', isQueued: true }],
    ['dlv_2', { id: 'dlv_2', isQueued: true }],
    ['dlv_3', { id: 'dlv_3', isQueued: true }],
    ['dlv_4', { id: 'dlv_4', isQueued: false }],
  ]);
  reservation.committed(deliveries);
  expect(onQueued).toHaveBeenCalledTimes(1);
  expect(acknowledge).toHaveLength(1);
  // Nor does it make later ones wait until the rows without an owner are read.
  const { owners } = dispatcher.reserve([delivery('dlv_5', 'wh_1')]);
  expect([...owners]).toEqual([['dlv_5', { id: 'dlv_5', isQueued: false }]]);
});

test('a webhook whose policy fits no group: its deliveries are started at once while there is capacity, else queued', () => {
  const { dispatcher, acknowledge } = startDispatcher();
  const alone = (id: string) => ({ ...delivery(id, 'wh_alone'), mayShare: false });
  const few = [alone('dlv_1'), delivery('dlv_2', 'wh_1')];
  const reservation = dispatcher.reserve(few);
  expect([...reservation.owners.values()]).toEqual([
    { id: 'dlv_1', isQueued: false },
    { id: 'dlv_2', isQueued: false },
  ]);
  reservation.committed(few);
  expect(acknowledge).toHaveLength(2);
  const many = Array.from({ length: 200 }, (_, index) => delivery(`dlv_many_${index}`, 'wh_1'));
  const { owners } = dispatcher.reserve([alone('dlv_3'), ...many]);
  expect(owners.get('dlv_3')).toEqual({ id: 'dlv_3', isQueued: true });
  expect(owners.get('dlv_many_0')?.id).toMatch(/^grp_/);
});
