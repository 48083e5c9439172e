import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Role } from '../src/app.ts';
import { readServiceFile } from '../src/cli/service-file.ts';
import { createPool, type Pool } from '../src/db/pool.ts';
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts';
import { createTemporal, within } from '../src/temporal/client.ts';
import { childProcesses, type PartsProcesses } from './measure.ts';
import { logEnd, plainEnvironment, startDevTemporal, startService, untilReady } from './parts.ts';
import type { LoadCalls } from './load.ts';
import type { ReceiverCalls } from './receiver.ts';
import { startRemote, type Remote } from './remote.ts';
import { reservePort } from './reserve-port.ts';
import { startTemporalServer } from './temporal-server.ts';

export type BenchOptions = {
  /** `server`: Temporal's server on PostgreSQL; `dev`: its development server, on SQLite. */
  temporal: 'server' | 'dev';
  /** With all indexes of Temporal's visibility, as its own schema has them. */
  fullVisibility: boolean;
  /** Settings of the service, beside those that the bench needs. */
  settings: Record<string, string>;
  events: number;
  warmUpEvents: number;
  seconds: number;
  baselineSeconds: number;
  waiting: number;
  /** Deliveries of the log, in the mode `log`. */
  rows: number;
  /** Open streams, in the mode `streams`. */
  streams: number;
  /** Prints a line of progress. */
  report: (line: string) => void;
};

/** The folder, the load generator and the receiver of one run. */
export type Bench = BenchOptions & {
  dataDir: string;
  load: Remote<LoadCalls>;
  receiver: Remote<ReceiverCalls>;
  receiverUrl: string;
  /** One for all processes and starts of the product: 32 bytes, base64. */
  encryptionKey: string;
  stops: Stops;
};

export type Servers = {
  databaseUrl: string;
  temporalAddress: string;
  parts: PartsProcesses;
  versions: Record<string, string>;
};

/** The product's processes, all on the same servers. */
export type Product = {
  apiUrls: string[];
  pool: Pool;
  /** Processes of each part: node, temporal, postgresql, load, receiver. */
  parts: PartsProcesses;
  stop(): Promise<void>;
};

/** As in docker-compose.yml. */
export const postgresSettings = { shared_buffers: '256MB', max_wal_size: '4GB', max_connections: '500' };
const stopGraceMs = 30_000;

