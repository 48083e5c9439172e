import { afterAll, beforeAll, expect, test } from 'vitest';
import { acceptEvents, type NewEvent } from '../src/db/accept-events.ts';
import { createAccount } from '../src/db/accounts.ts';
import type { Startable } from '../src/db/deliveries.ts';
import { createPublisher, maxUnanswered } from '../src/db/publisher.ts';
import { withTransaction } from '../src/db/pool.ts';
import { startAfterCommit, type PlanStarts } from '../src/db/start-plan.ts';
import { newId } from '../src/domain/ids.ts';
import { wireBody } from '../src/domain/wire-body.ts';
import { call, startService, until, type Service } from './kit/service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({}, 'api');
});
afterAll(() => service.stop());

/** An account with that many webhooks, every second one not active. */
async function newAccount(webhooks = 1): Promise<{ accountId: string; webhookIds: string[] }> {
  const { id: accountId } = await createAccount(service.pool, 'test');
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

/** A plan that gives every delivery a workflow of another name, and keeps what it was told. */
function watchedPlan() {
  const told: { planned: string[]; started: string[] | null }[] = [];
  const idsOf = (deliveries: readonly Startable[]) => deliveries.map(({ id }) => id);
  const planStarts: PlanStarts = (deliveries) => {
    const plan: (typeof told)[number] = { planned: idsOf(deliveries), started: null };
    return {
      workflowIds: deliveries.map(({ id }, index) => (index % 3 === 2 ? null : `wf-${id}`)),
      start: (inserted) => void told.push({ ...plan, started: idsOf(inserted) }),
      cancel: () => void told.push(plan),
    };
  };
  return { told, planStarts };
}

const workflowIdsOf = async (ids: readonly string[]) => {
  const { rows } = await service.pool.query<{ id: string; workflowId: string | null }>(
    `select id, workflow_id as "workflowId" from deliveries where id = any($1) order by id`,
    [ids],
  );
  return rows.map(({ id, workflowId }) => [id, workflowId]);
};

test('the plan is asked before for what is to be started, its workflows stand in the rows, and it is told what came of it', async () => {
  const { told, planStarts } = watchedPlan();
  const { publish } = createPublisher(service.pool, planStarts);
  const { accountId } = await newAccount(4);
  const [accepted] = await publish([newEvent(accountId, { id: 'one' })]);
  const deliveries = accepted?.kind === 'accepted' ? accepted.event.deliveries : [];
  expect(deliveries.map(({ status }) => status)).toEqual(['pending', 'held', 'pending', 'held']);
  const [first, , third] = deliveries.map(({ id }) => id);
  expect(told).toEqual([{ planned: [first, third], started: [first, third] }]);
  const rows = await workflowIdsOf(deliveries.map(({ id }) => id));
  expect(rows.map(([, workflowId]) => workflowId)).toEqual([`wf-${first}`, null, `wf-${third}`, null]);

  // Nothing new: nothing is started. Of two, the new one alone.
  await publish([newEvent(accountId, { id: 'one' })]);
  expect(told[1]?.started).toBeNull();
  const [again, fresh] = await publish([
    newEvent(accountId, { id: 'one' }),
    newEvent(accountId, { id: 'two' }),
  ]);
  expect([again?.kind, fresh?.kind]).toEqual(['duplicate', 'accepted']);
  expect(told[2]?.planned).toHaveLength(4);
  const started = await workflowIdsOf(told[2]?.started ?? []);
  expect(
    fresh?.kind === 'accepted' &&
      fresh.event.deliveries.flatMap(({ id, status }) => (status === 'pending' ? id : [])),
  ).toEqual(started.map(([id]) => id));
  // No webhook, no plan.
  const { accountId: lonely } = await newAccount(0);
  await publish([newEvent(lonely)]);
  expect(told).toHaveLength(3);
});

test("in a caller's own transaction the plan is told at its end: of the commit, or of nothing", async () => {
  const { told, planStarts } = watchedPlan();
  const { accountId } = await newAccount();
  const run = async (fails: boolean) => {
    const starts = startAfterCommit(planStarts);
    try {
      await withTransaction(service.pool, async (client) => {
        await acceptEvents(client, [newEvent(accountId)], starts);
        expect(told).toEqual([]);
        if (fails) throw new Error('no');
      });
      starts.committed();
    } catch {
      starts.rolledBack();
    }
    return told.splice(0);
  };
  const [committed] = await run(false);
  expect(committed?.started).toEqual(committed?.planned);
  expect(await workflowIdsOf(committed?.planned ?? [])).toHaveLength(1);
  const [rolledBack] = await run(true);
  expect(rolledBack?.started).toBeNull();
  expect(await workflowIdsOf(rolledBack?.planned ?? [])).toEqual([]);
});

test('what PostgreSQL refuses fails alone: its neighbors in the same statement are accepted', async () => {
  const { told, planStarts } = watchedPlan();
  const { publish } = createPublisher(service.pool, planStarts);
  const { accountId } = await newAccount();
  // No request can hold it: a text that PostgreSQL does not take.
  const bad = newEvent(accountId, { type: 'document.\0' });
  const settled = await Promise.allSettled([
    publish([newEvent(accountId), newEvent(accountId)]),
    publish([bad]),
    ...Array.from({ length: 10 }, () => publish([newEvent(accountId)])),
  ]);
  expect(settled.map(({ status }) => status)).toEqual(
    settled.map((_, index) => (index === 1 ? 'rejected' : 'fulfilled')),
  );
  const { rows } = await service.pool.query(
    `select count(*)::int as events, (select count(*)::int from deliveries where account_id = $1) as deliveries
     from events where account_id = $1`,
    [accountId],
  );
  expect(rows).toEqual([{ events: 12, deliveries: 12 }]);
  const started = told.flatMap(({ started }) => started ?? []);
  expect(new Set(started).size).toBe(12);
  expect(started).toHaveLength(12);
});

test('requests that share ids in opposite orders, over connections and processes, do not lock up', async () => {
  const { accountId } = await newAccount();
  const publishers = [1, 2, 3].map(() => createPublisher(service.pool, watchedPlan().planStarts));
  const ids = Array.from({ length: 300 }, () => newId('evt'));
  const orders = [ids, ids.toReversed(), [...ids].sort(() => Math.random() - 0.5)];
  const answers = await Promise.all(
    orders.flatMap((order) =>
      publishers.map(({ publish }) => publish(order.map((id) => newEvent(accountId, { id })))),
    ),
  );
  const kinds = answers.flat().map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind === 'accepted')).toHaveLength(300);
  expect(kinds.filter((kind) => kind === 'duplicate')).toHaveLength(8 * 300);
  const { rows } = await service.pool.query<{ count: number }>(
    `select count(*)::int as count from deliveries where account_id = $1`,
    [accountId],
  );
  expect(rows[0]?.count).toBe(300);
});

