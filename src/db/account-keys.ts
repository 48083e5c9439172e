import { insertApiKey, type ApiKeyRow, type NewKey } from './api-keys-table.ts';
import type { Client, Queryable } from './pool.ts';

export const maxValidKeys = 100;

const columns = `id, account_id as "accountId", scopes, name, hint, created_at as "createdAt", revoked_at as "revokedAt"`;

/** An account's keys, newest first, revoked ones included; `before`: the last id of the previous page. */
export async function listAccountKeys(
  db: Queryable,
  accountId: string,
  before: string | null,
  limit: number,
): Promise<ApiKeyRow[]> {
  const { rows } = await db.query<ApiKeyRow>(
    `select ${columns} from api_keys where account_id = $1 and ($2::text is null or id < $2)
     order by account_id desc, id desc limit $3`,
    [accountId, before, limit],
  );
  return rows;
}

/**
 * Inserts a key, or returns null where the account has as many as it may. The account's row is locked, so that concurrent
 * calls are counted one after the other.
 */
export async function insertAccountKey(
  client: Client,
  accountId: string,
  key: Omit<NewKey, 'accountId'>,
): Promise<ApiKeyRow | null> {
  await client.query(`select 1 from accounts where id = $1 for no key update`, [accountId]);
  const counted = await client.query<{ count: number }>(
    `select count(*)::int as count from api_keys where account_id = $1 and revoked_at is null`,
    [accountId],
  );
  if ((counted.rows[0]?.count ?? 0) >= maxValidKeys) return null;
  const id = await insertApiKey(client, { ...key, accountId });
  const { rows } = await client.query<ApiKeyRow>(`select ${columns} from api_keys where id = $1`, [id]);
  const [row] = rows;
  if (!row) throw new Error('insert left no row');
  return row;
}

/** Revokes a valid key and returns its scopes; null: the account has no such key. */
export async function revokeAccountKey(
  db: Queryable,
  accountId: string,
  id: string,
): Promise<string[] | null> {
  const { rows } = await db.query<{ scopes: string[] }>(
    `update api_keys set revoked_at = now() where id = $1 and account_id = $2 and revoked_at is null
     returning scopes`,
    [id, accountId],
  );
  return rows[0]?.scopes ?? null;
}
