import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../package-root.ts';
import { withTransaction, type Pool } from './pool.ts';

const folder = join(packageRoot, 'src/db/migrations');
/** Any fixed number: the lock that every process takes which migrates this database. */
const migrationLock = 7_170_881_213;
/** The time limit of one migration: an index of millions of rows takes minutes. */
const limitMs = 86_400_000;

/**
 * Brings the schema up to date, one transaction for all missing migrations; returns their names.
 * Safe when several processes start at once: they wait for the lock, then find nothing to do.
 * Throws where a newer version has migrated the database further than this one knows.
 */
export async function migrate(pool: Pool): Promise<string[]> {
  const known = (await readdir(folder)).filter((name) => /^\d{4}_.+\.sql$/.test(name)).sort();
  return withTransaction(pool, async (client) => {
    await client.query(`set local statement_timeout = 0`);
    await client.query(`select pg_advisory_xact_lock($1)`, [migrationLock]);
    await client.query(
      `create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())`,
    );
    const { rows } = await client.query<{ name: string }>(`select name from migrations`);
    const applied = new Set(rows.map((row) => row.name));
    const unknown = [...applied].filter((name) => !known.includes(name)).sort();
    if (unknown.length > 0) {
      throw new Error(
        `The database was migrated by a newer version (${unknown.join(', ')}). Start that version, or restore a backup.`,
      );
    }
    const missing = known.filter((name) => !applied.has(name));
    for (const name of missing) {
      const query = { text: await readFile(join(folder, name), 'utf8'), query_timeout: limitMs };
      await client.query(query);
      await client.query(`insert into migrations (name) values ($1)`, [name]);
    }
    return missing;
  });
}

/** Whether every migration that this version knows is applied. */
export async function isMigrated(pool: Pool): Promise<boolean> {
  const known = (await readdir(folder)).filter((name) => name.endsWith('.sql'));
  const { rows } = await pool.query<{ count: number }>(
    `select count(*)::int as count from migrations where name = any($1)`,
    [known],
  );
  return rows[0]?.count === known.length;
}
