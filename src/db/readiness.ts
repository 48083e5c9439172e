import { isMigrated } from './migrate.ts';
import type { Pool } from './pool.ts';

/** `unavailable`: not reached, or not migrated. */
export type DatabaseReadiness = 'ok' | 'read_only' | 'unavailable';

/** Whether events can be written now. */
export async function readReadiness(pool: Pool): Promise<DatabaseReadiness> {
  try {
    if (await isReadOnly(pool)) return 'read_only';
    return (await isMigrated(pool)) ? 'ok' : 'unavailable';
  } catch {
    return 'unavailable';
  }
}

/** A standby, or a primary with `default_transaction_read_only`. */
async function isReadOnly(pool: Pool): Promise<boolean> {
  const client = await pool.connect();
  let isReadOnly = true;
  try {
    const { rows } = await client.query<{ isReadOnly: boolean }>(
      `select pg_is_in_recovery() or current_setting('transaction_read_only')::bool as "isReadOnly"`,
    );
    isReadOnly = rows[0]?.isReadOnly ?? true;
    return isReadOnly;
  } finally {
    // A session keeps the default it started with, even when the database is writable again.
    client.release(isReadOnly);
  }
}
