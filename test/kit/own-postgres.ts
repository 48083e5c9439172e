import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/embedded/postgres.ts';
import { createPool, type Pool } from '../../src/db/pool.ts';

/** A PostgreSQL of a test's own, which can be killed; it keeps its address and its data. */
export async function startPostgres() {
  const folder = mkdtempSync(join(tmpdir(), 'fltr-own-postgres-'));
  chmodSync(folder, 0o755);
  const options = {
    dataDir: join(folder, 'data'),
    sharedDir: join(folder, 'shared'),
    env: process.env,
    report: () => undefined,
  };
  let server: EmbeddedPostgres | null = null;
  let pool: Pool | null = null;
  const start = async (): Promise<void> => {
    server = await startEmbeddedPostgres(options);
    pool = createPool({ databaseUrl: server.url, maxConnections: 5, onError: () => undefined });
  };
  const stop = async (end: (running: EmbeddedPostgres) => Promise<void> | void): Promise<void> => {
    if (server) await end(server);
    await pool?.end();
    server = pool = null;
  };
  let url = '';
  await start();
  url = (server as EmbeddedPostgres | null)?.url ?? '';
  return {
    url: () => url,
    pool: (): Pool => {
      if (!pool) throw new Error('This PostgreSQL is not running');
      return pool;
    },
    start,
    /** As a machine that fails: nothing is written any more. */
    kill: () =>
      stop(async (running) => {
        running.kill();
        await running.exited;
      }),
    async close(): Promise<void> {
      await stop((running) => running.stop());
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
