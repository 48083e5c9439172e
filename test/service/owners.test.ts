import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { assignOwners, claimDue, lockUnowned } from '../../src/db/owners.ts';
import { withTransaction } from '../../src/db/pool.ts';
import { idFloor } from '../../src/domain/ids.ts';
import { createMigratedDatabase, type TestDatabase } from '../kit/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
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

/** As the dispatcher does it: locks the oldest, and gives them owners. */
const assignOldest = (limit: number, isQueued = false) =>
  withTransaction(database.pool, async (client) => {
    const rows = await lockUnowned(client, limit);
    return assignOwners(
      client,
      rows.map(({ id }) => ({ id, ownerId: id, isQueued })),
    );
  });

async function rows() {
  const { rows: found } = await database.pool.query<{
    id: string;
    version: string;
    ownerId: string | null;
    seconds: number | null;
  }>(
    `select id, xmin::text as version, owner_id as "ownerId",
       extract(epoch from reconcile_at - now())::float8 as seconds from deliveries order by id`,
  );
  return found;
}

test('owners are assigned to the oldest first, and no other row is written to', async () => {
  const before = await rows();
  const startedAt = performance.now();
  expect((await assignOldest(5)).sort()).toEqual(before.slice(0, 5).map(({ id }) => id));
  const after = await rows();
  const elapsed = (performance.now() - startedAt) / 1000;
  expect(after.slice(5)).toEqual(before.slice(5));
  // Ten seconds from the assignment on, which was since then.
  for (const { seconds } of after.slice(0, 5)) {
    expect(seconds).toBeLessThanOrEqual(10);
    expect((seconds ?? 0) + elapsed).toBeGreaterThan(9.9);
  }
  expect((await assignOldest(5)).sort()).toEqual(before.slice(5, 10).map(({ id }) => id));
});

test('two processes at the same moment never assign an owner to the same delivery', async () => {
  const both = await Promise.all(Array.from({ length: 6 }, () => assignOldest(100)));
  const ids = both.flat();
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.length).toBeGreaterThan(100);
});

test('a delivery with an owner that was not started is due for the reconciler of any process after 10 s, and claimed by one', async () => {
  const [first = '', second = ''] = (await assignOldest(2)).sort();
  expect(await claimDue(database.pool, 'start', 200)).toEqual([]);
  await database.pool.query(`update deliveries set reconcile_at = reconcile_at - interval '10 seconds'`);
  const claims = await Promise.all([1, 2, 3].map(() => claimDue(database.pool, 'start', 200)));
  expect(
    claims
      .flat()
      .map(({ id }) => id)
      .sort(),
  ).toEqual([first, second]);
  expect(await claimDue(database.pool, 'check', 200)).toEqual([]);
});

test('a queued delivery is due at once, and does not delay other checks', async () => {
  await assignOldest(waiting, true);
  const before = await rows();
  await database.pool.query(
    `update deliveries set status = 'held', held_until = now(), reconcile_at = now() where id = $1`,
    [before.at(-1)?.id],
  );
  expect((await claimDue(database.pool, 'check', 10)).map(({ id }) => id)).toEqual([before.at(-1)?.id]);
  const claimed = await claimDue(database.pool, 'start', 200);
  expect(claimed.map(({ id }) => id)).toEqual(before.slice(0, 200).map(({ id }) => id));
});

test.each([
  ['an_owner_is_reconciled', `owner_id = id`],
  ['an_owner_is_its_workflow_or_a_group', `owner_id = 'dlv_of_another', reconcile_at = now()`],
  ['a_wait_has_a_reason', `owner_id = id, reconcile_at = now(), next_attempt_at = now()`],
  ['a_retry_has_a_time', `status = 'retrying', owner_id = id, reconcile_at = now()`],
  ['a_time_has_an_owner', `next_attempt_at = now(), wait_reason = 'retry'`],
  ['held_until_a_time', `status = 'held', reconcile_at = now()`],
  ['held_is_reconciled', `status = 'held', held_until = now()`],
  ['ended_at_a_time', `status = 'delivered'`],
  ['ended_is_not_reconciled', `status = 'failed', ended_at = now(), owner_id = id, reconcile_at = now()`],
  [
    'only_a_waiting_delivery_has_a_time',
    `status = 'failed', ended_at = now(), owner_id = id, next_attempt_at = now(), wait_reason = 'retry'`,
  ],
  [
    'wait_reason_is_known',
    `owner_id = id, reconcile_at = now(), next_attempt_at = now(), wait_reason = 'whim'`,
  ],
  ['status_is_known', `status = 'lost'`],
])('a row in no legal state is refused: %s', async (constraint, change) => {
  await expect(database.pool.query(`update deliveries set ${change}`)).rejects.toThrow(constraint);
});