test('an account that is not there, a duplicate and a conflict in one statement are each answered as alone', async () => {
  const { publish } = createPublisher(service.pool, watchedPlan().planStarts);
  const { accountId } = await newAccount();
  await publish([newEvent(accountId, { id: 'known' })]);
  const answers = await publish([
    newEvent('acc_none'),
    newEvent(accountId, { id: 'known' }),
    newEvent(accountId, { id: 'known', data: { document_id: 'other', dataset_id: 's' } }),
    newEvent(accountId, { id: 'new' }),
    newEvent(accountId, { id: 'new', data: { dataset_id: 's', document_id: 'd' } }),
    newEvent(accountId, { id: 'new', data: 1 }),
    newEvent(accountId, { apiKeyId: 'key_none' }),
  ]);
  expect(answers.map(({ kind }) => kind)).toEqual([
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
  const answers: Awaited<ReturnType<typeof batch>>[] = [];
  const room = maxUnanswered.events / 500;
  const publishes = Array.from({ length: room + 2 }, async () => void answers.push(await batch()));
  await until(
    () => answers.length,
    (count) => count === 2,
  );
  for (const { status, body, headers } of answers) {
    expect([status, body.code, headers.get('retry-after')]).toEqual([503, 'unavailable', '1']);
  }
  // It goes on with all else.
  expect((await call(service.apiUrl, key, 'GET', '/v1/webhooks')).status).toBe(200);
  await blocker.query('rollback');
  blocker.release();
  await Promise.all(publishes);
  const accepted = answers.filter(({ status }) => status === 207);
  expect(accepted).toHaveLength(room);
  expect(accepted.flatMap(({ body }) => body.data).every(({ status }) => status === 202)).toBe(true);
  const { rows } = await service.pool.query<{ count: number }>(
    `select count(*)::int as count from events where account_id = $1`,
    [accountId],
  );
  expect(rows[0]?.count).toBe(maxUnanswered.events);
  expect((await batch()).status).toBe(207);
}, 120_000);
