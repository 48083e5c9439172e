import { afterAll, beforeAll, expect, test } from 'vitest';
import { fillLog, type FilledLog } from '../../bench/log-fill.ts';
import type { DeliveryStatus } from '../../src/contracts/delivery.ts';
import { readAccountStats } from '../../src/db/account-stats.ts';
import {
  findApiKey,
  findNamedKey,
  insertAccountKey,
  listAccountKeys,
  revokeAccountKey,
} from '../../src/db/api-keys-table.ts';
import { readAccountUsage } from '../../src/db/account-usage.ts';
import { searchAccounts } from '../../src/db/accounts.ts';
import { listAttempts } from '../../src/db/attempts.ts';
import { markEndedRun } from '../../src/db/owners.ts';
import { recordAttempts } from '../../src/db/record-attempts.ts';
import { evaluateWebhooks } from '../../src/db/evaluate-webhooks.ts';
import {
  archiveEntries,
  countNotStarted,
  findDelivery,
  reopenDelivery,
  rescheduleDelivery,
  showRescheduled,
} from '../../src/db/deliveries-table.ts';
import { listDeliveries } from '../../src/db/delivery-log.ts';
import { findOwners } from '../../src/db/changes.ts';
import { acceptEvents } from '../../src/db/accept-events.ts';
import type { NewEvent } from '../../src/db/insert-events.ts';
import { listEvents, listUndelivered } from '../../src/db/event-list.ts';
import { readEventTypeStats } from '../../src/db/event-type-stats.ts';
import { findEvent, findWhyRemoved, listOtherWebhooks } from '../../src/db/event-log.ts';
import { emitFailureDigests, notifyFailed } from '../../src/db/failed-deliveries.ts';
import { recordKeyUses } from '../../src/db/key-uses.ts';
import { loadAttempts } from '../../src/db/load-attempts.ts';
import { withTransaction } from '../../src/db/pool.ts';
import {
  claimPage,
  countRecoverable,
  insertMissed,
  type RecoveryToRun,
} from '../../src/db/recovery-pages.ts';
import { search } from '../../src/db/search.ts';
import { nextStep, removeOld } from '../../src/db/retention.ts';
import {
  assignOwners,
  checkAgain,
  claimDue,
  dropOwner,
  lockUnowned,
  markRunning,
  moveToOwn,
  readClaimed,
  writeRun,
} from '../../src/db/owners.ts';
import { checkQueue, claimQueues } from '../../src/db/queue-checks.ts';
import { correctQueue, takeSlots } from '../../src/db/rate-limit-slots.ts';
import { endPauses, pauseWebhook, resumeWebhook } from '../../src/db/pause-webhook.ts';
import { cancelDelivery, endCanceled, expireHeld, stopOrGoOn } from '../../src/db/stop-delivery.ts';
import { claimWebhooksToSync } from '../../src/db/sync-deliveries.ts';
import { readWaiting } from '../../src/db/waiting.ts';
import { readAccountRangeStats, readRangeStats } from '../../src/db/range-stats.ts';
import { readCap, readStats } from '../../src/db/read-stats.ts';
import { deleteWebhook } from '../../src/db/delete-webhook.ts';
import { changeHealth, judgeWebhooks, paceAfter } from '../../src/db/webhook-health.ts';
import { findWebhook, findWebhookId, listWebhooks, updateWebhook } from '../../src/db/webhooks-table.ts';
import { newId } from '../../src/domain/ids.ts';
import { digestOfKey } from '../../src/security/api-keys.ts';
import { createMigratedDatabase, type TestDatabase } from '../kit/database.ts';
import { explainedPool, rowsRead, wholeReads, type Explained } from '../kit/explained-pool.ts';

