import { afterAll, beforeAll, expect, test } from 'vitest';
import { acceptEvents } from '../../src/db/accept-events.ts';
import type { NewEvent } from '../../src/db/insert-events.ts';
import { ensureAccount } from '../../src/db/accounts.ts';
import type { Startable } from '../../src/db/deliveries-table.ts';
import { createPublisher, maxUnwritten } from '../../src/db/publisher.ts';
import { withTransaction } from '../../src/db/pool.ts';
import type { ReserveOwners } from '../../src/db/reserve-owners.ts';
import { newId } from '../../src/domain/ids.ts';
import { wireBody } from '../../src/domain/wire-body.ts';
import { call, startService, until, type Service } from '../kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({}, 'api');
});
afterAll(() => service.stop());

/** An account with that many webhooks, every second one not active. */
async function newAccount(webhooks = 1): Promise<{ accountId: string; webhookIds: string[] }> {
  const accountId = newId('acc');
  await ensureAccount(service.pool, accountId, 'test');
  const webhookIds = Array.from({ length: webhooks }, () => newId('wh'));
  await service.pool.query(
    `insert into webhooks (id, account_id, url, events, active, sealed_secret)
     select id, $2, 'https://example.com/', '{*}', n % 2 = 1, 'x' from unnest($1::text[]) with ordinality as t(id, n)`,
    [webhookIds, accountId],
  );
  return { accountId, webhookIds };
}

function newEvent(accountId: string, more: Partial<NewEvent> & { data?: unknown } = {}): NewEvent {
  const { data = { document_id: 'd', dataset_id: 's' }, ...rest } = more;
  const [id, timestamp] = [more.id ?? newId('evt'), '2024-01-10T12:05:00Z'];
  return {
    accountId,
    id,
    type: 'document.deleted',
    timestamp: null,
    acceptedTimestamp: timestamp,
    body: wireBody({ id, event: 'document.deleted', timestamp, data }),
    ...rest,
  };
}

const newPublisher = (reserveOwners: ReserveOwners) =>
  createPublisher(service.pool, {
    reserveOwners,
    onJoined: () => undefined,
    createsAccounts: false,
    onScheduled: () => undefined,
    onAccepted: () => undefined,
  });

/** Reserves an owner of another name for every delivery but each third, and keeps the results. */
function watchReservations() {
  const reservations: { wanted: string[]; committed: string[] | null }[] = [];
  const idsOf = (deliveries: readonly Startable[]) => deliveries.map(({ id }) => id);
  const reserveOwners: ReserveOwners = (deliveries) => {
    const reservation: (typeof reservations)[number] = { wanted: idsOf(deliveries), committed: null };
    return {
      owners: new Map(
        deliveries
          .filter((_, index) => index % 3 !== 2)
          .map(({ id }) => [id, { id: `grp_${id}`, isQueued: false }]),
      ),
      committed: (inserted) => void reservations.push({ ...reservation, committed: idsOf(inserted) }),
      release: () => void reservations.push(reservation),
    };
  };
  return { reservations, reserveOwners };
}

const ownersOf = async (ids: readonly string[]) => {
  const { rows } = await service.pool.query<{ id: string; ownerId: string | null }>(
    `select id, owner_id as "ownerId" from deliveries where id = any($1) order by id`,
    [ids],
  );
  return rows.map(({ id, ownerId }) => [id, ownerId]);
};

