import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { choosePort } from './free-port.ts';
import { logSizeBytes, logTail } from './log-file.ts';
import { findPostgresBinaries, postgresProgram, reachableBinaries } from './postgres-binaries.ts';
import { clearOrphan, createCluster, hasCluster } from './postgres-cluster.ts';
import { chooseLocation, recordedLocation, setAside } from './postgres-location.ts';
import type { ClusterLocation } from './postgres-location.ts';
import { waitUntilReady } from './postgres-ready.ts';
import { readStateFile, writeStateFile } from './state-file.ts';
import { startChild } from './supervise.ts';
import type { ChildExit } from './supervise.ts';

const HOST = '127.0.0.1';
/** Both the superuser and the database. */
const NAME = 'fltr';
const READY_TIMEOUT_MS = 60_000;
const STOP_GRACE_MS = 15_000;

export type EmbeddedPostgres = {
  url: string;
  pid: number;
  exited: Promise<ChildExit>;
  stop(graceMs?: number): Promise<void>;
  kill(): void;
};

type EmbeddedPostgresOptions = {
  dataDir: string;
  env: NodeJS.ProcessEnv;
  report: (line: string) => void;
  /** Used as root only, for files that PostgreSQL's user has no access to elsewhere. */
  sharedDir?: string;
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

  const deadline = Date.now() + READY_TIMEOUT_MS;
  for (;;) {
    const port = await choosePort(HOST, access.port === undefined ? [] : [access.port]);
    const logStart = logSizeBytes(logFile);
    const child = startChild({
      name: 'postgres',
      command: postgresProgram(native, 'postgres'),
      args: serverArguments(clusterDir, port, options.settings),
      cwd: native,
      env,
      logFile,
      stopSignal: 'SIGINT',
      ...runAs,
    });
    const url = `postgres://${NAME}:${access.password}@${HOST}:${port}/${NAME}`;
    const failure = await waitUntilReady(child, url, deadline);
    if (failure === undefined) {
      writeStateFile(accessFile, { ...access, port });
      const stop = (graceMs = STOP_GRACE_MS): Promise<void> => child.stop(graceMs);
      return { url, pid: child.pid, exited: child.exited, stop, kill: () => child.kill() };
    }
    await child.stop(STOP_GRACE_MS);
    const tail = logTail(logFile, logStart);
    // The port was taken in between, or backends of a postmaster that was just killed are still running.
    const isTemporary =
      /address already in use|pre-existing shared memory block|could not create any TCP/i.test(tail);
    if (!isTemporary || Date.now() > deadline) {
      throw new Error(`PostgreSQL did not start: ${failure}. The end of ${logFile}:\n${tail}`);
    }
    await sleep(500);
  }
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

/** Excludes the service's variables, which contain secrets, and PG… variables, which would change the programs' behavior. */
function minimalEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = ['PATH', 'TMPDIR', 'TEMP', 'TMP', 'SYSTEMROOT', 'SystemRoot'];
  return Object.fromEntries(kept.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}

function serverArguments(clusterDir: string, port: number, own: Record<string, string> = {}): string[] {
  const settings = {
    listen_addresses: HOST,
    port: String(port),
    unix_socket_directories: '',
    shared_buffers: '128MB',
    max_connections: '200',
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