const rowsInAll = 20_000;
let database: TestDatabase;
let log: FilledLog;
let keyId: string;
beforeAll(async () => {
  database = await createMigratedDatabase();
  log = await fillLog(database.pool, rowsInAll);
  // Webhooks of many accounts: few are rightly read faster without an index.
  await database.pool.query(
    `with owners as (insert into accounts (id, name) select 'acc_' || n, 'other' from generate_series(1, 100) as n returning id),
       made as (insert into webhooks (id, account_id, url, events, active, sealed_secret)
         select 'wh_' || n || owners.id, owners.id, 'https://example.com/', '{*}', true, 'none'
         from owners, generate_series(1, 50) as n returning id)
     insert into rate_limit_queues (webhook_id, check_at) select id, now() + interval '1 day' from made`,
  );
  // So are keys; the account's own is one of many.
  await database.pool.query(
    `insert into api_keys (id, account_id, name, hint, digest, scopes)
     select 'key_' || a.id || '_' || n, a.id, 'other', '', sha256((a.id || '_' || n)::bytea), '{}'
     from accounts a, generate_series(1, 50) as n`,
  );
  const { rows } = await database.pool.query<{ id: string }>(`select id from api_keys where digest = $1`, [
    digestOfKey(log.key),
  ]);
  keyId = rows[0]?.id ?? '';
  await database.pool.query(`analyze webhooks, rate_limit_queues, api_keys`);
}, 300_000);
afterAll(() => database.drop());

const hourMs = 3_600_000;
const ago = (ms: number) => new Date(Date.now() - ms);

/** Runs the statements of the service; returns their plans. */
async function plansOf(run: (pool: TestDatabase['pool']) => Promise<unknown>): Promise<Explained[]> {
  const { pool, taken } = explainedPool(database.pool);
  await run(pool);
  return taken();
}

const idsOf = async (status: DeliveryStatus, count: number, webhookId = log.busiestId): Promise<string[]> =>
  (
    await database.pool.query<{ id: string }>(
      `select id from deliveries where status = $1 and webhook_id = $2 order by id desc limit $3`,
      [status, webhookId, count],
    )
  ).rows.map(({ id }) => id);

const newEvents = (count: number): NewEvent[] =>
  Array.from({ length: count }, () => ({
    accountId: log.accountId,
    id: newId('evt'),
    type: 'document.deleted',
    data: {},
    timestamp: null,
    acceptedTimestamp: '2024-01-10T12:00:00Z',
    body: Buffer.from('{"data":{}}'),
  }));

