import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { withTransaction } from '../../src/db/pool.ts';
import { openClient } from '../kit/database-client.ts';
import { startReceiver, type Receiver } from '../kit/test-receiver.ts';
import { startService, stopAll, until, type Service } from '../kit/service.ts';

let service: Service;
let receiver: Receiver;
let webhookId: string;
beforeAll(async () => {
  service = await startService();
  receiver = await startReceiver();
  ({ webhook_id: webhookId } = await service.newWebhook(receiver.url));
  await service.pool.query(`create table pairs (id text primary key, changes int not null default 0)`);
  await service.pool.query(
    `create function change_both(one text, other text) returns void language plpgsql as $$ begin
       update pairs set changes = changes + 1 where id = one;
       update pairs set changes = changes + 1 where id = other;
     end $$`,
  );
  // A sequence is not rolled back: it counts how often something was tried.
  await service.pool.query(`create sequence runs`);
  await service.pool.query(
    `create function fail_first() returns trigger language plpgsql as $$ begin
       if nextval('runs') <= tg_argv[0]::int then
         raise exception 'made by the test' using errcode = tg_argv[1];
       end if;
       return null;
     end $$`,
  );
});
afterAll(() => stopAll(service, receiver));
beforeEach(async () => {
  receiver.requests.length = 0;
  await service.pool.query(`delete from pairs`);
  await service.pool.query(`insert into pairs (id) values ('a'), ('b')`);
});

/** Changes a, and b once another session that has changed b waits for a: PostgreSQL then ends the other one's statement. */
async function deadlockWith(start: () => Promise<unknown>): Promise<void> {
  const client = await openClient(service.databaseUrl);
  try {
    await client.query(`set deadlock_timeout = '1min'`);
    await client.query('begin');
    await client.query(`update pairs set changes = changes + 1 where id = 'a'`);
    const started = start();
    await until(
      async () =>
        (
          await service.pool.query(
            `select 1 from pg_locks l join pg_stat_activity s using (pid)
             where not l.granted and s.datname = current_database()`,
          )
        ).rowCount,
      (count) => count === 1,
    );
    await client.query(`update pairs set changes = changes + 1 where id = 'b'`);
    await client.query('commit');
    await started;
  } finally {
    await client.end();
  }
}

const changes = async () =>
  (await service.pool.query<{ changes: number }>(`select changes from pairs order by id`)).rows.map(
    (row) => row.changes,
  );

test('a transaction that a deadlock ends is run again', async () => {
  let runs = 0;
  await deadlockWith(() =>
    withTransaction(service.pool, async (client) => {
      runs += 1;
      await client.query(`update pairs set changes = changes + 1 where id = 'b'`);
      await client.query(`update pairs set changes = changes + 1 where id = 'a'`);
    }),
  );
  expect(runs).toBe(2);
  expect(await changes()).toEqual([2, 2]);
});

test('a statement outside a transaction that a deadlock ends is run again', async () => {
  await deadlockWith(() => service.pool.query(`select change_both('b', 'a')`));
  expect(await changes()).toEqual([2, 2]);
});

/** Of each statement that inserts or updates there, the first `times` fail. Returns how many were tried, too. */
async function failing<T>(
  table: 'events' | 'webhooks',
  times: number,
  code: string,
  run: () => Promise<T>,
): Promise<{ result: T; runs: number }> {
  await service.pool.query(`alter sequence runs restart`);
  await service.pool.query(
    `create trigger fail_first after insert or update on ${table} for each statement
     execute function fail_first('${times}', '${code}')`,
  );
  try {
    const result = await run();
    const { rows } = await service.pool.query<{ runs: number }>(`select last_value::int as runs from runs`);
    return { result, runs: rows[0]?.runs ?? 0 };
  } finally {
    await service.pool.query(`drop trigger fail_first on ${table}`);
  }
}

const publish = (headers: Record<string, string> = {}) =>
  service.call<{ code?: string; duplicate?: boolean; deliveries?: unknown[] }>(
    'POST',
    '/v1/events',
    { event: 'document.deleted', data: { document_id: 'doc_1', dataset_id: 'ds_1' } },
    headers,
  );
const change = () =>
  service.call<{ code?: string }>('PATCH', `/v1/webhooks/${webhookId}`, { description: 'changed' });

test('publishing succeeds once after conflicts, with and without an Idempotency-Key', async () => {
  for (const [index, code] of ['40P01', '40001'].entries()) {
    for (const headers of [{}, { 'idempotency-key': `after-${code}` }]) {
      receiver.requests.length = 0;
      const { result, runs } = await failing('events', 2, code, () => publish(headers));
      expect([index, result.status, result.body.duplicate, result.body.deliveries?.length, runs]).toEqual([
        index,
        202,
        false,
        1,
        3,
      ]);
      await until(
        () => receiver.requests.length,
        (count) => count === 1,
      );
    }
  }
  // The deliveries that were rolled back must not have begun a workflow.
  const { rows } = await service.pool.query<{ id: string }>(`select id from deliveries`);
  const ids = rows.map(({ id }) => id);
  const workflows = async () => {
    const found: string[] = [];
    for await (const { workflowId } of service.temporal.client.workflow.list()) found.push(workflowId);
    return found.filter((id) => id.startsWith('dlv_'));
  };
  const begun = await until(workflows, (found) => ids.every((id) => found.includes(id)));
  expect(begun.sort()).toEqual(ids.sort());
});

test('a conflict without an end has the response 503 with Retry-After, and nothing is written', async () => {
  for (const send of [publish, () => publish({ 'idempotency-key': 'endless' })]) {
    const { result, runs } = await failing('events', 1000, '40P01', send);
    expect([result.status, result.body.code, runs]).toEqual([503, 'unavailable', 5]);
    expect(Number(result.headers.get('retry-after'))).toBeGreaterThan(0);
  }
  const { result } = await failing('webhooks', 1000, '40001', change);
  expect([result.status, result.body.code]).toEqual([503, 'unavailable']);
  expect((await publish({ 'idempotency-key': 'endless' })).status).toBe(202);
});

test.each(['53100', '53200', '57P03', '57014', '58030'])(
  'a database that cannot work now (%s) is called once: 503 with Retry-After',
  async (code) => {
    for (const send of [publish, () => publish({ 'idempotency-key': `after-${code}` })]) {
      const { result, runs } = await failing('events', 1000, code, send);
      expect([result.status, result.body.code, runs]).toEqual([503, 'unavailable', 1]);
      expect(Number(result.headers.get('retry-after'))).toBeGreaterThan(0);
    }
  },
);

test('a fault of a statement stays a fault of ours', async () => {
  const { result, runs } = await failing('events', 1000, '22012', publish);
  // Alone, a request is not tried again.
  expect([result.status, result.body.code, runs]).toEqual([500, 'internal_error', 1]);
});