/** Runs with a folder, a load generator and a receiver of its own, and removes them afterwards. */
export async function withBench<T>(
  options: BenchOptions,
  stops: Stops,
  run: (bench: Bench) => Promise<T>,
): Promise<T> {
  const dataDir = mkdtempSync(join(tmpdir(), 'fltr-bench-'));
  try {
    const receiver = startRemote<ReceiverCalls>('receiver');
    stops.push(() => receiver.stop());
    const load = startRemote<LoadCalls>('load');
    stops.push(() => load.stop());
    const receiverUrl = await receiver.call('listen', undefined, 10_000);
    const encryptionKey = randomBytes(32).toString('base64');
    return await run({ ...options, dataDir, load, receiver, receiverUrl, encryptionKey, stops });
  } finally {
    await stops.runAll();
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Clean-up that runs when a run ends, however it ends. */
export type Stops = {
  /** @throws after `close`; `stop` is then called by `close`, so that nothing more is started. */
  push(stop: () => Promise<void> | void): void;
  /** In reverse order. A call while it runs waits for the same end. */
  runAll(): Promise<void>;
  close(): Promise<void>;
};

export function createStops(report: (line: string) => void): Stops {
  const stops: (() => Promise<void> | void)[] = [];
  let running: Promise<void> | null = null;
  let isClosed = false;
  const runEach = async (): Promise<void> => {
    for (let stop = stops.pop(); stop; stop = stops.pop()) {
      try {
        await stop();
      } catch (error) {
        report(`A part did not stop cleanly: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };
  const runAll = (): Promise<void> => (running ??= runEach().finally(() => (running = null)));
  return {
    push(stop) {
      stops.push(stop);
      if (isClosed) throw new Error('The run is being stopped');
    },
    runAll,
    close() {
      isClosed = true;
      return runAll();
    },
  };
}

export async function startServers(bench: Bench): Promise<Servers> {
  const { dataDir, report, stops, fullVisibility } = bench;
  const env = plainEnvironment();
  const postgres = await startEmbeddedPostgres({ dataDir, env, report, settings: postgresSettings });
  stops.push(() => postgres.stop());
  const temporal =
    bench.temporal === 'dev'
      ? await startDevTemporal(dataDir, report)
      : await startTemporalServer({
          dataDir,
          databaseUrl: postgres.url,
          env,
          report,
          leanVisibility: !fullVisibility,
        });
  stops.push(() => temporal.stop());
  return {
    databaseUrl: postgres.url,
    temporalAddress: temporal.address,
    parts: {
      temporal: { pids: [temporal.pid], isTree: true },
      postgresql: { pids: [postgres.pid], isTree: true },
    },
    versions: {
      PostgreSQL: await postgresVersion(postgres.url),
      Temporal: await temporalVersion(temporal.address),
    },
  };
}

async function query<T extends object>(databaseUrl: string, statement: string): Promise<T[]> {
  const pool = createPool({ databaseUrl, maxConnections: 1, onError: () => undefined });
  try {
    return (await pool.query<T>(statement)).rows;
  } finally {
    await pool.end();
  }
}

async function postgresVersion(databaseUrl: string): Promise<string> {
  const rows = await query<{ server_version: string }>(databaseUrl, 'show server_version');
  return rows[0]?.server_version ?? '';
}

export async function newDatabase(
  { databaseUrl }: Pick<Servers, 'databaseUrl'>,
  name: string,
): Promise<string> {
  await query(databaseUrl, `create database ${name}`);
  return databaseUrl.replace(/[^/]+$/, name);
}

async function temporalVersion(address: string): Promise<string> {
  const temporal = createTemporal({ address, tls: false }, 'default');
  try {
    const { workflowService } = temporal.connection;
    return (await within(temporal, 10_000, () => workflowService.getSystemInfo({}))).serverVersion;
  } finally {
    await temporal.connection.close();
  }
}

type ProductOptions = {
  role?: Role;
  processes?: number;
  /** A new database of that name. */
  database?: string;
};

/** `processes` whole processes on the servers. Without servers: one with embedded servers. */
export async function startProduct(
  bench: Bench,
  servers: Servers | null,
  { role = 'up', processes = 1, database }: ProductOptions = {},
): Promise<Product> {
  const { dataDir, stops } = bench;
  const serversUrl = servers && database ? await newDatabase(servers, database) : servers?.databaseUrl;
  const ports = await Promise.all(Array.from({ length: processes }, reservePort));
  // Without servers the data folder is the bench's own: one that PostgreSQL's user can reach.
  const folders = ports.map((_, number) => (servers ? join(dataDir, `product-${number + 1}`) : dataDir));
  const services = ports.map((port, number) =>
    startService(role, folders[number] ?? dataDir, {
      PORT: String(port),
      FLTR_ENCRYPTION_KEYS: `bench:${bench.encryptionKey}`,
      ...(servers && serversUrl && { DATABASE_URL: serversUrl, TEMPORAL_ADDRESS: servers.temporalAddress }),
      FLTR_API_REQUESTS_PER_MINUTE: '0',
      // As in production.
      FLTR_WORKFLOW_STACK_TRACES: 'false',
      ...bench.settings,
    }),
  );
  let pool: Pool | null = null;
  let isStopped = false;
  const stop = async (): Promise<void> => {
    if (isStopped) return;
    isStopped = true;
    await pool?.end();
    await Promise.all(services.map((service) => service.stop(stopGraceMs)));
  };
  stops.push(stop);

  const apiUrls = ports.map((port) => `http://127.0.0.1:${port}`);
  try {
    // The first start without a copy of Temporal in the cache downloads or builds it.
    const limitMs = servers ? 60_000 : 40 * 60_000;
    await Promise.all(apiUrls.map((apiUrl, number) => untilReady(apiUrl, services[number], limitMs)));
  } catch (error) {
    throw new Error(`The product did not start:\n${logEnd(folders[0] ?? dataDir, role)}`, { cause: error });
  }
  const databaseUrl = serversUrl ?? readServiceFile(dataDir)?.databaseUrl ?? '';
  pool = createPool({ databaseUrl, maxConnections: 4, onError: () => undefined });
  const pids = services.map(({ pid }) => pid);
  return {
    apiUrls,
    pool,
    parts: {
      node: { pids, isTree: servers !== null },
      ...(servers?.parts ?? {
        temporal: { pids: childProcesses(pids, 'temporal'), isTree: true },
        postgresql: { pids: childProcesses(pids, 'postgres'), isTree: true },
      }),
      load: { pids: [bench.load.pid], isTree: false },
      receiver: { pids: [bench.receiver.pid], isTree: false },
    },
    stop,
  };
}
