import { newId } from '../domain/ids.ts';
import type { Client, Queryable } from './pool.ts';

/** FLTR_ENV. Production accepts no key that a start in development created, whatever the database holds. */
export type Environment = 'development' | 'production';

/** `accountId` null: a service key. */
export type ApiKey = { id: string; accountId: string | null; scopes: string[] };
export type ApiKeyRow = ApiKey & { name: string; hint: string; createdAt: Date; revokedAt: Date | null };

export type NewKey = {
  accountId: string | null;
  name: string;
  hint: string;
  digest: Buffer;
  scopes: readonly string[];
};

export async function insertApiKey(db: Queryable, key: NewKey): Promise<string> {
  const id = newId('key');
  await db.query(
    `insert into api_keys (id, account_id, name, hint, digest, scopes) values ($1, $2, $3, $4, $5, $6)`,
    [id, key.accountId, key.name, key.hint, key.digest, key.scopes],
  );
  return id;
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
export async function findApiKey(
  db: Queryable,
  digest: Buffer,
  environment: Environment,
): Promise<ApiKey | null> {
  const { rows } = await db.query<ApiKey>({
    name: 'find-api-key',
    text: `select id, account_id as "accountId", scopes from api_keys where digest = $1 and ${isValid}`,
    values: [digest, environment],
  });
  return rows[0] ?? null;
}

export type NamedKey = ApiKey & { name: string; accountName: string | null };

/** A valid key by its id, with its name and its account's. */
export async function findNamedKey(
  db: Queryable,
  id: string,
  environment: Environment,
): Promise<NamedKey | null> {
  const { rows } = await db.query<NamedKey>({
    name: 'find-named-key',
    text: `select k.id, k.account_id as "accountId", k.scopes, k.name, a.name as "accountName"
      from api_keys k left join accounts a on a.id = k.account_id where k.id = $1 and ${isValid}`,
    values: [id, environment],
  });
  return rows[0] ?? null;
}

export async function listApiKeys(db: Queryable): Promise<ApiKeyRow[]> {
  const { rows } = await db.query<ApiKeyRow>(
    `select id, account_id as "accountId", scopes, name, hint, created_at as "createdAt", revoked_at as "revokedAt"
     from api_keys order by created_at, id`,
  );
  return rows;
}

/** Whether the key existed and was valid. */
export async function revokeApiKey(db: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `update api_keys set revoked_at = now() where id = $1 and revoked_at is null`,
    [id],
  );
  return rowCount === 1;
}
