import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkQueue } from '../../src/db/queue-checks.ts';
import { correctQueue, takeSlots, type SlotRequest } from '../../src/db/rate-limit-slots.ts';
import { newId } from '../../src/domain/ids.ts';
import { createMigratedDatabase, type TestDatabase } from '../kit/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

async function insertDelivery(
  status: 'pending' | 'held',
  ownerId: string | null,
  { webhookId = 'wh_1', eventType = 'document.uploaded' } = {},
): Promise<string> {
  const id = newId('dlv');
  await database.pool.query(
    `insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at, owner_id, run_id,
       reconcile_at, held_until)
     values ($1, 'acc_1', $5, $2, $6, $3, now(), $4, 'run', case when $4::text is not null then now() end,
       case when $3 = 'held' then now() + interval '1 hour' end)`,
    [id, newId('evt'), status, ownerId === 'own' ? id : ownerId, webhookId, eventType],
  );
  return id;
}

const limits = { cap: 1, grantMs: 15_000 };

const requestOf = (deliveryId: string, webhookId: string): SlotRequest => ({
  deliveryId,
  number: 1,
  webhookId,
  ownerId: deliveryId,
  runId: 'run',
  notes: [],
  entryOf: (at, until) => ({ at: at.toISOString(), type: 'wait', seconds: 1, until: until.toISOString() }),
});

test('a delivery that was held or moved meanwhile gets no rate-limit slot', async () => {
  const first = await insertDelivery('pending', 'own');
  const second = await insertDelivery('pending', 'own');
  const held = await insertDelivery('held', 'own');
  const taken = await insertDelivery('pending', null);
  const ids = [first, second, held, taken];
  const slots = await takeSlots(
    database.pool,
    'wh_1',
    limits,
    ids.map((deliveryId) => requestOf(deliveryId, 'wh_1')),
  );
  expect(slots.map(({ is }) => is)).toEqual(['granted', 'deferred', 'changed', 'changed']);
  const { rows } = await database.pool.query<{ waits: boolean; entries: number }>(
    `select next_attempt_at is not null as waits, jsonb_array_length(timeline) as entries from deliveries
     where id = any($1) order by id`,
    [ids],
  );
  expect(rows).toEqual([false, true, false, false].map((waits) => ({ waits, entries: waits ? 1 : 0 })));
});

test('a free slot belongs to the oldest delivery, also if a younger one requests it first', async () => {
  const webhookId = 'wh_2';
  const insert = (owner: string | null, eventType?: string) =>
    insertDelivery('pending', owner, { webhookId, ...(eventType !== undefined && { eventType }) });
  // Events of the service itself do not count.
  await insert('own', 'webhook.disabled');
  const [first, second, third] = [await insert('own'), await insert(null), await insert('own')];
  const request = async (deliveryId: string) => {
    const [slot] = await takeSlots(database.pool, webhookId, limits, [requestOf(deliveryId, webhookId)]);
    return slot?.is;
  };
  const cancel = (id: string) =>
    database.pool.query(
      `update deliveries set status = 'canceled', ended_at = now(), reconcile_at = null where id = $1`,
      [id],
    );
  const isDue = async (id: string) => {
    await correctQueue(database.pool, webhookId, limits);
    const { rows } = await database.pool.query<{ isDue: boolean }>(
      `select next_attempt_at <= clock_timestamp() as "isDue" from deliveries where id = $1`,
      [id],
    );
    return rows[0]?.isDue;
  };
  expect(await request(third)).toBe('deferred');
  expect(await isDue(third)).toBe(false);
  // A slot that the older ones do not use is the younger one's.
  await cancel(second);
  expect(await isDue(third)).toBe(false);
  await cancel(first);
  expect(await isDue(third)).toBe(true);
  expect(await request(third)).toBe('granted');
  const [fourth, fifth] = [await insert('own'), await insert('own')];
  expect([await request(fifth), await request(fourth)]).toEqual(['deferred', 'deferred']);
});

