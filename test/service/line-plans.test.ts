import { afterAll, beforeAll, expect, test } from 'vitest';
import { fillLog, type FilledLog } from '../../bench/log-fill.ts';
import { advanceLines, checkBlockedLines } from '../../src/db/delivery-lines.ts';
import { cancelBlocking } from '../../src/db/stop-delivery.ts';
import { findDelivery } from '../../src/db/deliveries-table.ts';
import { createMigratedDatabase, type TestDatabase } from '../kit/database.ts';
import { explainedPool, wholeReads } from '../kit/explained-pool.ts';

let database: TestDatabase;
let log: FilledLog;
beforeAll(async () => {
  database = await createMigratedDatabase();
  log = await fillLog(database.pool, 20_000);
  const { pool } = database;
  await pool.query(
    `update webhooks set ordering = 'by_key', on_failure = case when id = $1 then 'block' else 'skip' end`,
    [log.busiestId],
  );
  // Lines of 10 deliveries, with heads in all states.
  await pool.query(
    `update deliveries d set order_key = n.key, line_position = n.n, start_after = case when ended_at is null and n.n % 10 <> 1 then 'line' end,
       owner_id = null, reconcile_at = case when status = 'held' then held_until end, status = case when status in ('retrying') then 'pending' else status end,
       next_attempt_at = null, wait_reason = null
     from (select id, n, ((n - 1) / 10)::text as key from (
       select id, row_number() over (order by webhook_id, id) as n from deliveries) as numbered) as n
     where n.id = d.id`,
  );
  await pool.query(
    `insert into delivery_lines (webhook_id, order_key, last_position, head_id)
     select distinct on (webhook_id, order_key) webhook_id, order_key, 1000000, id from deliveries order by webhook_id, order_key, line_position`,
  );
  await pool.query(`truncate line_checks`);
  await pool.query(`vacuum analyze deliveries, delivery_lines, line_checks`);
}, 300_000);
afterAll(() => database.drop());

const check = (limit: number) =>
  database.pool.query(
    `insert into line_checks (webhook_id, order_key) select webhook_id, order_key from delivery_lines
     order by order_key desc limit $1`,
    [limit],
  );

test.each([1, 400])('checking %i lines reads no table whole', async (lines) => {
  await check(lines);
  const { pool, taken } = explainedPool(database.pool);
  expect(await advanceLines(pool)).toMatchObject({ checked: lines });
  await database.pool.query(`insert into line_checks (webhook_id, order_key) values ('wh_none', 'a')`);
  expect(await advanceLines(pool)).toMatchObject({ checked: 0 });
  const statements = taken();
  expect(statements.length).toBeGreaterThan(10);
  expect(wholeReads(statements)).toEqual([]);
});

test('the delivery that blocks a line is found and canceled by its index', async () => {
  const { rows } = await database.pool.query<{ id: string }>(
    `update delivery_lines l set blocked_at = now() from deliveries d where d.id = l.head_id and d.status = 'failed' and l.webhook_id = $1
     returning d.id`,
    [log.busiestId],
  );
  await database.pool.query(`analyze delivery_lines`);
  const [{ id } = { id: '' }] = rows;
  const { pool, taken } = explainedPool(database.pool);
  expect(await findDelivery(pool, log.accountId, id)).toMatchObject({ blocksLine: true });
  await checkBlockedLines(pool, log.busiestId);
  expect(await cancelBlocking(pool, id, [])).toBeInstanceOf(Date);
  expect(wholeReads(taken())).toEqual([]);
});
