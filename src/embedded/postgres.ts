import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ensureDatabase } from './ensure-database.ts';
import { choosePort } from './free-port.ts';
import { findPostgresBinaries, postgresProgram, reachableBinaries } from './postgres-binaries.ts';
import { clearOrphan, createCluster, hasCluster } from './postgres-cluster.ts';
import { chooseLocation, recordedLocation, setAside } from './postgres-location.ts';
import type { ClusterLocation } from './postgres-location.ts';
import { minimalEnv } from './programs.ts';
import { startServer } from './start-server.ts';
import { readStateFile, writeStateFile } from './state-file.ts';
import { startChild, type Child } from './supervise.ts';

const HOST = '127.0.0.1';
/** Both the superuser and the database. */
const NAME = 'fltr';
const READY_TIMEOUT_MS = 60_000;

export type EmbeddedPostgres = Child & { url: string };

type EmbeddedPostgresOptions = {
  dataDir: string;
  env: NodeJS.ProcessEnv;
  report: (line: string) => void;
  /** Used as root only, for files that PostgreSQL's user has no access to elsewhere. */
  sharedDir?: string;
  minConnections?: number | undefined;
  /** PostgreSQL settings that override the ones below. */
  settings?: Record<string, string>;
};

export const postgresLogFile = (dataDir: string): string => join(dataDir, 'postgres.log');

type Access = { password: string; port: number | undefined; location: string };

/**
 * Starts the PostgreSQL of the data folder, and creates its cluster at the first start. The caller holds the folder's lock.
 * fsync and synchronous_commit stay on: accepted events survive `kill -9` and a power failure.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { report } = options;
  const dataDir = resolve(options.dataDir);
  const sharedDir = options.sharedDir ?? '/var/lib/fltr-webhooks';
  const accessFile = join(dataDir, 'postgres.json');
  const logFile = postgresLogFile(dataDir);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });

  const known = parseAccess(readStateFile(accessFile));
  const location = chooseLocation({ dataDir, recorded: known?.location, sharedDir, report });
  const { clusterDir, runAs } = location;
  const native = reachableBinaries(findPostgresBinaries(), runAs, sharedDir, report);
  // No PG… variables either, which would change the programs' behavior.
  const env = minimalEnv(options.env);

  await clearOrphan(clusterDir, report);
  const access = known ?? newAccess(dataDir, location, report);
  writeStateFile(accessFile, access);
  if (!hasCluster(clusterDir)) {
    // It existed before: a new, empty one would silently lose all deliveries.
    if (access.port !== undefined) {
      throw new Error(
        `The database folder ${clusterDir} is missing. Restore it, or remove ${dataDir} to start with an empty database.`,
      );
    }
    report(`PostgreSQL: creating the database folder ${clusterDir} …`);
    await createCluster({ ...access, clusterDir, native, runAs, user: NAME, env, logFile });
  }

  const connections = { max_connections: String(Math.max(200, options.minConnections ?? 0)) };
  const { port, ...server } = await startServer({
    name: 'PostgreSQL',
    logFile,
    timeoutMs: READY_TIMEOUT_MS,
    // The port was taken in between, or backends of a postmaster that was just killed are still running.
    temporaryFault: /address already in use|pre-existing shared memory block|could not create any TCP/i,
    start: async () => {
      const port = await choosePort(HOST, access.port === undefined ? [] : [access.port]);
      const child = startChild({
        name: 'postgres',
        command: postgresProgram(native, 'postgres'),
        args: serverArguments(clusterDir, port, { ...connections, ...options.settings }),
        cwd: native,
        env,
        logFile,
        stopSignal: 'SIGINT',
        runAs,
      });
      return { child, at: { port, url: `postgres://${NAME}:${access.password}@${HOST}:${port}/${NAME}` } };
    },
    isReady: ({ url }) => ensureDatabase(url).then(() => true),
    // 28…: wrong password.
    isFinal: (error) => Boolean((error as { code?: string }).code?.startsWith('28')),
  });
  writeStateFile(accessFile, { ...access, port });
  return server;
}

function parseAccess(state: Record<string, unknown> | undefined): Access | undefined {
  if (typeof state?.['password'] !== 'string' || typeof state['location'] !== 'string') return undefined;
  const port = typeof state['port'] === 'number' ? state['port'] : undefined;
  return { password: state['password'], port, location: state['location'] };
}

/** Stored before the cluster is created: a crash in between leaves a password without a cluster, never the reverse. */
function newAccess(dataDir: string, { clusterDir }: ClusterLocation, report: (line: string) => void): Access {
  if (dirname(clusterDir) !== dataDir) setAside(clusterDir, report);
  else if (hasCluster(clusterDir)) {
    throw new Error(
      `The database folder ${clusterDir} exists, but its password in ${join(dataDir, 'postgres.json')} is missing. ` +
        'Restore the file, or set FLTR_DATA_DIR to another folder.',
    );
  }
  const location = recordedLocation(dataDir, clusterDir);
  return { password: randomBytes(24).toString('base64url'), port: undefined, location };
}

function serverArguments(clusterDir: string, port: number, own: Record<string, string>): string[] {
  const settings = {
    listen_addresses: HOST,
    port: String(port),
    unix_socket_directories: '',
    shared_buffers: '128MB',
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_checkpoints: 'off',
    logging_collector: 'off',
    ...own,
  };
  return [
    '-D',
    clusterDir,
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
}
