import { newId } from '../domain/ids.ts';
import { onlyRow, type Queryable } from './pool.ts';

export type Account = { id: string; name: string; createdAt: Date };

export async function createAccount(db: Queryable, name: string): Promise<Account> {
  const { rows } = await db.query<Account>(
    `insert into accounts (id, name) values ($1, $2) returning id, name, created_at as "createdAt"`,
    [newId('acc'), name],
  );
  return onlyRow(rows, 'insert');
}

/** Makes the account of that id where it is missing: the development account, at each start. */
export async function ensureAccount(db: Queryable, id: string, name: string): Promise<void> {
  await db.query(`insert into accounts (id, name) values ($1, $2) on conflict (id) do nothing`, [id, name]);
}

export async function listAccounts(db: Queryable): Promise<Account[]> {
  const { rows } = await db.query<Account>(
    `select id, name, created_at as "createdAt" from accounts order by created_at, id`,
  );
  return rows;
}

export async function accountExists(db: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await db.query(`select 1 from accounts where id = $1`, [id]);
  return rowCount === 1;
}
