import { afterAll, beforeAll, expect, test } from 'vitest';
import { fillLog, type FilledLog } from '../../bench/log-fill.ts';
import type { DeliveryAction, DeliverySelection } from '../../src/contracts/operation.ts';
import { listDeliveries } from '../../src/db/delivery-log.ts';
import {
  claimOperations,
  endOperation,
  findOperation,
  finishPage,
  insertOperation,
  listOperations,
  loadOperation,
} from '../../src/db/operations-table.ts';
import {
  claimSelected,
  countSelected,
  findToAct,
  markForOperation,
} from '../../src/db/selected-deliveries.ts';
import { createMigratedDatabase, type TestDatabase } from '../kit/database.ts';
import { explainedPool, rowsRead, wholeReads } from '../kit/explained-pool.ts';

const rowsInAll = 20_000;
let database: TestDatabase;
let log: FilledLog;
beforeAll(async () => {
  database = await createMigratedDatabase();
  log = await fillLog(database.pool, rowsInAll);
  const { rowCount } = await database.pool.query(
    `update deliveries set operation_id = 'op_before' where webhook_id = $1`,
    [log.deadId],
  );
  if (!rowCount) throw new Error('No delivery has an operation');
  await database.pool.query(`vacuum analyze deliveries`);
}, 300_000);
afterAll(() => database.drop());

const since = new Date(Date.now() - 31 * 86_400_000);

async function newOperation(action: DeliveryAction, selection: DeliverySelection): Promise<string> {
  const { id } = await insertOperation(database.pool, {
    accountId: log.accountId,
    action,
    webhookId: selection.webhook_id ?? null,
    requestedBy: 'key_1',
    isDryRun: false,
    perSecond: 50,
    nextAttemptAt: null,
    since: selection.ids === undefined ? since : null,
    until: null,
    selection,
    total: 1,
    createdAt: new Date(),
  });
  return id;
}

const selections: [string, DeliverySelection, index: string][] = [
  ['of the whole log', {}, 'deliveries_of_account'],
  ['of a webhook', { webhook_id: 'busiest' }, 'deliveries_of_webhook'],
  ['that matches nothing', { webhook_id: 'busiest', code: '418' }, 'deliveries_of_webhook'],
  ['of an event', { event_id: 'event' }, 'deliveries_of_event'],
  ['of an event at a webhook', { event_id: 'event', webhook_id: 'busiest' }, 'deliveries_of_event'],
  ['of an operation', { operation_id: 'op_before' }, 'deliveries_of_operation'],
  [
    'of an operation at a webhook, which matches nothing',
    { operation_id: 'op_before', webhook_id: 'busiest', deferred: true },
    'deliveries_of_operation',
  ],
  ['that block their order', { webhook_id: 'busiest', blocks_line: true }, 'deliveries_of_webhook'],
  ['of an order key', { order_key: 'order-1', waits_for: 'order' }, 'deliveries_of_account'],
  ['of named deliveries', { ids: ['one', 'dlv_00000000000000000000000000'] }, 'deliveries_of_account'],
];

test.each(selections)('an operation %s counts and reads on by an index', async (_, given, index) => {
  const names: Record<string, string> = {
    busiest: log.busiestId,
    one: log.deliveryId,
    event: log.eventId,
  };
  const { webhook_id: webhookId, event_id: eventId, ids } = given;
  const selection: DeliverySelection = {
    ...given,
    ...(webhookId === undefined ? {} : { webhook_id: names[webhookId] ?? webhookId }),
    ...(eventId === undefined ? {} : { event_id: names[eventId] ?? eventId }),
    ...(ids === undefined ? {} : { ids: ids.map((id) => names[id] ?? id) }),
  };
  const operation = await loadOperation(database.pool, await newOperation('resend', selection));
  if (!operation) throw new Error('The operation is gone');
  const toRun = { ...operation, action: 'resend', selection } as const;
  const { pool, taken } = explainedPool(database.pool, { analyze: true });
  await countSelected(pool, toRun);
  const counted = taken();
  // Named ones are looked up.
  const read = rowsRead(counted[0]?.nodes ?? [], 'deliveries');
  if (ids !== undefined) expect(read).toBeLessThanOrEqual(ids.length);
  await claimSelected(pool, toRun, 50);
  const explained = taken();
  expect(wholeReads([...counted, ...explained])).toEqual([]);
  const scan = explained.find(({ text }) => text.includes('scanned'))?.nodes ?? [];
  const indexes = scan
    .filter((node) => node['Relation Name'] === 'deliveries')
    .map((node) => node['Index Name']);
  expect(indexes).toEqual([index]);
});

test("an operation's statements for each delivery, and those that show it, read no table whole", async () => {
  const id = await newOperation('resend', { webhook_id: log.busiestId });
  const operation = await loadOperation(database.pool, id);
  if (!operation) throw new Error('The operation is gone');
  const { pool, taken } = explainedPool(database.pool);
  await findToAct(pool, log.accountId, log.deliveryId);
  await markForOperation(pool, id, log.deliveryId);
  await claimOperations(pool, 10);
  await finishPage(pool, operation, { done: 1, failures: new Map() });
  await endOperation(pool, id, 'completed');
  await findOperation(pool, log.accountId, id);
  await listOperations(pool, log.accountId, { webhookId: undefined, before: null, limit: 50 });
  await listOperations(pool, log.accountId, { webhookId: log.busiestId, before: null, limit: 50 });
  await listDeliveries(pool, log.accountId, { operationId: id, status: 'failed', before: null, limit: 50 });
  const explained = taken();
  expect(explained.length).toBeGreaterThanOrEqual(9);
  expect(wholeReads(explained)).toEqual([]);
});
