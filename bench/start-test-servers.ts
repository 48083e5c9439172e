import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbedded } from '../src/embedded/embedded.ts';
import { searchAttributes } from '../workflows/contract.ts';

export type TestServers = { databaseUrl: string; temporalAddress: string; stop(): Promise<void> };
/** Servers that run already. */
type Given = { databaseUrl?: string | undefined; temporalAddress?: string | undefined };

/** PostgreSQL and Temporal for tests, those that are not given, in a folder that `stop` removes. */
export async function startTestServers(
  onFatal: (error: Error) => void,
  given: Given = {},
): Promise<TestServers> {
  const dataDir = mkdtempSync(join(tmpdir(), 'fltr-test-'));
  const embedded = await startEmbedded({
    dataDir,
    env: process.env,
    needsPostgres: given.databaseUrl === undefined,
    needsTemporal: given.temporalAddress === undefined,
    namespace: 'default',
    searchAttributes,
    report: (line) => void process.stderr.write(`${line}\n`),
    onFatal,
  });
  const databaseUrl = given.databaseUrl ?? embedded.databaseUrl;
  const temporalAddress = given.temporalAddress ?? embedded.temporalAddress;
  if (databaseUrl === undefined || temporalAddress === undefined)
    throw new Error('The embedded servers gave no address');
  if (given.databaseUrl === undefined) await loseAtPowerCuts(databaseUrl);
  return {
    databaseUrl,
    temporalAddress,
    async stop() {
      await embedded.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Tests make and drop databases by the dozen, and it does not matter that a power cut would lose data. */
async function loseAtPowerCuts(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on('error', () => undefined);
  await client.connect();
  for (const setting of ['synchronous_commit', 'fsync', 'full_page_writes'])
    await client.query(`alter system set ${setting} = off`);
  await client.query(`select pg_reload_conf()`);
  await client.end();
}
