import { afterAll, beforeAll, expect, test } from 'vitest';
import { fillLog, type FilledLog } from '../../bench/log-fill.ts';
import { errorsWithoutResponse, type AttemptErrorCode } from '../../src/contracts/attempt-schema.ts';
import type { DeliveryStatus } from '../../src/contracts/delivery.ts';
import { countDeliveries } from '../../src/db/delivery-counts.ts';
import { listDeliveries } from '../../src/db/delivery-log.ts';
import { idFloor } from '../../src/domain/ids.ts';
import { createMigratedDatabase, type TestDatabase } from '../kit/database.ts';
import { explainedPool, rowsRead, wholeReads } from '../kit/explained-pool.ts';

const rowsInAll = 20_000;
let database: TestDatabase;
let log: FilledLog;
beforeAll(async () => {
  database = await createMigratedDatabase();
  log = await fillLog(database.pool, rowsInAll);
}, 300_000);
afterAll(() => database.drop());

const statuses: (DeliveryStatus | undefined)[] = [
  undefined,
  'pending',
  'retrying',
  'delivered',
  'failed',
  'held',
  'canceled',
];
const codes: ([number, number] | undefined)[] = [undefined, [200, 200], [404, 404], [418, 418], [500, 599]];
const types = [undefined, 'document.processed', 'webhook.disabled'];
const results: { code?: [number, number]; error?: AttemptErrorCode[] }[] = [
  ...codes.map((code) => (code ? { code } : {})),
  { error: ['server_error'] },
  { error: errorsWithoutResponse },
  { error: ['tls_certificate'] },
  { code: [500, 599], error: ['server_error'] },
];

test(
  'the log finds all matches of each filter, and reads little, also where there are none',
  { timeout: 300_000 },
  async () => {
    const { pool, taken } = explainedPool(database.pool, { analyze: true });
    // In memory, to compare with: the whole log of the account.
    const { rows: all } = await database.pool.query<{
      id: string;
      webhookId: string;
      type: string;
      status: string;
      code: number | null;
      error: string | null;
    }>(
      `select id, webhook_id as "webhookId", event_type as type, status, last_status_code as code, last_error_code as error from deliveries
     where account_id = $1 order by id desc`,
      [log.accountId],
    );
    const limit = 21;
    const middle = all[Math.floor(all.length / 2)]?.id ?? '';
    const day = (ago: number) => new Date(Date.now() - ago * 86_400_000);
    const ranges = [{}, { before: middle }, { since: day(20), until: day(10) }];
    let [most, matched, combination] = [0, 0, 0];
    for (const webhookId of [undefined, log.deadId, log.acceptingId])
      for (const eventType of types)
        for (const status of statuses)
          for (const { code, error } of results) {
            const {
              before = null,
              since,
              until,
            } = ranges[combination % ranges.length] as {
              before?: string;
              since?: Date;
              until?: Date;
            };
            combination += 1;
            const filter = { webhookId, eventType, status, code, errors: error, since, until, before, limit };
            const found = await listDeliveries(pool, log.accountId, filter);
            const expected = all.filter(
              (row) =>
                (webhookId === undefined || row.webhookId === webhookId) &&
                (eventType === undefined || row.type === eventType) &&
                (status === undefined || row.status === status) &&
                (code === undefined || (row.code !== null && row.code >= code[0] && row.code <= code[1])) &&
                (error === undefined || error.some((each) => each === row.error)) &&
                (before === null || row.id < before) &&
                (since === undefined || row.id >= idFloor('dlv', since)) &&
                (until === undefined || row.id < idFloor('dlv', until)),
            );
            const filterText = JSON.stringify(filter);
            expect(
              found.map(({ id }) => id),
              filterText,
            ).toEqual(expected.slice(0, limit).map(({ id }) => id));
            matched += found.length;
            const plans = taken();
            expect(wholeReads(plans), filterText).toEqual([]);
            for (const { nodes, text } of plans) {
              const read = rowsRead(nodes, 'deliveries');
              most = Math.max(most, read);
              // 500 in order, or a page of each of some 40 kinds, and of the waiting deliveries of each of 100 webhooks.
              expect(read, `${filterText}\n${text}`).toBeLessThan(1000);
              const [root] = nodes;
              const blocks = (root?.['Shared Hit Blocks'] ?? 0) + (root?.['Shared Read Blocks'] ?? 0);
              expect(blocks, `${filterText}\n${text}`).toBeLessThan(800);
            }
          }
    // Some of the combinations are in the log, and the rows read were counted.
    expect(matched).toBeGreaterThan(500);
    expect(most).toBeGreaterThanOrEqual(500);
    expect(all.length).toBeGreaterThan(0.7 * rowsInAll);
  },
);

