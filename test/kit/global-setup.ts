import { execFileSync } from 'node:child_process';
import type { TestProject } from 'vitest/node';
import { startTestServers } from '../../bench/start-test-servers.ts';
import { packageRoot } from '../../src/package-root.ts';

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
  const { databaseUrl, temporalAddress, stop } = await startTestServers((error) => {
    throw error;
  });
  project.provide('adminDatabaseUrl', databaseUrl);
  project.provide('temporalAddress', temporalAddress);
  return stop;
}
