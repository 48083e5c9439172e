import { randomBytes } from 'node:crypto';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { logSizeBytes, logTail } from './log-file.ts';
import type { Ids } from './postgres-account.ts';
import { postgresProgram } from './postgres-binaries.ts';
import { commandLine, isAlive, stopProcess } from './processes.ts';
import { startChild } from './supervise.ts';

const INITDB_TIMEOUT_MS = 180_000;

type NewCluster = {
  clusterDir: string;
  native: string;
  runAs: Ids | undefined;
  user: string;
  password: string;
  env: NodeJS.ProcessEnv;
  logFile: string;
};

export function hasCluster(clusterDir: string): boolean {
  return existsSync(join(clusterDir, 'PG_VERSION'));
}

/** Runs initdb in a draft folder and renames it when complete, so that a crash leaves no partial cluster. */
export async function createCluster(options: NewCluster): Promise<void> {
  const { clusterDir, native, runAs, user, password, env, logFile } = options;
  const parent = dirname(clusterDir);
  const prefix = `${basename(clusterDir)}.new-`;
  for (const draft of readdirSync(parent).filter((name) => name.startsWith(prefix))) {
    rmSync(join(parent, draft), { recursive: true, force: true, maxRetries: 5 });
  }
  const draft = join(parent, `${prefix}${randomBytes(4).toString('hex')}`);
  const passwordFile = `${draft}.password`;
  mkdirSync(draft, { mode: 0o700 });
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (runAs !== undefined) for (const path of [draft, passwordFile]) chownSync(path, runAs.uid, runAs.gid);

  const flags = [
    ['-D', draft],
    ['-U', user],
    ['--pwfile', passwordFile],
    ['--auth', 'scram-sha-256'],
    ['--encoding', 'UTF8'],
    ['--locale', 'C'],
  ];
  const logStart = logSizeBytes(logFile);
  const initdb = startChild({
    name: 'initdb',
    command: postgresProgram(native, 'initdb'),
    args: [...flags.flat(), '--data-checksums', '--no-instructions'],
    cwd: native,
    env,
    logFile,
    stopSignal: 'SIGINT',
    runAs,
  });
  const tooLong = setTimeout(() => initdb.kill(), INITDB_TIMEOUT_MS);
  const { code } = await initdb.exited;
  clearTimeout(tooLong);
  rmSync(passwordFile, { force: true });
  if (code !== 0) {
    rmSync(draft, { recursive: true, force: true });
    throw new Error(
      `PostgreSQL: the database folder could not be created (initdb):\n${logTail(logFile, logStart)}`,
    );
  }
  // Replaces nothing but an empty folder, such as a mount point.
  renameSync(draft, clusterDir);
}

function isPostmasterOf(pid: number, clusterDir: string): boolean {
  if (!isAlive(pid) || pid === process.pid) return false;
  try {
    // A postmaster's working directory is its cluster.
    return (
      readlinkSync(`/proc/${pid}/cwd`) === realpathSync(clusterDir) &&
      (commandLine(pid) ?? '').includes('postgres')
    );
  } catch {
    const line = commandLine(pid) ?? '';
    return line.includes('postgres') && line.includes(clusterDir);
  }
}

/**
 * Stops a postmaster left by an earlier run, and removes a stale pid file. PostgreSQL refuses to start if another program
 * has the pid by now. Call it with the data folder locked.
 */
export async function clearOrphan(clusterDir: string, report: (line: string) => void): Promise<void> {
  const pidFile = join(clusterDir, 'postmaster.pid');
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, 'utf8').split('\n')[0]);
  if (Number.isInteger(pid) && pid > 1 && isPostmasterOf(pid, clusterDir)) {
    report(`PostgreSQL: stopping the server left by an earlier run (process ${pid})`);
    await stopProcess(pid, 'SIGINT', 20_000);
  }
  rmSync(pidFile, { force: true });
}
