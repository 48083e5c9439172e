import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { migrate } from '../../src/db/migrate.ts';
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts';
import { createTemporal, type Temporal } from '../../src/temporal/client.ts';
import { plainEnvironment, startDevTemporal } from '../parts.ts';
import { noteChanges } from './changes.ts';

export type Servers = {
  temporalAddress: string;
  /** A database with the product's tables, empty. */
  newDatabase(): Promise<string>;
  newNamespace(): Promise<string>;
  /** As an administrator restarts it: connections are cut, committed changes stay. */
  restartPostgres(downMs: number): Promise<void>;
  /** kill -9, and a new start on the same data, at the same address. */
  restartTemporal(downMs: number): Promise<void>;
  stop(): Promise<void>;
};

const namespacesAtOnce = 8;
const template = 'chaos_template';
/** The machine itself never fails here, so nothing must reach the disk, and runs begin sooner. */
const postgresSettings = { fsync: 'off', full_page_writes: 'off', max_connections: '200' };

/** Both servers, started once for all runs; each run has a database and a namespace of its own. */
export async function startServers(dataDir: string, report: (line: string) => void): Promise<Servers> {
  const startPostgres = () =>
    startEmbeddedPostgres({ dataDir, env: plainEnvironment(), report, settings: postgresSettings });
  let [postgres, temporal] = await Promise.all([startPostgres(), startDevTemporal(dataDir, report)]);
  const { url, address } = { url: postgres.url, address: temporal.address };
  const databaseUrl = (name: string) => url.replace(/[^/]+$/, name);
  await asAdmin(url, `create database ${template}`);
  await prepareTemplate(databaseUrl(template));
  const namespaces: string[] = [];
  let databases = 0;

  return {
    temporalAddress: address,
    async newDatabase() {
      databases += 1;
      await asAdmin(url, `create database chaos_${databases} template ${template}`);
      return databaseUrl(`chaos_${databases}`);
    },
    async newNamespace() {
      // The server takes seconds to notice a new namespace: several share the wait.
      if (namespaces.length === 0) namespaces.push(...(await makeNamespaces(address, namespacesAtOnce)));
      return namespaces.pop() ?? '';
    },
    async restartPostgres(downMs) {
      await postgres.stop();
      await delay(downMs);
      postgres = await startPostgres();
      if (postgres.url !== url) throw new Error('Another program took the port of PostgreSQL');
    },
    async restartTemporal(downMs) {
      temporal.kill();
      await temporal.exited;
      await delay(downMs);
      temporal = await startDevTemporal(dataDir, report, true);
      if (temporal.address !== address) throw new Error('Another program took the port of Temporal');
    },
    async stop() {
      await temporal.stop();
      await postgres.stop();
    },
  };
}

async function asAdmin(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

async function prepareTemplate(url: string): Promise<void> {
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  try {
    await migrate(pool);
    await noteChanges(pool);
  } finally {
    await pool.end();
  }
}

async function makeNamespaces(address: string, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, () => `chaos-${randomBytes(6).toString('hex')}`);
  await Promise.all(
    names.map(async (name) => {
      const temporal = createTemporal({ address, tls: false }, name);
      await temporal.connection.workflowService.registerNamespace({
        namespace: name,
        workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
      });
      await untilUsable(temporal);
      await temporal.connection.close();
    }),
  );
  return names;
}

async function untilUsable({ namespace, connection: { workflowService } }: Temporal): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await workflowService.listOpenWorkflowExecutions({
        namespace,
        maximumPageSize: 1,
        startTimeFilter: {},
      });
      return;
    } catch (error) {
      if (attempt === 150) throw error;
      await delay(200);
    }
  }
}
