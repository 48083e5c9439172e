import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { ProvidedContext } from 'vitest';
import type { TestProject } from 'vitest/node';
import { startTestServers, type TestServers } from '../../bench/start-test-servers.ts';
import { migrate } from '../../src/db/migrate.ts';
import { createPool } from '../../src/db/pool.ts';
import { packageRoot } from '../../src/package-root.ts';

declare module 'vitest' {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- merged with vitest's own
  interface ProvidedContext {
    adminDatabaseUrl: string;
    /** A database to copy, for tests that need the schema. */
    migratedDatabase: string;
    temporalAddress: string;
  }
}

type Prepared = { context: ProvidedContext; stop(): Promise<void> };

/** vitest loads this file once for each project; the servers that it starts are for all its files. */
const shared = globalThis as typeof globalThis & { preparedForTests?: Promise<Prepared> };

/**
 * One real PostgreSQL and one real Temporal for the whole run; each test file has its own databases and namespaces. A server
 * that runs already is used where FLTR_TEST_DATABASE_URL or FLTR_TEST_TEMPORAL_ADDRESS names it. With both,
 * `npm run test:servers` has built the service.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  shared.preparedForTests ??= prepare();
  const { context, stop } = await shared.preparedForTests;
  for (const name of Object.keys(context) as (keyof ProvidedContext)[]) project.provide(name, context[name]);
  return stop;
}

async function prepare(): Promise<Prepared> {
  const { databaseUrl, temporalAddress, stop } = await findServers();
  const migratedDatabase = `migrated_${randomUUID().replaceAll('-', '')}`;
  await asAdmin(databaseUrl, `create database ${migratedDatabase}`);
  const url = new URL(databaseUrl);
  url.pathname = `/${migratedDatabase}`;
  const pool = createPool({ databaseUrl: url.href, maxConnections: 1, onError: () => undefined });
  await migrate(pool);
  await pool.end();
  let stopped: Promise<void> | null = null;
  return {
    context: { adminDatabaseUrl: databaseUrl, migratedDatabase, temporalAddress },
    stop() {
      stopped ??= asAdmin(databaseUrl, `drop database ${migratedDatabase}`).then(stop);
      return stopped;
    },
  };
}

async function findServers(): Promise<TestServers> {
  const { FLTR_TEST_DATABASE_URL: databaseUrl, FLTR_TEST_TEMPORAL_ADDRESS: temporalAddress } = process.env;
  const isRunning = databaseUrl !== undefined && temporalAddress !== undefined;
  // `npm test` has built it.
  if (!isRunning && process.env['FLTR_TEST_IS_BUILT'] !== '1')
    execFileSync('npm', ['run', '--silent', 'build'], {
      cwd: packageRoot,
      stdio: 'inherit',
      // With vitest's own value, the build would contain React's development version, and stay so afterwards.
      env: { ...process.env, NODE_ENV: 'production' },
    });
  return startTestServers(
    (error) => {
      throw error;
    },
    { databaseUrl, temporalAddress },
  );
}

async function asAdmin(databaseUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
