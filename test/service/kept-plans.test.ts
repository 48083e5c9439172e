import { afterAll, expect, test } from 'vitest';
import { acceptEvents } from '../../src/db/accept-events.ts';
import { findOwners } from '../../src/db/changes.ts';
import { loadAttempts } from '../../src/db/load-attempts.ts';
import { createPool } from '../../src/db/pool.ts';
import { recordAttempts } from '../../src/db/record-attempts.ts';
import { newId } from '../../src/domain/ids.ts';
import { createMigratedDatabase } from '../kit/database.ts';

const database = await createMigratedDatabase();
afterAll(() => database.drop());

test('the statements of a delivery are planned once for a connection, also where each has one row', async () => {
  const pool = createPool({ databaseUrl: database.url, maxConnections: 1, onError: () => undefined });
  try {
    const accountId = newId('acc');
    await pool.query('insert into accounts (id, name) values ($1, $1)', [accountId]);
    await pool.query(
      `insert into webhooks (id, account_id, url, events, sealed_secret, active)
       values ($1, $2, 'https://your-app.com/webhooks/fltr', '{document.deleted}', 'sealed', true)`,
      [newId('wh'), accountId],
    );
    for (let round = 0; round < 12; round += 1) {
      const startedAt = new Date();
      const [acceptance] = await acceptEvents(pool, [
        {
          accountId,
          id: newId('evt'),
          type: 'document.deleted',
          timestamp: null,
          acceptedTimestamp: startedAt.toISOString(),
          body: Buffer.from('{}'),
        },
      ]);
      if (acceptance?.kind !== 'accepted') throw new Error('The event was not accepted');
      const [delivery] = acceptance.event.deliveries;
      const [context] = await loadAttempts(pool, [{ deliveryId: delivery?.id ?? '', number: 1 }], 1000);
      if (!context) throw new Error('There is no delivery');
      const { deliveryId, webhookId, activation, url, format } = context;
      const recorded = await recordAttempts(pool, [
        {
          id: newId('att'),
          deliveryId,
          webhookId,
          activation,
          number: 1,
          startedAt,
          durationMs: 1,
          statusCode: 200,
          outcome: 'delivered',
          errorCode: null,
          errorDetail: null,
          waitSeconds: null,
          countsForCap: true,
          request: { url, format, bodyBytes: 2, headersAs: null },
          response: null,
          status: 'delivered',
          reason: null,
          nextAttemptAt: null,
          endedAt: startedAt,
          run: { workflowId: deliveryId, runId: 'run' },
          entries: [],
          nextEntries: [],
        },
      ]);
      expect([...recorded.values()]).toEqual(['delivered']);
      expect(await findOwners(pool, [deliveryId])).toEqual([
        { accountId, topics: ['deliveries'], id: deliveryId },
      ]);
    }
    const { rows } = await pool.query<{ name: string; isKept: boolean }>(
      `select name, custom_plans <= 5 and generic_plans >= 7 as "isKept" from pg_prepared_statements
       where name in ('find-owners-of-changes', 'insert-events', 'load-attempts', 'record-attempts') order by name collate "C"`,
    );
    expect(rows).toEqual([
      { name: 'find-owners-of-changes', isKept: true },
      { name: 'insert-events', isKept: true },
      { name: 'load-attempts', isKept: true },
      { name: 'record-attempts', isKept: true },
    ]);
  } finally {
    await pool.end();
  }
});
