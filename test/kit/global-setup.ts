import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startEmbedded } from '../../src/embedded/embedded.ts';
import { packageRoot } from '../../src/package-root.ts';
import { searchAttributes } from '../../workflows/contract.ts';
import { openClient } from './client.ts';

declare module 'vitest' {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- merged with vitest's own
  interface ProvidedContext {
    adminDatabaseUrl: string;
    temporalAddress: string;
  }
}

/**
 * One real PostgreSQL and one real Temporal for the whole run; each test file has its own database and namespace. Servers
 * that run already are used where FLTR_TEST_DATABASE_URL and FLTR_TEST_TEMPORAL_ADDRESS name them: `npm run test:servers`, which builds
 * what is tested.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { FLTR_TEST_DATABASE_URL: given, FLTR_TEST_TEMPORAL_ADDRESS: givenAddress } = process.env;
  if (given !== undefined && givenAddress !== undefined) {
    project.provide('adminDatabaseUrl', given);
    project.provide('temporalAddress', givenAddress);
    return () => Promise.resolve();
  }
  execFileSync('npm', ['run', '--silent', 'build'], {
    cwd: packageRoot,
    stdio: 'inherit',
    // vitest's own value would put React's development build into what is tested, and left behind.
    env: { ...process.env, NODE_ENV: 'production' },
  });
  const dataDir = mkdtempSync(join(tmpdir(), 'fltr-test-'));
  const embedded = await startEmbedded({
    dataDir,
    env: process.env,
    needsPostgres: true,
    needsTemporal: true,
    namespace: 'default',
    searchAttributes,
    report: (line) => console.error(line),
    onFatal: (error) => {
      throw error;
    },
  });
  const { databaseUrl, temporalAddress } = embedded;
  if (databaseUrl === undefined || temporalAddress === undefined)
    throw new Error('The embedded servers gave no address');
  const client = await openClient(databaseUrl);
  // Tests make and drop databases by the dozen; what they lose at a power cut is nothing.
  await client.query(`alter system set synchronous_commit = off`);
  await client.query(`select pg_reload_conf()`);
  await client.end();
  project.provide('adminDatabaseUrl', databaseUrl);
  project.provide('temporalAddress', temporalAddress);
  return async () => {
    await embedded.stop();
    rmSync(dataDir, { recursive: true, force: true });
  };
}