const reads: Record<string, (pool: TestDatabase['pool']) => Promise<unknown>> = {
  'an API key': (pool) => findApiKey(pool, digestOfKey(log.key), 'production'),
  "a session's key": (pool) => findNamedKey(pool, keyId, 'production'),
  "the account's keys": (pool) => listAccountKeys(pool, log.accountId, null, 51),
  'its keys, further down': (pool) => listAccountKeys(pool, log.accountId, keyId, 51),
  'a new key': (pool) =>
    withTransaction(pool, (client) =>
      insertAccountKey(client, {
        accountId: log.accountId,
        name: '',
        hint: '',
        digest: digestOfKey('new'),
        scopes: [],
      }),
    ),
  'a key that is revoked': (pool) => revokeAccountKey(pool, log.accountId, 'key_none'),
  'when keys were last used': (pool) => recordKeyUses(pool, new Map([[keyId, Date.now()]]), 60_000),
  'statistics of all webhooks': (pool) => readAccountStats(pool, log.accountId, new Date()),
  'statistics of all webhooks, in a range': (pool) =>
    readAccountRangeStats(pool, log.accountId, '30d', new Date()),
  'statistics of a webhook, in a range': (pool) => readRangeStats(pool, log.busiestId, '30d', new Date()),
  'accounts by a search': (pool) => searchAccounts(pool, 'acc_9', 50),
  'usage of accounts': (pool) => readAccountUsage(pool, [log.accountId], ago(24 * hourMs)),
  'statistics by event type': (pool) => readEventTypeStats(pool, log.accountId, new Date()),
  'a delivery': (pool) => findDelivery(pool, log.accountId, log.deliveryId),
  'its attempts': (pool) => listAttempts(pool, log.deliveryId),
  events: (pool) => listEvents(pool, log.accountId, {}, { before: null, limit: 50 }),
  'events, further down': (pool) =>
    listEvents(
      pool,
      log.accountId,
      {},
      { before: { createdAt: ago(10 * 24 * hourMs).toISOString(), id: log.eventId }, limit: 50 },
    ),
  'events of a type and a label, in a range': (pool) =>
    listEvents(
      pool,
      log.accountId,
      { eventType: 'document.deleted', label: 'none', since: ago(20 * 24 * hourMs), until: ago(hourMs) },
      { before: null, limit: 50 },
    ),
  'undelivered events': (pool) =>
    listUndelivered(pool, log.accountId, {}, { before: log.deliveryId, limit: 50 }),
  'undelivered events of a type, in a range': (pool) =>
    listUndelivered(
      pool,
      log.accountId,
      { eventType: 'document.deleted', label: 'none', since: ago(20 * 24 * hourMs), until: ago(hourMs) },
      { before: null, limit: 50 },
    ),
  'the deliveries of an event': (pool) =>
    listDeliveries(pool, log.accountId, {
      eventId: log.eventId,
      errors: ['server_error'],
      before: null,
      limit: 51,
    }),
  'the webhooks without a delivery of an event': (pool) =>
    listOtherWebhooks(pool, log.accountId, log.eventId),
  'a search by id': (pool) => search(pool, log.accountId, log.deliveryId),
  'a search by URL': (pool) => search(pool, log.accountId, 'https://example.com/'),
  'an event': (pool) => findEvent(pool, log.accountId, log.eventId),
  'its body': (pool) => findWhyRemoved(pool, log.accountId, log.eventId),
  webhooks: (pool) => listWebhooks(pool, log.accountId, { before: null, limit: 51 }),
  'webhooks, by metadata': (pool) =>
    listWebhooks(pool, log.accountId, {
      before: log.busiestId,
      limit: 51,
      metadata: { name: 'plan', value: 'pro' },
    }),
  'webhooks, by external id': (pool) =>
    listWebhooks(pool, log.accountId, { before: null, limit: 51, externalId: 'customer-42' }),
  'the id of an external id': (pool) => findWebhookId(pool, log.accountId, 'customer-42'),
  'a webhook': (pool) => findWebhook(pool, log.accountId, log.busiestId),
  'its statistics': (pool) => readStats(pool, log.busiestId, new Date()),
  'its hourly cap': (pool) => readCap(pool, log.busiestId, 1000),
  'the owners of changes': async (pool) =>
    findOwners(pool, [...(await idsOf('delivered', 50)), log.busiestId, log.deadId, 'op_none']),
  backlog: (pool) => countNotStarted(pool, 1_000_000),
};
test.each(Object.keys(reads))('no table is read whole for: %s', async (name) => {
  const plans = await plansOf(async (pool) => reads[name]?.(pool));
  expect(plans.length).toBeGreaterThan(0);
  expect(wholeReads(plans)).toEqual([]);
});

test('waiting deliveries are counted by indexes, and no further than the bound', async () => {
  const { rows } = await database.pool.query<{ status: string; count: number }>(
    `select status, count(*)::int as count from deliveries group by status`,
  );
  const countOf = (wanted: string) => rows.find(({ status }) => status === wanted)?.count ?? 0;
  const { pool, taken } = explainedPool(database.pool, { analyze: true });
  const [pending, retrying, held] = ['pending', 'retrying', 'held'].map(countOf);
  expect(await readWaiting(pool, rowsInAll)).toMatchObject({ pending, retrying, held });
  const bound = 5;
  expect(Math.min(countOf('pending'), countOf('retrying') + countOf('held'))).toBeGreaterThan(bound);
  const bounded = await readWaiting(pool, bound);
  expect([bounded.pending, bounded.retrying + bounded.held <= bound]).toEqual([bound, true]);
  const explained = taken();
  expect(wholeReads(explained)).toEqual([]);
  const last = explained.filter(({ isGeneric }) => !isGeneric).at(-1);
  // Three counts of pending ones, two indexes of the reconciler, and the oldest of two kinds, twice.
  const read = rowsRead(last?.nodes ?? [], 'deliveries');
  expect([read >= bound, read <= 5 * bound + 4]).toEqual([true, true]);
});

test('publishing, known events included, reads little', async () => {
  const events = newEvents(20);
  const plans = await plansOf(async (pool) => {
    await withTransaction(pool, (client) => acceptEvents(client, events));
    await withTransaction(pool, (client) => acceptEvents(client, events));
    await notifyFailed(pool, [
      {
        accountId: log.accountId,
        webhookId: log.deadId,
        deliveryId: log.deliveryId,
        number: 1,
        eventId: log.eventId,
        eventType: 'document.deleted',
        reason: 'client_error',
      },
    ]);
    await emitFailureDigests(pool);
  });
  expect(plans.length).toBeGreaterThan(5);
  // This log has one key, and nearly all webhooks are the account's: both are read whole because all of it is wanted.
  const grown = wholeReads(plans).filter((read) => !/^(webhooks|api_keys): /.test(read));
  expect(grown).toEqual([]);
});

