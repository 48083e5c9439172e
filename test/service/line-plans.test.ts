import { afterAll, beforeAll, expect, test } from 'vitest';
import { fillLog, type FilledLog } from '../../bench/log-fill.ts';
import { advanceLines, checkBlockedLines } from '../../src/db/delivery-lines.ts';
import { cancelBlocking } from '../../src/db/stop-delivery.ts';
import { findDelivery } from '../../src/db/deliveries-table.ts';
import { countDeliveries } from '../../src/db/delivery-counts.ts';
import type { DeliveryConditions } from '../../src/db/delivery-filters.ts';
import { listDeliveries } from '../../src/db/delivery-log.ts';
import { createMigratedDatabase, type TestDatabase } from '../kit/database.ts';
import { explainedPool, rowsRead, wholeReads } from '../kit/explained-pool.ts';

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

test('lists and counts of deliveries that wait in lines, block them, or have an order key agree with all rows, and read little', async () => {
  await database.pool.query(
    `update delivery_lines l set blocked_at = now() from deliveries d, webhooks w
     where d.id = l.head_id and d.status = 'failed' and w.id = l.webhook_id`,
  );
  await database.pool.query(`vacuum analyze deliveries, delivery_lines`);
  const { rows: keys } = await database.pool.query<{ key: string }>(
    `select order_key as key from deliveries where webhook_id = $1 and start_after = 'line' and status = 'pending' limit 1`,
    [log.busiestId],
  );
  const { pool, taken } = explainedPool(database.pool, { analyze: true });
  const filters: [DeliveryConditions, sql: string, most: number][] = [
    [{ waitsFor: 'order' }, `d.status = 'pending' and d.start_after = 'line'`, 100 * 21],
    [{ blocksLine: true }, `d.status = 'failed' and l.blocked_at is not null and l.head_id = d.id`, 100 * 21],
    [{ orderKey: keys[0]?.key ?? '' }, `d.order_key = '${keys[0]?.key}'`, 21],
  ];
  let listed = 0;
  for (const [filter, sql, most] of filters)
    for (const webhookId of [undefined, log.busiestId, log.healthyId]) {
      const { rows: expected } = await database.pool.query<{ id: string }>(
        `select d.id from deliveries d join delivery_lines l on l.webhook_id = d.webhook_id and l.order_key = d.order_key
         where d.account_id = $1 and ($2::text is null or d.webhook_id = $2) and ${sql} order by d.id desc`,
        [log.accountId, webhookId],
      );
      const found = await listDeliveries(pool, log.accountId, {
        ...filter,
        webhookId,
        before: null,
        limit: 21,
      });
      const text = JSON.stringify([filter, webhookId]);
      expect(
        found.map(({ id }) => id),
        text,
      ).toEqual(expected.slice(0, 21).map(({ id }) => id));
      listed += found.length;
      const explained = taken();
      expect(wholeReads(explained), text).toEqual([]);
      for (const { nodes, text: plan } of explained)
        // Those of each webhook, the page, and for a page of those that block a line, those behind them.
        expect(rowsRead(nodes, 'deliveries'), `${text}\n${plan}`).toBeLessThan(most + 21 + 21 * 10 + 21);
      const counts = await countDeliveries(pool, log.accountId, { ...filter, webhookId }, 100);
      const sum = Object.values(counts).reduce((total, count) => total + count, 0);
      expect([text, sum]).toEqual([text, Math.min(100, expected.length)]);
      expect(wholeReads(taken()), text).toEqual([]);
    }
  expect(listed).toBeGreaterThan(60);
}, 60_000);

test('the delivery that blocks a line is found and canceled by its index', async () => {
  const { rows } = await database.pool.query<{ id: string }>(
    `update delivery_lines l set blocked_at = now() from deliveries d where d.id = l.head_id and d.status = 'failed' and l.webhook_id = $1
     returning d.id`,
    [log.busiestId],
  );
  await database.pool.query(`analyze delivery_lines`);
  const [{ id } = { id: '' }] = rows;
  const { pool, taken } = explainedPool(database.pool);
  expect(await findDelivery(pool, log.accountId, id)).toMatchObject({ blocksLine: { waiting: 0 } });
  await checkBlockedLines(pool, log.busiestId);
  expect(await cancelBlocking(pool, id, [])).toBeInstanceOf(Date);
  expect(wholeReads(taken())).toEqual([]);
});
