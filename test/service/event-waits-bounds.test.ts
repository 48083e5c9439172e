import { expect, onTestFinished, test } from 'vitest';
import { createEventWaits } from '../../src/api/event-waits.ts';
import type { ChangeListener, Changes } from '../../src/db/changes.ts';
import { newId } from '../../src/domain/ids.ts';
import { createMigratedDatabase } from '../kit/database.ts';

/** Changes that nobody reports. */
const silent = (): Changes & { listener: ChangeListener | null } => ({
  listener: null,
  mark: () => undefined,
  touch: () => undefined,
  isConnected: () => false,
  listen(to) {
    this.listener = to;
  },
  watch: () => Promise.resolve(),
  unwatch: () => undefined,
  close: () => Promise.resolve(),
});

async function open(limits: Partial<Parameters<typeof createEventWaits>[0]>) {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const { pool } = database;
  await pool.query(`insert into accounts (id, name) values ('acc_1', 'test')`);
  let looks = 0;
  const db = {
    query: ((...given: Parameters<typeof pool.query>) => {
      looks += 1;
      return pool.query(...given);
    }) as typeof pool.query,
  };
  const changes = silent();
  const waits = createEventWaits({
    db,
    changes,
    onError: (error) => expect.unreachable(String(error)),
    ...limits,
  });
  onTestFinished(() => waits.close());
  /** An event with a delivery that waits. */
  const newEvent = async () => {
    const eventId = newId('evt');
    const id = newId('dlv');
    await pool.query(
      `insert into events (account_id, id, type, "timestamp") values ('acc_1', $1, 'order.paid', '2026-01-01T00:00:00Z')`,
      [eventId],
    );
    await pool.query(
      `insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at)
       values ($1, 'acc_1', 'wh_1', $2, 'order.paid', 'pending', now())`,
      [id, eventId],
    );
    return { eventId, deliveries: [{ id, webhook_id: 'wh_1', status: 'pending' as const }], seconds: 60 };
  };
  const end = (eventId: string) =>
    pool.query(`update deliveries set status = 'delivered', ended_at = now() where event_id = $1`, [eventId]);
  return { waits, changes, newEvent, end, looks: () => looks };
}
const never = new AbortController().signal;

test('a process has so many places, an account fewer; one that is left is free again', async () => {
  const { waits } = await open({ maxWaits: 3, maxWaitsOfAccount: 2 });
  const [first] = [waits.open('acc_1'), waits.open('acc_1')];
  expect(() => waits.open('acc_1')).toThrow('2 requests of the account wait');
  waits.open('acc_2');
  expect(() => waits.open('acc_3')).toThrow('Too many requests wait');
  first?.leave();
  first?.leave();
  expect(waits.count()).toBe(2);
  waits.open('acc_3');
  expect(() => waits.open('acc_2')).toThrow('Too many requests wait');
});

test('without any message of a change a wait ends by the poll, which is one statement for all', async () => {
  const { waits, newEvent, end, looks } = await open({ pollMs: 300, pauseMs: 10 });
  const events = await Promise.all(Array.from({ length: 20 }, newEvent));
  const waiting = events.map((event) => waits.open('acc_1').until(event, never));
  await new Promise((resolve) => setTimeout(resolve, 1000));
  expect(looks()).toBeLessThan(10);
  for (const { eventId } of events) await end(eventId);
  await Promise.all(waiting);
  expect(waits.count()).toBe(0);
});

test('many changes cost few statements', async () => {
  const { waits, changes, newEvent, end, looks } = await open({ pollMs: 60_000, pauseMs: 200 });
  const event = await newEvent();
  const waiting = waits.open('acc_1').until(event, never);
  const startedAt = performance.now();
  for (let count = 0; count < 200; count += 1) {
    changes.listener?.onChange('acc_1', { topics: ['deliveries'], ids: null });
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  expect(looks()).toBeLessThanOrEqual(3 + (performance.now() - startedAt) / 200);
  // Of other events, none.
  const before = looks();
  for (let count = 0; count < 50; count += 1) {
    changes.listener?.onChange('acc_1', { topics: ['deliveries'], ids: ['evt_other', 'dlv_other'] });
    changes.listener?.onChange('acc_2', { topics: ['deliveries'], ids: null });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(looks() - before).toBeLessThanOrEqual(1);
  await end(event.eventId);
  changes.listener?.onChange('acc_1', { topics: ['deliveries'], ids: [event.deliveries[0]?.id ?? ''] });
  await waiting;
});

test('closing ends all waits, and those that come later', async () => {
  const { waits, newEvent } = await open({});
  const event = await newEvent();
  const waiting = waits.open('acc_1').until(event, never);
  const late = waits.open('acc_1');
  await waits.close();
  await waiting;
  await late.until(event, never);
  expect(waits.count()).toBe(0);
});
