import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { settleCarriers } from '../src/db/carriers.ts';
import { migrate } from '../src/db/migrate.ts';
import { idFloor } from '../src/domain/ids.ts';
import type { Temporal } from '../src/temporal/client.ts';
import type { Starter } from '../src/temporal/start-deliveries.ts';
import { sweepOnce } from '../src/temporal/sweep.ts';
import { createTestDatabase, type TestDatabase } from './kit/database.ts';

/** What waits for a start, of which there may be a million, against a starter that has room for some of it. */
let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.pool);
});
afterAll(() => database.drop());

const waiting = 300;
beforeEach(async () => {
  const { pool } = database;
  await pool.query('truncate deliveries');
  const old = idFloor('dlv', new Date(Date.now() - 60_000)).slice(0, -4);
  await pool.query(
    `insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at)
     select $1 || lpad(n::text, 4, '0'), 'acc_1', 'wh_1', 'evt_' || n, 'document.uploaded', 'pending', now()
     from generate_series(1, $2) as n`,
    [old, waiting],
  );
});

/** A round with a starter that takes what `takes` says, until it has no room left. */
async function sweepWith(room: number, takes: () => boolean = () => true, roomAfterwards = 0) {
  const taken: string[] = [];
  let left = room;
  const starter = {
    room: () => left,
    enqueue({ id }: { id: string }) {
      const isTaken = takes();
      if (isTaken) taken.push(id);
      left = roomAfterwards;
      return isTaken;
    },
  } as unknown as Starter;
  const found = await sweepOnce({
    pool: database.pool,
    temporal: {} as Temporal,
    starter,
    log: pino({ level: 'silent' }),
    scheduleSeconds: [],
  });
  return { found, taken };
}

async function rows() {
  const { rows: found } = await database.pool.query<{ id: string; version: string; seconds: number | null }>(
    `select id, xmin::text as version, extract(epoch from check_at - now())::float8 as seconds from deliveries order by id`,
  );
  return found;
}

test('while there is no room, what waits is neither claimed nor written to', async () => {
  const before = await rows();
  expect(before).toHaveLength(waiting);
  expect(await sweepWith(0)).toEqual({ found: 0, taken: [] });
  expect((await rows()).map(({ version }) => version)).toEqual(before.map(({ version }) => version));
});

test('as many are claimed as there is room for, the oldest first, and no other is written to', async () => {
  const before = await rows();
  const { found, taken } = await sweepWith(5);
  expect(found).toBe(5);
  expect(taken).toEqual(before.slice(0, 5).map(({ id }) => id));
  const after = await rows();
  expect(after.slice(5)).toEqual(before.slice(5));
  for (const { seconds } of after.slice(0, 5)) expect(seconds).toBeGreaterThan(25);
  // Claimed for so long: the next one takes others.
  expect((await sweepWith(5)).taken).toEqual(before.slice(5, 10).map(({ id }) => id));
});

test('a round claims no more than 200, and says that there is more', async () => {
  expect((await sweepWith(5000)).found).toBe(200);
  expect((await sweepWith(5000)).found).toBe(waiting - 200);
});

test('two at the same moment never claim the same one', async () => {
  const [one, other] = await Promise.all([sweepWith(100), sweepWith(100)]);
  expect(new Set([...one.taken, ...other.taken]).size).toBe(one.taken.length + other.taken.length);
  expect(one.taken.length).toBeGreaterThan(0);
});

test('what was claimed and finds no room waits on', async () => {
  await sweepWith(5, () => false, 0);
  expect((await rows()).filter(({ seconds }) => seconds !== null)).toEqual([]);
});

test('what its webhook keeps back does not stand in the way of others', async () => {
  const before = await rows();
  await sweepWith(5, () => false, 100);
  for (const { seconds } of (await rows()).slice(0, 5)) expect(seconds).toBeGreaterThan(250);
  expect((await sweepWith(5)).taken).toEqual(before.slice(5, 10).map(({ id }) => id));
});

test('what was accepted in the last ten seconds is left to the process that accepted it', async () => {
  await database.pool.query('truncate deliveries');
  for (const [secondsAgo, n] of [
    [5, 1],
    [15, 2],
  ] as const)
    await database.pool.query(
      `insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at)
       values ($1, 'acc_1', 'wh_1', $2, 'document.uploaded', 'pending', now())`,
      [idFloor('dlv', new Date(Date.now() - secondsAgo * 1000)), `evt_${n}`],
    );
  expect((await sweepWith(5)).taken).toEqual([(await rows())[0]?.id]);
});

test('what was settled is looked after from that moment on, whoever was to start it', async () => {
  const [queued = { id: '' }, claimed = { id: '' }] = await rows();
  await database.pool.query(`update deliveries set check_at = now() + interval '30 seconds' where id = $1`, [
    claimed.id,
  ]);
  const settlements = [queued, claimed].map(({ id }) => ({ id, workflowId: id }));
  expect(await settleCarriers(database.pool, settlements)).toHaveLength(2);
  const [first, second] = await rows();
  expect(first?.seconds).toBeGreaterThan(8);
  expect(first?.seconds).toBeLessThanOrEqual(10);
  expect(second?.seconds).toBeGreaterThan(25);
});

test('no delivery that waits can have a carrier and nobody who looks after it', async () => {
  await expect(database.pool.query(`update deliveries set workflow_id = id`)).rejects.toThrow(
    'carried_is_looked_after',
  );
});
