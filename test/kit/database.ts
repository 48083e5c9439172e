import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import { createPool, type Pool } from '../../src/db/pool.ts';
import { openClient } from './database-client.ts';

/** In another database, which the settings of the one under test do not affect. */
export async function asAdmin(statement: string): Promise<void> {
  const client = await openClient(inject('adminDatabaseUrl'));
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

export type TestDatabase = { url: string; pool: Pool; drop(): Promise<void> };

/** A copy of a database, like a backup of this moment, restored. It cuts the connections of the original. */
export async function copyDatabase(url: string): Promise<TestDatabase> {
  const source = new URL(url).pathname.slice(1);
  await asAdmin(`alter database ${source} with allow_connections false`);
  await asAdmin(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${source}'`);
  const copy = await createTestDatabase(source);
  await asAdmin(`alter database ${source} with allow_connections true`);
  return copy;
}

/** A database of its own with the schema in it. */
export const createMigratedDatabase = (): Promise<TestDatabase> =>
  createTestDatabase(inject('migratedDatabase'));

/** A database of its own: empty and not yet migrated, or a copy of the one that is given. */
export async function createTestDatabase(template = 'template1'): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await asAdmin(`create database ${name} template ${template}`);
  const url = new URL(inject('adminDatabaseUrl'));
  url.pathname = `/${name}`;
  const pool = createPool({ databaseUrl: url.href, maxConnections: 5, onError: () => undefined });
  return {
    url: url.href,
    pool,
    async drop() {
      await pool.end();
      await asAdmin(`drop database ${name} with (force)`);
    },
  };
}
