import { newId } from '../domain/ids.ts';
import { onlyRow, type Client, type Queryable } from './pool.ts';

/** FLTR_ENV. Production accepts no key that a start in development created, even if the database has one. */
export type Environment = 'development' | 'production';

/**
 * Who makes a call. `accountId` null: a service key. `isActing`: a service key that acts for that account. `portal`: the session
 * of a portal link, whose id is `id`; `createdBy` is the key that made the link.
 */
export type ApiKey = {
  id: string;
  accountId: string | null;
  scopes: string[];
  isActing?: boolean;
  portal?: { createdBy: string };
};
export type ApiKeyRow = ApiKey & {
  name: string;
  hint: string;
  createdAt: Date;
  revokedAt: Date | null;
  lastUsedAt: Date | null;
};

type NewKey = Pick<ApiKeyRow, 'accountId' | 'name' | 'hint'> & { digest: Buffer; scopes: readonly string[] };

const columns = `id, account_id as "accountId", scopes, name, hint, created_at as "createdAt", revoked_at as "revokedAt", last_used_at as "lastUsedAt"`;

export async function insertApiKey(db: Queryable, key: NewKey): Promise<ApiKeyRow> {
  const { rows } = await db.query<ApiKeyRow>(
    `insert into api_keys (id, account_id, name, hint, digest, scopes) values ($1, $2, $3, $4, $5, $6)
     returning ${columns}`,
    [newId('key'), key.accountId, key.name, key.hint, key.digest, key.scopes],
  );
  return onlyRow(rows, 'insert');
}

export const maxValidKeys = 100;

/**
 * Inserts a key, unless the account has as many as it may. The account's row is locked, so that concurrent calls are counted
 * one after the other.
 */
export async function insertAccountKey(
  client: Client,
  key: NewKey,
): Promise<ApiKeyRow | 'limit_reached' | 'no_account'> {
  const account = await client.query(
    `select 1 from accounts where id = $1 and deletion_requested_at is null for no key update`,
    [key.accountId],
  );
  if (account.rowCount === 0) return 'no_account';
  const { rows } = await client.query<{ count: number }>(
    `select count(*)::int as count from api_keys where account_id = $1 and revoked_at is null`,
    [key.accountId],
  );
  return onlyRow(rows, 'count').count >= maxValidKeys ? 'limit_reached' : insertApiKey(client, key);
}

/**
 * Creates the development key, or makes it valid again, and revokes the previous one.
 *
 * @returns false where the same key exists and is no development key; then nothing changes
 */
export async function replaceDevelopmentKey(client: Client, key: NewKey): Promise<boolean> {
  // Of two concurrent starts, the second one sees the key of the first.
  await client.query(`select 1 from accounts where id = $1 for no key update`, [key.accountId]);
  const { rowCount } = await client.query(
    `insert into api_keys (id, account_id, name, hint, digest, scopes, is_development)
     values ($1, $2, $3, $4, $5, $6, true)
     on conflict (digest) do update set revoked_at = null, scopes = excluded.scopes
     where api_keys.is_development`,
    [newId('key'), key.accountId, key.name, key.hint, key.digest, key.scopes],
  );
  if (rowCount === 0) return false;
  await client.query(
    `update api_keys set revoked_at = now() where is_development and digest <> $1 and revoked_at is null`,
    [key.digest],
  );
  return true;
}

// $2: the environment.
const isValid = `revoked_at is null and ($2 = 'development' or not is_development)`;

/** Looked up by digest, so that the time it takes reveals nothing about the key. */
export async function findApiKey(db: Queryable, digest: Buffer, environment: Environment) {
  const { rows } = await db.query<ApiKey>({
    name: 'find-api-key',
    text: `select id, account_id as "accountId", scopes from api_keys where digest = $1 and ${isValid}`,
    values: [digest, environment],
  });
  return rows[0] ?? null;
}

export type NamedKey = ApiKey & { name: string; accountName: string | null };

/** A valid key by its id, with its name and its account's. */
export async function findNamedKey(db: Queryable, id: string, environment: Environment) {
  const { rows } = await db.query<NamedKey>({
    name: 'find-named-key',
    text: `select k.id, k.account_id as "accountId", k.scopes, k.name, a.name as "accountName"
      from api_keys k left join accounts a on a.id = k.account_id where k.id = $1 and ${isValid}`,
    values: [id, environment],
  });
  return rows[0] ?? null;
}

export async function listApiKeys(db: Queryable): Promise<ApiKeyRow[]> {
  const { rows } = await db.query<ApiKeyRow>(`select ${columns} from api_keys order by created_at, id`);
  return rows;
}

/** An account's keys, newest first, revoked ones included; `before`: the last id of the previous page. */
export async function listAccountKeys(
  db: Queryable,
  accountId: string,
  before: string | null,
  limit: number,
) {
  const { rows } = await db.query<ApiKeyRow>(
    `select ${columns} from api_keys where account_id = $1 and ($2::text is null or id < $2)
     order by account_id desc, id desc limit $3`,
    [accountId, before, limit],
  );
  return rows;
}

/** Revokes a valid key and returns its account; null: there is no such key. */
export async function revokeApiKey(db: Queryable, id: string) {
  const { rows } = await db.query<Pick<ApiKey, 'accountId'>>(
    `update api_keys set revoked_at = now() where id = $1 and revoked_at is null
     returning account_id as "accountId"`,
    [id],
  );
  return rows[0] ?? null;
}

/** Revokes a valid key and returns its scopes; null: the account has no such key. */
export async function revokeAccountKey(db: Queryable, accountId: string, id: string) {
  const { rows } = await db.query<Pick<ApiKey, 'scopes'>>(
    `update api_keys set revoked_at = now() where id = $1 and account_id = $2 and revoked_at is null
     returning scopes`,
    [id, accountId],
  );
  return rows[0]?.scopes ?? null;
}
