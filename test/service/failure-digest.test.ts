import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureAccount } from '../../src/db/accounts.ts';
import { recordAttempts } from '../../src/db/record-attempts.ts';
import { emitFailureDigests, notifyFailed, type FailedDelivery } from '../../src/db/failed-deliveries.ts';
import { withTransaction } from '../../src/db/pool.ts';
import { insertWebhook } from '../../src/db/webhooks-table.ts';
import { newId } from '../../src/domain/ids.ts';
import { createMigratedDatabase, type TestDatabase } from '../kit/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

/** An account with a webhook that fails, and by default one that is notified; see `events`. */
async function account(events = ['delivery.failed']) {
  const { pool } = database;
  const accountId = newId('acc');
  await ensureAccount(pool, accountId, 'test');
  const newWebhook = async (filters: string[]): Promise<string> => {
    const id = newId('wh');
    const webhook = {
      id,
      accountId,
      url: 'https://your-app.com/webhooks/fltr',
      events: filters,
      description: null,
      active: true,
      format: 'fltr' as const,
      externalId: null,
      metadata: {},
      sealedSecret: 'sealed',
    };
    await withTransaction(pool, (client) => insertWebhook(client, webhook, 100));
    return id;
  };
  const failing = await newWebhook(['document.*']);
  const alerts = await newWebhook(events);
  const emitted = async () =>
    (
      await pool.query<{ id: string; data: Record<string, unknown> }>(
        `select e.id, convert_from(e.body, 'UTF8')::jsonb -> 'data' as data
         from events e join deliveries d on d.account_id = e.account_id and d.event_id = e.id
         where e.account_id = $1 and e.type = 'delivery.failed' and d.webhook_id = $2 order by e.created_at, e.id`,
        [accountId, alerts],
      )
    ).rows;
  return { accountId, failing, emitted: emitted };
}

/** Deliveries whose first attempt ended them. */
async function fail(of: { accountId: string; failing: string }, count: number): Promise<FailedDelivery[]> {
  const failed = Array.from({ length: count }, () => ({
    accountId: of.accountId,
    webhookId: of.failing,
    deliveryId: newId('dlv'),
    number: 1,
    eventId: newId('evt'),
    eventType: 'document.deleted',
    reason: 'client_error' as const,
  }));
  for (const { deliveryId, webhookId, accountId, eventId } of failed)
    await database.pool.query(
      `insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at, owner_id, run_id, reconcile_at)
       values ($1, $2, $3, $4, 'document.deleted', 'pending', now(), $1, 'run', now())`,
      [deliveryId, accountId, webhookId, eventId],
    );
  await recordAttempts(
    database.pool,
    failed.map(({ deliveryId, webhookId }) => ({
      id: newId('att'),
      deliveryId,
      webhookId,
      number: 1,
      startedAt: new Date(),
      durationMs: 10,
      statusCode: 404,
      outcome: 'failed',
      errorCode: 'client_error',
      waitSeconds: null,
      activation: 0,
      countsForCap: true,
      request: { url: 'https://your-app.com/webhooks/fltr', format: 'fltr', bodyBytes: 100, headersAs: null },
      response: null,
      errorDetail: null,
      status: 'failed',
      reason: 'client_error',
      nextAttemptAt: null,
      endedAt: new Date(),
      run: { workflowId: deliveryId, runId: 'run' },
      entries: [],
      nextEntries: [],
    })),
  );
  return failed;
}

/** As if the minute in which they failed were over. */
const passMinute = (webhookId: string) =>
  database.pool.query(
    `update failure_counts set minute = minute - interval '2 minutes' where webhook_id = $1`,
    [webhookId],
  );

test('ten failures of a minute are an event each, the others one, by any process, and however often it is begun', async () => {
  const mine = await account();
  const failed = await fail(mine, 14);
  // Two processes, and both again: a crash lost the results of the first runs.
  for (let runs = 0; runs < 2; runs += 1)
    await Promise.all([notifyFailed(database.pool, failed), notifyFailed(database.pool, failed)]);
  const singles = await mine.emitted();
  expect(singles).toHaveLength(10);
  expect(singles[0]).toMatchObject({
    data: { webhook_id: mine.failing, reason: 'client_error', attempts: 1 },
  });
  // The minute is not over.
  await emitFailureDigests(database.pool);
  expect(await mine.emitted()).toHaveLength(10);

  await passMinute(mine.failing);
  await Promise.all([emitFailureDigests(database.pool), emitFailureDigests(database.pool)]);
  await notifyFailed(database.pool, failed);
  await passMinute(mine.failing);
  await emitFailureDigests(database.pool);
  const digests = (await mine.emitted()).filter(({ data }) => 'count' in data);
  expect(digests.map(({ data }) => data)).toEqual([
    { webhook_id: mine.failing, count: 4, since: expect.any(String), until: expect.any(String) },
  ]);
  expect(await mine.emitted()).toHaveLength(11);
});

test('failures of one minute that come one after the other are counted together, those of a later one separately', async () => {
  const mine = await account();
  const failed = await fail(mine, 12);
  for (const each of failed) await notifyFailed(database.pool, [each]);
  const total = async () =>
    (await mine.emitted()).reduce((sum, { data }) => sum + Number(data['count'] ?? 1), 0);
  await passMinute(mine.failing);
  await emitFailureDigests(database.pool);
  // Where the minute ended in between, there may be no digest: each failure is notified once all the same.
  expect(await total()).toBe(12);
  const later = await fail(mine, 3);
  await notifyFailed(database.pool, later);
  expect(await total()).toBe(15);
});

test('where nobody subscribes, nothing is counted', async () => {
  const mine = await account(['document.*']);
  expect(await notifyFailed(database.pool, await fail(mine, 12))).toBe(false);
  const { rows } = await database.pool.query('select 1 from failure_counts where webhook_id = $1', [
    mine.failing,
  ]);
  expect(rows).toEqual([]);
});