test('owners are reserved before the insert, are in the rows, and committed deliveries are reported', async () => {
  const { reservations, reserveOwners } = watchReservations();
  const { publish } = newPublisher(reserveOwners);
  const { accountId } = await newAccount(4);
  const [accepted] = (await publish([newEvent(accountId, { id: 'one' })])) ?? [];
  const deliveries = accepted?.kind === 'accepted' ? accepted.event.deliveries : [];
  expect(deliveries.map(({ status }) => status)).toEqual(['pending', 'held', 'pending', 'held']);
  const [first, , third] = deliveries.map(({ id }) => id);
  expect(reservations).toEqual([{ wanted: [first, third], committed: [first, third] }]);
  const rows = await ownersOf(deliveries.map(({ id }) => id));
  expect(rows.map(([, ownerId]) => ownerId)).toEqual([`grp_${first}`, null, `grp_${third}`, null]);

  // Nothing new: nothing is started. Of two, the new one alone.
  await publish([newEvent(accountId, { id: 'one' })]);
  expect(reservations[1]?.committed).toBeNull();
  const both = await publish([newEvent(accountId, { id: 'one' }), newEvent(accountId, { id: 'two' })]);
  const [again, fresh] = both ?? [];
  expect([again?.kind, fresh?.kind]).toEqual(['duplicate', 'accepted']);
  expect(reservations[2]?.wanted).toHaveLength(4);
  const started = await ownersOf(reservations[2]?.committed ?? []);
  expect(
    fresh?.kind === 'accepted' &&
      fresh.event.deliveries.flatMap(({ id, status }) => (status === 'pending' ? id : [])),
  ).toEqual(started.map(([id]) => id));
  // No webhook, no reservation.
  const { accountId: lonely } = await newAccount(0);
  await publish([newEvent(lonely)]);
  expect(reservations).toHaveLength(3);
});

test('a delivery that is queued is due for the reconciler at once, any other only if its start is late', async () => {
  const { accountId } = await newAccount();
  // Not committed, so that no reconciler claims it.
  const { isDue } = await withTransaction(service.pool, async (client) => {
    const due: boolean[][] = [];
    for (const isQueued of [true, false]) {
      const reserveOwners: ReserveOwners = (deliveries) => ({
        owners: new Map(deliveries.map(({ id }) => [id, { id, isQueued }])),
        committed: () => undefined,
        release: () => undefined,
      });
      const event = newEvent(accountId);
      await acceptEvents(client, [event], { reserveOwners });
      const { rows } = await client.query<{ isDue: boolean }>(
        `select reconcile_at <= now() as "isDue" from deliveries where event_id = $1 and status = 'pending'`,
        [event.id],
      );
      due.push(rows.map((row) => row.isDue));
    }
    await client.query(`delete from deliveries where account_id = $1`, [accountId]);
    return { isDue: due };
  });
  expect(isDue).toEqual([[true], [false]]);
});

test("in a caller's own transaction nothing is reserved: the dispatcher assigns the owners after the commit", async () => {
  const { accountId } = await newAccount();
  const accepted = await withTransaction(service.pool, (client) =>
    acceptEvents(client, [newEvent(accountId)]),
  );
  const [first] = accepted;
  const ids = first?.kind === 'accepted' ? first.event.deliveries.map(({ id }) => id) : [];
  expect(ids.length).toBeGreaterThan(0);
  expect((await ownersOf(ids)).map(([, ownerId]) => ownerId)).toEqual(ids.map(() => null));
});

test('an event that PostgreSQL refuses fails alone: its neighbors in the same statement are accepted', async () => {
  const { reservations, reserveOwners } = watchReservations();
  const { publish } = newPublisher(reserveOwners);
  const { accountId } = await newAccount();
  // No request can hold it: a text that PostgreSQL does not take.
  const bad = newEvent(accountId, { type: 'document.\0' });
  const results = await Promise.allSettled([
    publish([newEvent(accountId), newEvent(accountId)]),
    publish([bad]),
    ...Array.from({ length: 10 }, () => publish([newEvent(accountId)])),
  ]);
  expect(results.map(({ status }) => status)).toEqual(
    results.map((_, index) => (index === 1 ? 'rejected' : 'fulfilled')),
  );
  const { rows } = await service.pool.query(
    `select count(*)::int as events, (select count(*)::int from deliveries where account_id = $1) as deliveries
     from events where account_id = $1`,
    [accountId],
  );
  expect(rows).toEqual([{ events: 12, deliveries: 12 }]);
  const started = reservations.flatMap(({ committed }) => committed ?? []);
  expect(new Set(started).size).toBe(12);
  expect(started).toHaveLength(12);
});

