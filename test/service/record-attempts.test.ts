import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { findDeliveryWithAttempts, listAttempts } from '../../src/db/attempts.ts';
import { recordAttempts, type AttemptRecord } from '../../src/db/record-attempts.ts';
import { withSnapshot, type Pool } from '../../src/db/pool.ts';
import { readStats } from '../../src/db/read-stats.ts';
import { entriesOfResult, resultOf } from '../../src/domain/attempt-result.ts';
import { newId } from '../../src/domain/ids.ts';
import type { DeliveryStatus } from '../../src/contracts/delivery.ts';
import { createMigratedDatabase, type TestDatabase } from '../kit/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

let id: string;
beforeEach(async () => {
  id = newId('dlv');
  await database.pool.query(
    `insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at, owner_id, run_id, reconcile_at)
     values ($1, 'acc_1', 'wh_1', $2, 'document.uploaded', 'pending', now(), $1, 'run', now())`,
    [id, newId('evt')],
  );
});

const startedAt = new Date();
function retry(attemptId = newId('att')): AttemptRecord {
  return {
    id: attemptId,
    deliveryId: id,
    webhookId: 'wh_1',
    number: 1,
    startedAt,
    durationMs: 10,
    statusCode: 503,
    outcome: 'retry',
    errorCode: 'server_error',
    errorDetail: null,
    waitSeconds: 60,
    activation: 1,
    countsForCap: true,
    request: { url: 'https://your-app.com/webhooks/fltr', format: 'fltr', bodyBytes: 100, headersAs: null },
    response: null,
    status: 'retrying',
    reason: null,
    nextAttemptAt: new Date(startedAt.getTime() + 60_010),
    endedAt: null,
    run: { workflowId: id, runId: 'run' },
    entries: [],
    nextEntries: [],
  };
}

const hold = () =>
  database.pool.query(
    `update deliveries set status = 'held', next_attempt_at = null, wait_reason = null, held_until = now() + interval '1 hour'
     where id = $1`,
    [id],
  );
/** The error of the activity where it finds the attempt recorded. */
async function resultIn(status: DeliveryStatus) {
  const [attempt] = await listAttempts(database.pool, id);
  if (!attempt) throw new Error('There is no attempt');
  const result = resultOf(attempt, status);
  return { next: result.next, entries: entriesOfResult(result).map(({ type }) => type) };
}

test('an attempt that was recorded before its delivery was held has begun a wait, in any state of its delivery since', async () => {
  const made = retry();
  expect(await recordAttempts(database.pool, [made])).toEqual(new Map([[made.id, 'retrying']]));
  expect(await resultIn('retrying')).toEqual({ next: 'wait', entries: ['attempt', 'wait'] });
  for (const status of ['held', 'pending', 'canceled', 'failed'] as const)
    expect(await resultIn(status)).toEqual({ next: 'stop', entries: ['attempt', 'wait'] });
});

test('of two runs that record the same attempt in one statement, one learns that it is recorded, and the other that it is not', async () => {
  const both = [retry(), { ...retry(), durationMs: 20 }];
  const recorded = await recordAttempts(database.pool, both);
  const attempts = await listAttempts(database.pool, id);
  expect(attempts).toHaveLength(1);
  expect([...recorded]).toEqual([[attempts[0]?.id, 'retrying']]);
  const { rows } = await database.pool.query(
    `select attempt_count, retries_used from deliveries where id = $1`,
    [id],
  );
  expect(rows).toEqual([{ attempt_count: 1, retries_used: 1 }]);
});

test('one that is recorded while its delivery is held begins no wait, also where the delivery is released since', async () => {
  await hold();
  const made = retry();
  expect(await recordAttempts(database.pool, [made])).toEqual(new Map([[made.id, 'held']]));
  for (const status of ['held', 'pending', 'canceled', 'failed'] as const)
    expect(await resultIn(status)).toEqual({ next: 'stop', entries: ['attempt'] });
});

test('an attempt is recorded once: the second one of its number changes nothing', async () => {
  const first = retry();
  await recordAttempts(database.pool, [first]);
  const read = async () => (await database.pool.query(`select * from deliveries where id = $1`, [id])).rows;
  const before = await read();
  expect(await recordAttempts(database.pool, [retry()])).toEqual(new Map());
  expect(await read()).toEqual(before);
  expect(await listAttempts(database.pool, id)).toMatchObject([{ id: first.id }]);
});

test('of two runs that record the same attempt at the same moment, one does', async () => {
  const both = await Promise.all([1, 2].map(() => recordAttempts(database.pool, [retry()])));
  expect(both.filter(({ size }) => size === 1)).toHaveLength(1);
  expect(await listAttempts(database.pool, id)).toHaveLength(1);
  const { rows } = await database.pool.query(
    `select sum(attempts)::int as attempts from webhook_stats where webhook_id = 'wh_1'
       and minute = date_trunc('minute', $1::timestamptz)`,
    [startedAt],
  );
  const { rows: recorded } = await database.pool.query(`select count(*)::int as attempts from attempts`);
  expect(rows).toEqual(recorded);
});

/** A pool on whose next connection an attempt is recorded after each read of that table. */
async function recordingAfter(table: string): Promise<Pool> {
  const client = await database.pool.connect();
  const query = async (text: string, values?: unknown[]) => {
    const result = await client.query(text, values);
    if (text.includes(`from ${table}`)) await recordAttempts(database.pool, [retry()]);
    return result;
  };
  const connect = () => Promise.resolve({ query, release: () => client.release() });
  return { connect } as unknown as Pool;
}

test('a delivery is read with its attempts as of one moment, also where one is recorded between the two reads', async () => {
  const found = await findDeliveryWithAttempts(await recordingAfter('deliveries'), 'acc_1', id);
  expect([found?.delivery.attemptCount, found?.attempts.length]).toEqual([0, 0]);
  expect((await findDeliveryWithAttempts(database.pool, 'acc_1', id))?.attempts).toHaveLength(1);
});

test('statistics are of one moment, also where an attempt is recorded between the reads', async () => {
  const read = async (pool: Pool) => {
    const stats = await withSnapshot(pool, (client) => readStats(client, 'wh_1', new Date()));
    return [stats.attempts, stats.waiting.retrying];
  };
  const [attempts = 0, retrying = 0] = await read(database.pool);
  expect(await read(await recordingAfter('webhook_stats'))).toEqual([attempts, retrying]);
  expect(await read(database.pool)).toEqual([attempts + 1, retrying + 1]);
});
