import { checkSessions } from './check-sessions.ts';
import { migrate } from './migrate.ts';
import { createPool, type Pool } from './pool.ts';

type Options = Parameters<typeof createPool>[0] & {
  /** Called with the names of the migrations that were applied, if any. */
  onMigrated: (migrations: string[]) => void;
};

/** Connects to the database, checks that it can be used, and migrates it. */
export async function openDatabase({ onMigrated, ...options }: Options): Promise<Pool> {
  const pool = createPool(options);
  try {
    await checkSessions(pool);
    const applied = await migrate(pool);
    if (applied.length > 0) onMigrated(applied);
    return pool;
  } catch (error) {
    await pool.end();
    throw error;
  }
}
