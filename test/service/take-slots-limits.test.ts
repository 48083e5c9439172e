import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool } from '../../src/db/pool.ts';
import { giveBack, takeSlots, type SlotRequest } from '../../src/db/rate-limit-slots.ts';
import { newId } from '../../src/domain/ids.ts';
import { createMigratedDatabase, type TestDatabase } from '../kit/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
  await database.pool.query(`insert into accounts (id, name) values ('acc_1', 'own')`);
});
afterAll(() => database.drop());

/** Without an hourly cap. */
const defaults = { cap: 0, grantMs: 15_000 };

/** A webhook with these columns, and pending deliveries, the oldest first. */
async function insert(assignments: string, deliveries: number): Promise<SlotRequest[]> {
  const webhookId = newId('wh');
  await database.pool.query(
    `insert into webhooks (id, account_id, url, events, active, sealed_secret)
     values ($1, 'acc_1', 'https://example.com/', '{*}', true, 'sealed')`,
    [webhookId],
  );
  await database.pool.query(`update webhooks set ${assignments} where id = $1`, [webhookId]);
  const ids = Array.from({ length: deliveries }, () => newId('dlv'));
  await database.pool.query(
    `insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at, owner_id, run_id, reconcile_at)
     select id, 'acc_1', $2, 'evt_' || id, 'a.b', 'pending', now(), id, 'run', now() from unnest($1::text[]) as id`,
    [ids, webhookId],
  );
  return ids.map((deliveryId) => ({
    deliveryId,
    number: 1,
    webhookId,
    ownerId: deliveryId,
    runId: 'run',
    notes: [],
    entryOf: (at, until) => ({ at: at.toISOString(), type: 'wait', seconds: 1, until: until.toISOString() }),
  }));
}
const take = (...requests: SlotRequest[]) =>
  takeSlots(database.pool, requests[0]?.webhookId ?? '', defaults, requests);
const kinds = (slots: Awaited<ReturnType<typeof take>>) => slots.map(({ is }) => is);
const webhookOf = async (requests: SlotRequest[]) =>
  (
    await database.pool.query<{ at: number | null; probes: number }>(
      `select extract(epoch from next_probe_at - now())::float8 as at, failed_probes as probes from webhooks where id = $1`,
      [requests[0]?.webhookId],
    )
  ).rows[0];
const passGrants = (seconds: number) =>
  database.pool.query(`update rate_limit_grants set granted_at = granted_at - make_interval(secs => $1)`, [
    seconds,
  ]);

test.each([
  { column: `rate_limit = '{"attempts": 7, "seconds": 60}'`, most: 7, others: 'deferred' },
  { column: `max_concurrent = 5`, most: 5, others: 'busy' },
  {
    column: `max_concurrent = 5, rate_limit = '{"attempts": 3, "seconds": 60}'`,
    most: 3,
    others: 'deferred',
  },
])('50 requests at once from two pools get $most slots: $column', async ({ column, most, others }) => {
  const requests = await insert(column, 50);
  const second = createPool({ databaseUrl: database.url, maxConnections: 10, onError: () => {} });
  try {
    const slots = await Promise.all(
      requests.map((request, index) =>
        takeSlots(index % 2 === 0 ? database.pool : second, request.webhookId, defaults, [request]),
      ),
    );
    const all = slots.flat().map(({ is }) => is);
    // Whoever is granted: the oldest ones may not have requested theirs yet.
    expect(all.filter((is) => is === 'granted').length).toBeLessThanOrEqual(most);
    expect(new Set(all.filter((is) => is !== 'granted'))).toEqual(new Set([others]));
  } finally {
    await second.end();
  }
});

test('a grant without a record counts as long as an attempt of its webhook may take, or until it is given back', async () => {
  const requests = await insert(`max_concurrent = 1, timeout_ms = 30000`, 3);
  const [first, second, third] = requests as [SlotRequest, SlotRequest, SlotRequest];
  expect(kinds(await take(first, second))).toEqual(['granted', 'busy']);
  // The same attempt again: it has its grant.
  expect(kinds(await take(first))).toEqual(['granted']);
  await passGrants(39);
  expect(kinds(await take(second))).toEqual(['busy']);
  await passGrants(1);
  expect(kinds(await take(second))).toEqual(['granted']);
  await giveBack(database.pool, second.deliveryId, 1);
  expect(kinds(await take(third))).toEqual(['granted']);
});

test('a probe moves the next one when it is granted, so that a process that dies costs one interval', async () => {
  const requests = await insert(`probe_when_down = true, next_probe_at = now()`, 5);
  const [first, second, third, ...others] = requests as [SlotRequest, SlotRequest, SlotRequest];
  const [fourth, fifth] = others as unknown as [SlotRequest, SlotRequest];
  const slots = await take(third, second, first);
  expect(slots).toMatchObject([{ is: 'parked' }, { is: 'parked' }, { is: 'granted', isProbe: true }]);
  const after = await webhookOf(requests);
  expect(after?.probes).toBe(1);
  expect(after?.at).toBeGreaterThan(55);
  expect(after?.at).toBeLessThanOrEqual(60);
  // Its time has come and the probe is not recorded: not two at once. Then its process has died.
  await database.pool.query(`update webhooks set next_probe_at = now() where id = $1`, [first.webhookId]);
  expect(kinds(await take(fourth))).toEqual(['parked']);
  await passGrants(15);
  // Its attempt is made again: the oldest delivery is still the first.
  expect(kinds(await take(fifth))).toEqual(['parked']);
  expect(await take(first)).toMatchObject([{ is: 'granted', isProbe: true }]);
  expect((await webhookOf(requests))?.probes).toBe(2);
});

test('in the ramp attempts are probes; a time that comes soon is not written', async () => {
  const requests = await insert(`probe_when_down = true, ramp_started_at = now()`, 3);
  const [first, second, third] = requests as [SlotRequest, SlotRequest, SlotRequest];
  const patient = { ...second, patienceMs: 1100 };
  expect(await take(first, patient, third)).toMatchObject([
    { is: 'granted', isProbe: true },
    { is: 'soon' },
    { is: 'parked' },
  ]);
  const { rows } = await database.pool.query<{ reason: string | null }>(
    `select wait_reason as reason from deliveries where id = $1`,
    [second.deliveryId],
  );
  expect(rows).toEqual([{ reason: null }]);
  const again = await insert(`ramp_started_at = now() - interval '10 seconds'`, 1);
  expect(await take(...again)).toEqual([{ is: 'granted' }]);
});

test('without any limit nothing is written', async () => {
  const requests = await insert(`probe_when_down = true`, 20);
  expect(new Set(kinds(await take(...requests)))).toEqual(new Set(['granted']));
  const { rowCount } = await database.pool.query(`select 1 from rate_limit_grants where webhook_id = $1`, [
    requests[0]?.webhookId,
  ]);
  expect(rowCount).toBe(0);
});