test('requests that share ids in opposite orders, over connections and processes, do not lock up', async () => {
  const { accountId } = await newAccount();
  const publishers = [1, 2, 3].map(() => newPublisher(watchReservations().reserveOwners));
  const ids = Array.from({ length: 300 }, () => newId('evt'));
  const orders = [ids, ids.toReversed(), [...ids].sort(() => Math.random() - 0.5)];
  const responses = await Promise.all(
    orders.flatMap((order) =>
      publishers.map(({ publish }) => publish(order.map((id) => newEvent(accountId, { id })))),
    ),
  );
  const kinds = responses.flat().map((acceptance) => acceptance?.kind);
  expect(kinds.filter((kind) => kind === 'accepted')).toHaveLength(300);
  expect(kinds.filter((kind) => kind === 'duplicate')).toHaveLength(8 * 300);
  const { rows } = await service.pool.query<{ count: number }>(
    `select count(*)::int as count from deliveries where account_id = $1`,
    [accountId],
  );
  expect(rows[0]?.count).toBe(300);
});

test('an account that is not there, a duplicate and a conflict in one statement have the same results as alone', async () => {
  const { publish } = newPublisher(watchReservations().reserveOwners);
  const { accountId } = await newAccount();
  await publish([newEvent(accountId, { id: 'known' })]);
  const responses = await publish([
    newEvent('acc_none'),
    newEvent(accountId, { id: 'known' }),
    newEvent(accountId, { id: 'known', data: { document_id: 'other', dataset_id: 's' } }),
    newEvent(accountId, { id: 'new' }),
    newEvent(accountId, { id: 'new', data: { dataset_id: 's', document_id: 'd' } }),
    newEvent(accountId, { id: 'new', data: 1 }),
    newEvent(accountId, { apiKeyId: 'key_none' }),
  ]);
  expect(responses?.map(({ kind }) => kind)).toEqual([
    'no_account',
    'duplicate',
    'conflict',
    'accepted',
    'duplicate',
    'conflict',
    'key_refused',
  ]);
});

test('exactly as many events as there is room for wait for a database that is stuck; one more is refused with 503', async () => {
  const { key, accountId } = await service.newAccount();
  const event = { event: 'document.deleted', data: { document_id: 'd', dataset_id: 's' } };
  const batch = () =>
    call<{ code: string; data: { status: number }[] }>(service.apiUrl, key, 'POST', '/v1/events/batch', {
      events: Array.from({ length: 500 }, () => event),
    });
  const blocker = await service.pool.connect();
  await blocker.query('begin');
  await blocker.query('lock table events in access exclusive mode');
  const responses: Awaited<ReturnType<typeof batch>>[] = [];
  const room = maxUnwritten.events / 500;
  const publishes = Array.from({ length: room + 2 }, async () => void responses.push(await batch()));
  await until(
    () => responses.length,
    (count) => count === 2,
  );
  for (const { status, body, headers } of responses) {
    expect([status, body.code, headers.get('retry-after')]).toEqual([503, 'unavailable', '1']);
  }
  // It continues with all others.
  expect((await call(service.apiUrl, key, 'GET', '/v1/webhooks')).status).toBe(200);
  await blocker.query('rollback');
  blocker.release();
  await Promise.all(publishes);
  const accepted = responses.filter(({ status }) => status === 207);
  expect(accepted).toHaveLength(room);
  expect(accepted.flatMap(({ body }) => body.data).every(({ status }) => status === 202)).toBe(true);
  const { rows } = await service.pool.query<{ count: number }>(
    `select count(*)::int as count from events where account_id = $1`,
    [accountId],
  );
  expect(rows[0]?.count).toBe(maxUnwritten.events);
  expect((await batch()).status).toBe(207);
});
