import { afterAll, beforeAll, expect, test } from 'vitest';
import { takeSlots } from '../../src/db/rate-limit-slots.ts';
import { newId } from '../../src/domain/ids.ts';
import { createMigratedDatabase, type TestDatabase } from '../kit/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

async function insertDelivery(status: 'pending' | 'held', ownerId: string | null): Promise<string> {
  const id = newId('dlv');
  await database.pool.query(
    `insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at, owner_id, run_id,
       reconcile_at, held_until)
     values ($1, 'acc_1', 'wh_1', $2, 'document.uploaded', $3, now(), $4, 'run', case when $4::text is not null then now() end,
       case when $3 = 'held' then now() + interval '1 hour' end)`,
    [id, newId('evt'), status, ownerId === 'own' ? id : ownerId],
  );
  return id;
}

test('a delivery that was held or moved meanwhile gets no rate-limit slot', async () => {
  const first = await insertDelivery('pending', 'own');
  const second = await insertDelivery('pending', 'own');
  const held = await insertDelivery('held', 'own');
  const taken = await insertDelivery('pending', null);
  const ids = [first, second, held, taken];
  const slots = await takeSlots(
    database.pool,
    'wh_1',
    { cap: 1, grantMs: 15_000 },
    ids.map((deliveryId) => ({
      deliveryId,
      number: 1,
      webhookId: 'wh_1',
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
  expect(slots.map(({ is }) => is)).toEqual(['granted', 'deferred', 'changed', 'changed']);
  const { rows } = await database.pool.query<{ waits: boolean; entries: number }>(
    `select next_attempt_at is not null as waits, jsonb_array_length(timeline) as entries from deliveries
     where id = any($1) order by id`,
    [ids],
  );
  expect(rows).toEqual([false, true, false, false].map((waits) => ({ waits, entries: waits ? 1 : 0 })));
});
