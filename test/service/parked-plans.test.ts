import { afterAll, beforeAll, expect, test } from 'vitest';
import { fillLog, type FilledLog } from '../../bench/log-fill.ts';
import { countNotStarted } from '../../src/db/deliveries-table.ts';
import { lockUnowned } from '../../src/db/owners.ts';
import { countReleased } from '../../src/db/parked-deliveries.ts';
import { correctQueue, takeSlots } from '../../src/db/rate-limit-slots.ts';
import { readLimits } from '../../src/db/read-queue.ts';
import { endExpired } from '../../src/db/scheduled-deliveries.ts';
import { createMigratedDatabase, type TestDatabase } from '../kit/database.ts';
import { explainedPool, rowsRead, wholeReads } from '../kit/explained-pool.ts';

const limits = { cap: 0, grantMs: 15_000 };
let database: TestDatabase;
let log: FilledLog;
let open: string[];
beforeAll(async () => {
  database = await createMigratedDatabase();
  log = await fillLog(database.pool, 20_000);
  // The webhook with most deliveries is down, and all of them are parked, but for ten that were accepted last.
  await database.pool.query(
    `update webhooks set probe_when_down = true, next_probe_at = now() + interval '1 hour' where id = $1`,
    [log.busiestId],
  );
  await database.pool.query(
    `update deliveries set status = 'pending', reason = null, ended_at = null, owner_id = null, run_id = null, reconcile_at = null,
       held_until = null, next_attempt_at = now() + interval '72 hours', wait_reason = 'down', deferred_at = now()
     where webhook_id = $1`,
    [log.busiestId],
  );
  const { rows } = await database.pool.query<{ id: string }>(
    `update deliveries set owner_id = id, reconcile_at = now(), next_attempt_at = null, wait_reason = null, deferred_at = null
     where id in (select id from deliveries where webhook_id = $1 and wait_reason = 'down' order by id desc limit 10) returning id`,
    [log.busiestId],
  );
  open = rows.map(({ id }) => id).toSorted();
  await database.pool.query(
    `insert into rate_limit_queues (webhook_id, check_at) values ($1, now() + interval '1 hour')`,
    [log.busiestId],
  );
  await database.pool.query('vacuum analyze deliveries');
}, 300_000);
afterAll(() => database.drop());

const countParked = async (): Promise<number> =>
  (
    await database.pool.query(`select 1 from deliveries where webhook_id = $1 and wait_reason = 'down'`, [
      log.busiestId,
    ])
  ).rowCount ?? 0;

test('parking, releasing and expiring read few rows, however many are parked', async () => {
  const parked = await countParked();
  expect(parked).toBeGreaterThan(400);
  const { pool, taken } = explainedPool(database.pool, { analyze: true });
  const [first = '', ...others] = open;
  const slots = await takeSlots(
    pool,
    log.busiestId,
    limits,
    others.map((deliveryId) => ({
      deliveryId,
      number: 1,
      webhookId: log.busiestId,
      ownerId: deliveryId,
      runId: 'run',
      notes: [],
      entryOf: (at, until) => ({
        at: at.toISOString(),
        type: 'wait',
        seconds: 1,
        until: until.toISOString(),
      }),
    })),
  );
  expect(new Set(slots.map(({ is }) => is))).toEqual(new Set(['parked']));
  expect(await countParked()).toBe(parked + others.length);
  await database.pool.query(`update webhooks set next_probe_at = null where id = $1`, [log.busiestId]);
  expect(await correctQueue(pool, log.busiestId, limits)).toEqual({ released: 100, seconds: 0.2 });
  // No more than 100 are on their way.
  expect(await correctQueue(pool, log.busiestId, limits)).toMatchObject({ released: 0 });
  const { firstParked: oldest } = await readLimits(pool, log.busiestId, limits);
  expect(await countReleased(pool, log.busiestId, oldest ?? '', 1000)).toBe(100);
  expect((await lockUnowned(pool, 1000)).filter(({ webhookId }) => webhookId === log.busiestId)).toHaveLength(
    100,
  );
  await countNotStarted(pool, 1000);
  await database.pool.query(`update deliveries set next_attempt_at = now() where id = $1`, [oldest]);
  expect(await endExpired(pool, 500)).toEqual([oldest]);
  const statements = taken();
  expect(statements.length).toBeGreaterThan(15);
  expect(wholeReads(statements)).toEqual([]);
  const look = statements.find(({ text, isGeneric }) => !isGeneric && /as "firstParked"/.test(text));
  expect(rowsRead(look?.nodes ?? [], 'deliveries')).toBe(1);
  expect(first < (oldest ?? '')).toBe(false);
});
