import { setTimeout as delay } from 'node:timers/promises';
import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, test, vi } from 'vitest';
import { createAttemptDelivery, createAttemptGroup } from '../../activities/attempt-deliveries.ts';
import type { Pool } from '../../src/db/pool.ts';
import { createMakeAttempt, type AttemptDeps, type MakeAttempt } from '../../src/delivery/attempt.ts';
import { createPermits } from '../../src/delivery/permits.ts';
import { SenderBusy } from '../../src/outbound/sender-busy.ts';
import type { Sender } from '../../src/outbound/sender.ts';

/**
 * A pool that loads any delivery to one webhook, and never comes to an end with recording one.
 *
 * @param cap the setting
 * @param ownCap the limit of the webhook's account
 */
function startFake(send: Sender['send'], ownerId: string, cap = 0, ownCap = cap) {
  const statements: { name: string; ids: string[] }[] = [];
  const query = ({ name, values: [ids] }: { name: string; values: [string[]] }) => {
    statements.push({ name, ids });
    if (name !== 'load-attempts') return new Promise(() => undefined);
    const row = { number: 1, status: 'pending', isActive: true, body: Buffer.from('{}'), webhookId: 'wh_1' };
    const more = {
      eventType: 'document.deleted',
      format: 'fltr',
      attemptId: null,
      cap: ownCap,
    };
    const of = (deliveryId: string) => ({ ...row, deliveryId, ownerId, ...more });
    return Promise.resolve({ rows: ids.map(of) });
  };
  const permits = createPermits();
  const makeAttempt = createMakeAttempt({
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the parts that it uses before it records
    ...({ pool: { query } as unknown as Pool, sender: { send }, headerStyle: {} } as unknown as AttemptDeps),
    limits: { cap, grantMs: 0 },
    scheduleSeconds: [],
    permits,
  });
  return { makeAttempt, permits, statements };
}

const inputOf = (deliveryId: string) => ({
  deliveryId,
  webhookId: 'wh_1',
  number: 1,
  scheduledSeconds: 60,
  trigger: 'due' as const,
  notes: [],
});
const requestOf = (deliveryId: string, workflowId: string, isGrouped: boolean) => ({
  ...inputOf(deliveryId),
  run: { workflowId, runId: 'run_1' },
  isGrouped,
  onSent: () => {},
});
const changes = { mark: () => undefined, touch: () => undefined };
const idsOf = (count: number) => Array.from({ length: count }, (_, index) => `dlv_${index}`);

test('a delivery for which the sender has no capacity is postponed without any write', async () => {
  const environment = new MockActivityEnvironment();
  const ownerId = environment.context.info.workflowExecution?.workflowId ?? '';
  const { makeAttempt, statements } = startFake(() => Promise.reject(new SenderBusy()), ownerId);
  const attempt = createAttemptDelivery({ changes, makeAttempt, onFirstAttempts: () => {} });
  expect(await environment.run(attempt, inputOf('dlv_1'))).toEqual({ next: 'busy', seconds: 5 });
  expect(statements.map(({ name }) => name)).toEqual(['load-attempts']);
});

const delivers = () =>
  vi.fn(() =>
    Promise.resolve({
      kind: 'responded' as const,
      statusCode: 200,
      headers: {},
      body: Buffer.alloc(0),
      truncated: false,
      startedAt: new Date(),
      durationMs: 1,
    }),
  );
/** The result of `read` five seconds from now. */
function inFiveSeconds<T>(read: () => T): T {
  vi.useFakeTimers({ now: Date.now() + 5000, toFake: ['Date'] });
  try {
    return read();
  } finally {
    vi.useRealTimers();
  }
}

test('a permit covers the request alone: while attempts are being recorded, others are sent', async () => {
  const send = delivers();
  const { makeAttempt, permits } = startFake(send, 'dlv_0');
  for (const id of idsOf(40)) void makeAttempt(requestOf(id, 'dlv_0', false));
  await vi.waitFor(() => expect(send).toHaveBeenCalledTimes(40));
  // Nor does a database that stalls make the webhook look like one that hangs.
  expect(inFiveSeconds(() => permits.mayShare('wh_1'))).toBe(true);
});

test('without a cap of its own where the setting is one, a permit covers the request alone too', async () => {
  const send = delivers();
  const { makeAttempt } = startFake(send, 'grp_1', 1000, 0);
  for (const id of idsOf(40)) void makeAttempt(requestOf(id, 'grp_1', true));
  await vi.waitFor(() => expect(send).toHaveBeenCalledTimes(40));
});

