import type { AccountUsage } from './account-usage.ts';
import type { Account, AccountChange } from '../contracts/account.ts';
import { newId } from '../domain/ids.ts';
import { checkQueuesOf } from './queue-checks.ts';
import type { Client, Queryable } from './pool.ts';

export type AccountRow = {
  id: string;
  name: string;
  metadata: Record<string, string>;
  /** Null, as is the next: the setting applies. */
  maxWebhooks: number | null;
  deliveriesPerHour: number | null;
  createdAt: Date;
  updatedAt: Date;
  /** Null: it is not being deleted. */
  deletionRequestedAt: Date | null;
  /** Rows that its deletion has removed so far. */
  erasedWebhooks: number;
  erasedDeliveries: number;
  erasedEvents: number;
};

export const accountColumns = `id, name, metadata, max_webhooks as "maxWebhooks", deliveries_per_hour as "deliveriesPerHour",
  created_at as "createdAt", updated_at as "updatedAt", deletion_requested_at as "deletionRequestedAt",
  erased_webhooks as "erasedWebhooks", erased_deliveries as "erasedDeliveries", erased_events as "erasedEvents"`;

export function toAccount(row: AccountRow, usage: AccountUsage): Account {
  return {
    id: row.id,
    name: row.name,
    metadata: row.metadata,
    limits: { max_webhooks: row.maxWebhooks, deliveries_per_hour: row.deliveriesPerHour },
    usage,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
    deletion: row.deletionRequestedAt && {
      started_at: row.deletionRequestedAt.toISOString(),
      webhooks: row.erasedWebhooks,
      deliveries: row.erasedDeliveries,
      events: row.erasedEvents,
    },
  };
}

/**
 * Creates the account of that id, or changes it; fields that are left out stay. Of two concurrent calls, one creates it.
 *
 * @returns null where the account of that id is being deleted
 */
export async function putAccount(
  client: Client,
  id: string,
  { name, metadata, limits = {} }: AccountChange,
): Promise<(AccountRow & { isNew: boolean }) | null> {
  const { max_webhooks: maxWebhooks, deliveries_per_hour: deliveriesPerHour } = limits;
  const { rows } = await client.query<AccountRow & { isNew: boolean }>(
    `insert into accounts as a (id, name, metadata, max_webhooks, deliveries_per_hour)
     values ($1, coalesce($2, $1), coalesce($3::jsonb, '{}'), $5, $7)
     on conflict (id) do update set name = coalesce($2, a.name), metadata = coalesce($3::jsonb, a.metadata),
       max_webhooks = case when $4 then $5 else a.max_webhooks end,
       deliveries_per_hour = case when $6 then $7 else a.deliveries_per_hour end, updated_at = now()
       where a.deletion_requested_at is null
     returning ${accountColumns}, xmax = 0 as "isNew"`,
    [
      id,
      name,
      metadata && JSON.stringify(metadata),
      maxWebhooks !== undefined,
      maxWebhooks,
      deliveriesPerHour !== undefined,
      deliveriesPerHour,
    ],
  );
  if (deliveriesPerHour !== undefined) await checkQueuesOf(client, id);
  return rows[0] ?? null;
}

/** @returns null where there is no account of that id, or it is being deleted */
export async function renameAccount(db: Queryable, id: string, name: string): Promise<AccountRow | null> {
  const { rows } = await db.query<AccountRow>(
    `update accounts set name = $2, updated_at = now() where id = $1 and deletion_requested_at is null
     returning ${accountColumns}`,
    [id, name],
  );
  return rows[0] ?? null;
}

/** Creates those accounts that are missing, named by their ids. `actors`: the key that publishes for each. Audited. */
export async function createAccounts(db: Queryable, actors: ReadonlyMap<string, string>): Promise<void> {
  // In one order for all, so that two statements that create the same ones wait for each other and do not deadlock.
  const ids = [...actors.keys()].sort();
  await db.query(
    `with created as (
       insert into accounts (id, name) select id, id from unnest($1::text[]) as g(id) on conflict (id) do nothing returning id)
     insert into audit_records (id, account_id, actor, action, target)
     select g.record_id, created.id, g.actor, 'account.created', created.id
     from created join unnest($1::text[], $2::text[], $3::text[]) as g(id, actor, record_id) on g.id = created.id`,
    [ids, ids.map((id) => actors.get(id)), ids.map(() => newId('aud'))],
  );
}

/** Makes the account of that id where it is missing: the development account, at each start. */
export async function ensureAccount(db: Queryable, id: string, name: string): Promise<void> {
  await db.query(`insert into accounts (id, name) values ($1, $2) on conflict (id) do nothing`, [id, name]);
}

export async function findAccount(db: Queryable, id: string): Promise<AccountRow | null> {
  const { rows } = await db.query<AccountRow>(`select ${accountColumns} from accounts where id = $1`, [id]);
  return rows[0] ?? null;
}

/** Newest first; `before`: where the previous page ended. */
export async function listAccounts(
  db: Queryable,
  before: { createdAt: string; id: string } | null,
  limit: number,
): Promise<AccountRow[]> {
  const { rows } = await db.query<AccountRow>(
    `select ${accountColumns} from accounts where $1::timestamptz is null or (created_at, id) < ($1, $2)
     order by created_at desc, id desc limit $3`,
    [before?.createdAt ?? null, before?.id ?? null, limit],
  );
  return rows;
}

/** Those whose id or name begins with the text, in either case; newest first, `limit` at most. */
export async function searchAccounts(db: Queryable, text: string, limit: number): Promise<AccountRow[]> {
  const pattern = `${text.toLowerCase().replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
  const { rows } = await db.query<AccountRow>(
    `select ${accountColumns} from accounts where id in (
       (select id from accounts where lower(id) like $1 limit $2)
       union all (select id from accounts where lower(name) like $1 limit $2))
     order by created_at desc, id desc limit $2`,
    [pattern, limit],
  );
  return rows;
}

/** False also for one that is being deleted. */
export async function accountExists(db: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `select 1 from accounts where id = $1 and deletion_requested_at is null`,
    [id],
  );
  return rowCount === 1;
}