test('assigning, starting, attempting, deferring and signaling read little', async () => {
  const ids = await idsOf('pending', 20);
  const [first = '', second = '', third = ''] = ids;
  expect(ids.length).toBeGreaterThan(5);
  const now = new Date();
  const entry = { at: now.toISOString(), type: 'wait' as const, seconds: 1, until: now.toISOString() };
  const plans = await plansOf(async (pool) => {
    await lockUnowned(pool, 200);
    await assignOwners(
      pool,
      ids.map((id) => ({ id, ownerId: id, isQueued: false })),
    );
    await claimDue(pool, 'start', 200);
    await claimDue(pool, 'check', 200);
    await readClaimed(pool, first);
    await checkAgain(
      pool,
      ids.map((id) => ({ id, lease: 'now' })),
      300,
    );
    await writeRun(pool, first, 'run');
    await markRunning(pool, { id: first, lease: 'now' }, 'run');
    await moveToOwn(pool, ids, 'grp_none');
    await dropOwner(pool, first, first);
    const contexts = await loadAttempts(
      pool,
      ids.map((deliveryId) => ({ deliveryId, number: 1 })),
      1000,
    );
    expect(contexts).toHaveLength(ids.length);
    const [context] = contexts;
    await takeSlots(
      pool,
      context?.webhookId ?? '',
      { cap: 1, grantMs: 15_000 },
      ids.map((deliveryId) => ({
        deliveryId,
        number: 1,
        webhookId: context?.webhookId ?? '',
        ownerId: deliveryId,
        runId: 'run',
        notes: [],
        entryOf: () => entry,
      })),
    );
    await correctQueue(pool, context?.webhookId ?? '', { cap: 1, grantMs: 15_000 });
    await checkQueue(pool, context?.webhookId ?? '');
    await claimQueues(pool, 50);
    await rescheduleDelivery(pool, { deliveryId: first, until: now, entries: [entry] });
    await showRescheduled(pool, first, now);
    await archiveEntries(pool, first, [entry]);
    await recordAttempts(
      pool,
      contexts.map(({ deliveryId, webhookId, activation }) => ({
        id: newId('att'),
        deliveryId,
        webhookId,
        activation,
        countsForCap: true,
        request: {
          url: 'https://your-app.com/webhooks/fltr',
          format: 'fltr',
          bodyBytes: 100,
          headersAs: null,
        },
        number: 1,
        startedAt: now,
        durationMs: 36,
        statusCode: 200,
        outcome: 'delivered',
        errorCode: null,
        errorDetail: null,
        waitSeconds: null,
        response: null,
        status: 'delivered',
        reason: null,
        nextAttemptAt: null,
        endedAt: now,
        run: { workflowId: deliveryId, runId: 'run' },
        entries: [],
        nextEntries: [],
      })),
    );
    await markEndedRun(pool, first, 'run');
    for (const id of [first, second, third]) await reopenDelivery(pool, { id, attemptCount: 1 }, 'own');
    await stopOrGoOn(pool, { deliveryId: first, ownerId: first, notes: [] });
    await cancelDelivery(pool, { deliveryId: second, entries: [], isByRun: true });
    await endCanceled(pool, [third], 'terminated');
  });
  expect(plans.length).toBeGreaterThan(20);
  expect(wholeReads(plans)).toEqual([]);
  // Rows that are found by their ids are found by nothing else: not by reading all of a partial index that they are in.
  const byIds = plans.filter(({ text }) => /^\s*update deliveries d\b[^;]*\bunnest\(/.test(text));
  expect(byIds.length).toBeGreaterThan(3);
  for (const { nodes, text } of byIds)
    expect(new Set(nodes.flatMap((node) => node['Index Name'] ?? [])), text).toEqual(
      new Set(['deliveries_pkey']),
    );
});

test('health, pacing and pauses read little', async () => {
  const run = explainedPool(database.pool);
  const { pool } = run;
  const { accountId, busiestId: id } = log;
  const target = { accountId, id, record: () => Promise.resolve() };
  await updateWebhook(database.pool, accountId, id, { probe_when_down: true });
  await judgeWebhooks(pool, '');
  await changeHealth(pool, [id]);
  await paceAfter(pool, id, 'failed');
  await database.pool.query(`update webhooks set next_probe_at = now() where id = $1`, [id]);
  await paceAfter(pool, id, 'succeeded');
  await pauseWebhook(pool, target, { until: new Date(), reason: null });
  await endPauses(pool);
  await resumeWebhook(pool, target, 5);
  const plans = run.taken();
  expect(plans.length).toBeGreaterThan(10);
  expect(wholeReads(plans)).toEqual([]);
});

test('holding, releasing, discarding and canceling read no ended deliveries', async () => {
  const run = explainedPool(database.pool);
  const { pool } = run;
  const [held = ''] = await idsOf('held', 1, log.heldId);
  await expireHeld(pool, held);
  const { accountId } = log;
  await updateWebhook(pool, accountId, log.busiestId, { active: false });
  await updateWebhook(pool, accountId, log.busiestId, { active: true });
  await updateWebhook(pool, accountId, log.heldId, { active: true, held: 'discard' });
  await deleteWebhook(pool, accountId, log.busiestId);
  await claimWebhooksToSync(pool, 10);
  await evaluateWebhooks(pool, '', 10);
  const plans = run.taken();
  expect(plans.length).toBeGreaterThan(10);
  expect(wholeReads(plans)).toEqual([]);
  const used = plans.flatMap(({ nodes }) => nodes.map((node) => node['Index Name']));
  expect(used).toContain('deliveries_pending');
  // These find all that was ever sent.
  expect(used).not.toContain('deliveries_of_webhook');
  expect(used).not.toContain('deliveries_of_account');
});

test('a recovery of some hours counts, looks for its next page, and fills it in', async () => {
  const { rows } = await database.pool.query<{ now: Date }>(`select now() as now`);
  const now = rows[0]?.now ?? new Date();
  const recovery: RecoveryToRun = {
    id: newId('rec'),
    accountId: log.accountId,
    webhookId: log.busiestId,
    requestedBy: 'key_1',
    status: 'running',
    isDryRun: false,
    total: 0,
    done: 0,
    failed: 0,
    since: ago(6 * hourMs),
    until: now,
    kind: null,
    filters: ['*'],
    filter: null,
    createdAt: now,
    endedAt: null,
    cursorAt: null,
    cursorId: null,
    pageNumber: 0,
    page: null,
    isActive: true,
    isWebhookDeleted: false,
  };
  const [event] = newEvents(1);
  const plans = await plansOf(async (pool) => {
    await countRecoverable(pool, { ...recovery, endedBefore: now, retentionDays: 90 });
    await claimPage(pool, recovery, 50, 90);
    // The bodies of this log are no real ones.
    const filter = { path: '/event', op: 'prefix', value: 'document.' } as const;
    await countRecoverable(pool, { ...recovery, filter, endedBefore: now, retentionDays: 90 });
    const until = ago(20 * 24 * hourMs);
    const cursorAt = new Date(until.getTime() - 6 * hourMs).toISOString();
    const after = { ...recovery, since: ago(29 * 24 * hourMs), until, cursorAt, cursorId: 'evt_' };
    await claimPage(pool, after, 50, 90);
    const item = {
      eventId: event?.id ?? '',
      eventType: 'document.deleted',
      deliveryId: newId('dlv'),
      isNew: true,
    };
    await insertMissed(pool, recovery, [item]);
  });
  expect(plans.length).toBeGreaterThan(4);
  expect(wholeReads(plans)).toEqual([]);
});

test('the removal of old rows looks at old rows only', async () => {
  for (let step = nextStep(null); step !== null; step = nextStep(step)) {
    const name = step;
    const plans = await plansOf((pool) => removeOld(pool, name, { payloadDays: 28, days: 28 }, 20));
    expect(plans).toHaveLength(1);
    expect(wholeReads(plans), name).toEqual([]);
  }
});