test('counts agree with the log for each filter, and no status is counted beyond the limit', async () => {
  const { pool, taken } = explainedPool(database.pool, { analyze: true });
  const limit = 100;
  let counted = 0;
  const day = (ago: number) => new Date(Date.now() - ago * 86_400_000);
  for (const webhookId of [undefined, log.deadId, log.acceptingId, log.heldId])
    for (const eventType of types)
      for (const range of [{}, { since: day(20), until: day(10) }])
        for (const { code, error } of results) {
          const filter = { webhookId, eventType, code, errors: error, ...range };
          const counts = await countDeliveries(pool, log.accountId, filter, limit);
          const plans = taken();
          const filterText = JSON.stringify(filter);
          for (const [status, count] of Object.entries(counts)) {
            const page = { ...filter, status: status as DeliveryStatus, before: null, limit };
            const rows = await listDeliveries(database.pool, log.accountId, page);
            expect([status, count], filterText).toEqual([status, rows.length]);
            counted += count;
          }
          expect(wholeReads(plans), filterText).toEqual([]);
          // The lookups of some 40 kinds, and at most the limit for each of six states, once in an index and once in the table.
          for (const { nodes, text } of plans)
            expect(rowsRead(nodes, 'deliveries'), `${filterText}\n${text}`).toBeLessThan(6 * limit + 200);
        }
  expect(counted).toBeGreaterThan(1000);
  const everything = await countDeliveries(pool, log.accountId, {}, limit);
  expect([everything.delivered, everything.failed]).toEqual([limit, limit]);
  const { rows } = await database.pool.query<{ id: string }>(
    `select id from accounts where id <> $1 and exists (select 1 from webhooks w where w.account_id = accounts.id) limit 1`,
    [log.accountId],
  );
  const byStranger = await countDeliveries(pool, rows[0]?.id ?? '', { webhookId: log.busiestId }, limit);
  expect(Object.values(byStranger)).toEqual([0, 0, 0, 0, 0, 0]);
}, 300_000);

test('deferred deliveries are read from the queues of their webhooks alone', async () => {
  // A long queue, and a few that wait for a retry.
  const { rows: webhooks } = await database.pool.query<{ id: string; count: number }>(
    `select webhook_id as id, count(*)::int as count from deliveries d where account_id = $1 group by 1 order by 2 desc limit 3`,
    [log.accountId],
  );
  const [, long, short] = webhooks;
  if (!long || !short || long.count < 500) throw new Error('There is no webhook with a long queue');
  await database.pool.query(
    `update deliveries set status = case when webhook_id = $1 then 'pending' else 'retrying' end, reason = null, ended_at = null,
       held_until = null, owner_id = id, attempt_count = case when webhook_id = $1 then 0 else 1 end,
       next_attempt_at = now() + interval '1 hour', wait_reason = case when webhook_id = $1 then 'hourly_cap' else 'rate_limit' end,
       reconcile_at = now() + interval '1 day'
     where webhook_id = any($2)`,
    [long.id, [long.id, short.id]],
  );
  await database.pool.query(`analyze deliveries`);
  const { pool, taken } = explainedPool(database.pool, { analyze: true });
  const limit = 21;
  for (const webhookId of [undefined, long.id, short.id, log.busiestId])
    for (const status of [undefined, 'pending', 'retrying', 'failed'] as const) {
      const filter = { webhookId, status, isDeferred: true };
      const found = await listDeliveries(pool, log.accountId, { ...filter, before: null, limit });
      const [listed] = [taken()];
      const { rows: expected } = await database.pool.query<{ id: string }>(
        `select id from deliveries where account_id = $1 and wait_reason in ('hourly_cap', 'rate_limit')
           and ($2::text is null or webhook_id = $2) and ($3::text is null or status = $3) order by id desc`,
        [log.accountId, webhookId, status],
      );
      const filterText = JSON.stringify(filter);
      expect(
        found.map(({ id }) => id),
        filterText,
      ).toEqual(expected.slice(0, limit).map(({ id }) => id));
      expect(wholeReads(listed), filterText).toEqual([]);
      const counts = await countDeliveries(pool, log.accountId, { webhookId, isDeferred: true }, 100);
      const counted = taken();
      if (status !== undefined)
        expect([filterText, counts[status]]).toEqual([filterText, Math.min(100, expected.length)]);
      expect(wholeReads(counted), filterText).toEqual([]);
      // For another state, the rest of the queue is read, too.
      if (status === undefined)
        for (const { nodes, text } of listed)
          expect(rowsRead(nodes, 'deliveries'), `${filterText}\n${text}`).toBeLessThan(4 * limit);
    }
}, 300_000);