test('a queue with a long log is checked less often, and at once where a change requests it', async () => {
  const webhookId = 'wh_long';
  await database.pool.query(
    `insert into attempts (id, delivery_id, webhook_id, number, started_at, duration_ms, outcome, url, format, body_bytes)
     select 'att_' || n, 'dlv_long_' || n, $1, 1, now() - interval '1 minute', 1, 'delivered', '', 'fltr', 0
     from generate_series(1, 500) as n`,
    [webhookId],
  );
  const capped = { ...limits, cap: 500 };
  const id = await insertDelivery('pending', 'own', { webhookId });
  const [slot] = await takeSlots(database.pool, webhookId, capped, [requestOf(id, webhookId)]);
  expect(slot?.is).toBe('deferred');
  const secondsToCheck = async () => {
    const { rows } = await database.pool.query<{ seconds: number }>(
      `select extract(epoch from check_at - clock_timestamp())::float8 as seconds from rate_limit_queues
       where webhook_id = $1`,
      [webhookId],
    );
    return rows[0]?.seconds ?? NaN;
  };
  await correctQueue(database.pool, webhookId, capped);
  expect(await secondsToCheck()).toBeGreaterThan(5);
  expect(await secondsToCheck()).toBeLessThanOrEqual(7);
  // A check that was claimed before the request does not put it off.
  await checkQueue(database.pool, webhookId);
  await correctQueue(database.pool, webhookId, capped);
  expect(await secondsToCheck()).toBeLessThanOrEqual(0);
});

test('an attempt that was granted a slot occupies it once', async () => {
  const webhookId = 'wh_3';
  const ids = [
    await insertDelivery('pending', 'own', { webhookId }),
    await insertDelivery('pending', 'own', { webhookId }),
  ];
  for (const id of ids) {
    const slots = await takeSlots(database.pool, webhookId, { ...limits, cap: 2 }, [
      requestOf(id, webhookId),
    ]);
    expect(slots.map(({ is }) => is)).toEqual(['granted']);
  }
});

test('a deferred delivery whose attempt is under way keeps its time, and no other waits for it twice', async () => {
  const webhookId = 'wh_4';
  const [first, second, third] = [
    await insertDelivery('pending', 'own', { webhookId }),
    await insertDelivery('pending', 'own', { webhookId }),
    await insertDelivery('pending', 'own', { webhookId }),
  ];
  const request = (id: string) => takeSlots(database.pool, webhookId, limits, [requestOf(id, webhookId)]);
  await request(first);
  await request(second);
  await request(third);
  // An hour later: the second is granted its attempt, which takes a while.
  await database.pool.query(
    `update deliveries set next_attempt_at = next_attempt_at - interval '1 hour' where webhook_id = $1`,
    [webhookId],
  );
  await database.pool.query(`delete from rate_limit_grants where webhook_id = $1`, [webhookId]);
  await database.pool.query(
    `update deliveries set status = 'canceled', ended_at = now(), reconcile_at = null where id = $1`,
    [first],
  );
  expect(await request(second)).toEqual([{ is: 'granted' }]);
  await correctQueue(database.pool, webhookId, limits);
  const { rows } = await database.pool.query<{ id: string; hours: number }>(
    `select id, round(extract(epoch from next_attempt_at - now()) / 3600)::int as hours from deliveries
     where id = any($1) order by id`,
    [[second, third]],
  );
  expect(rows).toEqual([
    { id: second, hours: 0 },
    { id: third, hours: 1 },
  ]);
});

/** A webhook of an account with a cap of its own. */
async function insertWebhook(webhookId: string, cap: number | null): Promise<void> {
  const accountId = newId('acc');
  await database.pool.query(`insert into accounts (id, name, deliveries_per_hour) values ($1, 'own', $2)`, [
    accountId,
    cap,
  ]);
  await database.pool.query(
    `insert into webhooks (id, account_id, url, events, active, sealed_secret)
     values ($1, $2, 'https://example.com/', '{*}', true, 'sealed')`,
    [webhookId, accountId],
  );
}

test.each([
  { own: 2, cap: 1, granted: 2 },
  { own: 1, cap: 2, granted: 1 },
  { own: 1, cap: 0, granted: 1 },
  { own: 0, cap: 1, granted: 4 },
  { own: null, cap: 3, granted: 3 },
  { own: null, cap: 0, granted: 4 },
])("an account's own cap of $own replaces the setting of $cap", async ({ own, cap, granted }) => {
  const webhookId = newId('wh');
  await insertWebhook(webhookId, own);
  const ids = [];
  for (let index = 0; index < 4; index += 1) ids.push(await insertDelivery('pending', 'own', { webhookId }));
  const requests = ids.map((id) => requestOf(id, webhookId));
  const slots = await takeSlots(database.pool, webhookId, { ...limits, cap }, requests);
  expect(slots.filter(({ is }) => is === 'granted')).toHaveLength(granted);
  // Switched off, all of the queue is due.
  await database.pool.query(
    `update accounts set deliveries_per_hour = 0 where id = (select account_id from webhooks where id = $1)`,
    [webhookId],
  );
  await correctQueue(database.pool, webhookId, { ...limits, cap });
  const { rows } = await database.pool.query(
    `select 1 from deliveries where webhook_id = $1 and next_attempt_at > clock_timestamp() + interval '1 second'`,
    [webhookId],
  );
  expect(rows).toEqual([]);
});
