import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { installOutbox } from '../../src/db/outbox-schema.ts';
import { withTransaction, type Pool, type Queryable } from '../../src/db/pool.ts';
import { asAdmin } from './database.ts';
import { openClient } from './database-client.ts';
import { until } from './service.ts';

export const deletedDocument = { document_id: 'doc_1', dataset_id: 'ds_1' };

export const install = (pool: Pool): Promise<void> => withTransaction(pool, installOutbox);

type ToPublish = { event?: string; data?: string; id?: string; expiresAt?: Date };

/** Publishes as a producer does; `data` as it is passed to the function. Returns the event's id. */
export async function publishInto(
  db: Queryable,
  account: string | null,
  { event = 'document.deleted', data = JSON.stringify(deletedDocument), id, expiresAt }: ToPublish = {},
): Promise<string> {
  const { rows } = await db.query<{ id: string }>(
    `select fltr_outbox.publish($1, $2, account => $3, id => $4, expires_at => $5) as id`,
    [event, data, account, id ?? null, expiresAt ?? null],
  );
  return rows[0]?.id ?? '';
}

export async function countOf(db: Queryable, table: 'events' | 'refused'): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `select count(*)::int as count from fltr_outbox.${table}`,
  );
  return rows[0]?.count ?? -1;
}

/** Ids of the account's events in the log, in the order of their deliveries, else of their acceptance. */
export async function logged(pool: Pool, accountId: string): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>(
    `select e.id from events e left join deliveries d on (d.account_id, d.event_id) = (e.account_id, e.id)
     where e.account_id = $1 order by d.id, e.created_at`,
    [accountId],
  );
  return rows.map(({ id }) => id);
}

/** The refused events with these ids, in this order, once all are there. */
export async function refusals(db: Queryable, ids: readonly string[]) {
  type Row = { id: string; problem: { status: number; code: string; detail: string } };
  return until(
    async () => {
      const { rows } = await db.query<Row>(`select id, problem from fltr_outbox.refused where id = any($1)`, [
        ids,
      ]);
      return rows.sort((a, b) => ids.indexOf(a.id) - ids.indexOf(b.id));
    },
    ({ length }) => length === ids.length,
  );
}

/** A role that may nothing, with a connection to the database. */
export async function newRole(
  url: string,
): Promise<{ name: string; client: pg.Client; end(): Promise<void> }> {
  const name = `role_${randomUUID().replaceAll('-', '')}`;
  await asAdmin(`create role ${name} login password 'secret'`);
  const address = new URL(url);
  [address.username, address.password] = [name, 'secret'];
  const client = await openClient(address.href);
  return { name, client, end: () => client.end() };
}