test.each([
  { isGrouped: true, cap: 1000 },
  { isGrouped: false, cap: 1000 },
  { isGrouped: true, cap: 0 },
  { isGrouped: false, cap: 0 },
])(
  'with an hourly cap, no more than 20 attempts of a webhook are loaded and not recorded (in a group: $isGrouped, setting: $cap)',
  async ({ isGrouped, cap }) => {
    const send = delivers();
    const { makeAttempt, permits, statements } = startFake(send, 'grp_1', cap, 1000);
    for (const id of idsOf(40)) void makeAttempt(requestOf(id, 'grp_1', isGrouped));
    await vi.waitFor(() => expect(statements.some(({ name }) => name === 'record-attempts')).toBe(true));
    await delay(100);
    expect(send).toHaveBeenCalledTimes(20);
    const loaded = statements.filter(({ name }) => name === 'load-attempts').flatMap(({ ids }) => ids);
    // A group's first look shows the cap. The webhook is loaded again with a permit, and that counts.
    const early = isGrouped && cap === 0 ? idsOf(40) : [];
    expect(loaded).toEqual([...early, ...idsOf(20)]);
    expect(inFiveSeconds(() => permits.mayShare('wh_1'))).toBe(true);
  },
);

test('the attempts of a group load together, and load again after a long wait for a permit', async () => {
  const ends: (() => void)[] = [];
  const send = vi.fn(() => new Promise<never>((_, reject) => void ends.push(() => reject(new SenderBusy()))));
  const { makeAttempt, statements } = startFake(send, 'grp_1');
  const ids = idsOf(40);
  const attempts = ids.map((id) => makeAttempt(requestOf(id, 'grp_1', true)));
  await vi.waitFor(() => expect(send).toHaveBeenCalledTimes(20));
  expect(statements).toEqual([{ name: 'load-attempts', ids }]);
  // A permit that is free soon: the loaded webhook is used.
  ends[0]?.();
  await vi.waitFor(() => expect(send).toHaveBeenCalledTimes(21));
  expect(statements).toHaveLength(1);
  vi.useFakeTimers({ now: Date.now() + 101, toFake: ['Date'] });
  try {
    for (const end of ends.slice(1)) end();
    await vi.waitFor(() => expect(send).toHaveBeenCalledTimes(40));
  } finally {
    vi.useRealTimers();
  }
  expect(statements.slice(1).flatMap(({ ids: loaded }) => loaded)).toEqual(ids.slice(21));
  for (const end of ends) end();
  expect(await Promise.all(attempts)).toEqual(ids.map(() => ({ next: 'busy', seconds: 5 })));
});

test('an attempt is sent when its request begins, long before its response', async () => {
  const send = vi.fn<Sender['send']>(({ headers }) => {
    // Nothing is signed here.
    if (typeof headers === 'function') expect(() => headers(new Date())).toThrow();
    return new Promise(() => undefined);
  });
  const { makeAttempt } = startFake(send, 'grp_1');
  const onSent = vi.fn();
  void makeAttempt({ ...requestOf('dlv_1', 'grp_1', true), onSent });
  await vi.waitFor(() => expect(send).toHaveBeenCalledTimes(1));
  expect(onSent).toHaveBeenCalledTimes(1);
});

test('the first attempts of a group count as made when the last one is sent, though receivers hang', async () => {
  const environment = new MockActivityEnvironment();
  const under = new Map<string, () => void>();
  const makeAttempt: MakeAttempt = ({ deliveryId, onSent }) => {
    under.set(deliveryId, onSent);
    // One is canceled meanwhile: it is never sent.
    const stop = { next: 'stop', status: 'ended', attempt: null, seconds: null } as const;
    return deliveryId === 'dlv_0' ? Promise.resolve(stop) : new Promise(() => undefined);
  };
  const onFirstAttempts = vi.fn();
  const group = createAttemptGroup({
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- no statement is made before all have ended
    pool: {} as Pool,
    permits: createPermits(),
    changes,
    makeAttempt,
    onFirstAttempts,
    wakeStarts: () => {},
  });
  const deliveries = idsOf(3).map((id) => ({ id, webhookId: 'wh_1' }));
  void environment.run(group, { deliveries, scheduledSeconds: 60, startedAt: new Date().toISOString() });
  await vi.waitFor(() => expect(under.size).toBe(3));
  under.get('dlv_1')?.();
  under.get('dlv_1')?.();
  await delay(20);
  expect(onFirstAttempts).not.toHaveBeenCalled();
  under.get('dlv_2')?.();
  expect(onFirstAttempts).toHaveBeenCalledTimes(1);
});
