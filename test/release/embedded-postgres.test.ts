import { spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { reservePort } from '../../bench/reserve-port.ts';
import { lockDataDir } from '../../src/embedded/data-dir-lock.ts';
import { unprivilegedAccount } from '../../src/embedded/postgres-account.ts';
import {
  findPostgresBinaries,
  linkLibraries,
  postgresProgram,
  reachableBinaries,
} from '../../src/embedded/postgres-binaries.ts';
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts';
import type { EmbeddedPostgres } from '../../src/embedded/postgres.ts';
import { isAlive } from '../../src/embedded/processes.ts';
import { openClient } from '../kit/database-client.ts';
import { isListening } from '../kit/listening.ts';
import { until } from '../kit/service.ts';

const asRoot = process.getuid?.() === 0;
const folders: string[] = [];
const servers: EmbeddedPostgres[] = [];
const lines: string[] = [];

function temporaryFolder(mode: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'fltr-postgres-'));
  chmodSync(folder, mode);
  folders.push(folder);
  return folder;
}

const open = temporaryFolder(0o755);
const dataDir = join(open, 'data');
const sharedDir = join(open, 'shared');
// As root in a clone that other users cannot enter, the programs are copied first: here, before the reported lines are compared.
const runAs = asRoot ? unprivilegedAccount(() => {}) : undefined;
const native = reachableBinaries(findPostgresBinaries(), runAs, sharedDir, () => {});

async function start(folder = dataDir): Promise<EmbeddedPostgres> {
  lines.length = 0;
  const report = (line: string): void => void lines.push(line);
  const server = await startEmbeddedPostgres({ dataDir: folder, env: process.env, report, sharedDir });
  servers.push(server);
  return server;
}

async function ask(server: EmbeddedPostgres, sql: string): Promise<Record<string, unknown>[]> {
  const client = await openClient(server.url);
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

test('the first start makes the cluster, over the rest of a start that was killed in the middle', async () => {
  lockDataDir(dataDir).release();
  mkdirSync(join(dataDir, 'postgres.new-dead', 'base'), { recursive: true });
  writeFileSync(join(dataDir, 'postgres.new-dead', 'PG_VERSION'), '18\n');
  const server = await start();
  expect(lines).toEqual([
    expect.stringContaining(`creating the database folder ${join(dataDir, 'postgres')}`),
  ]);
  expect(readdirSync(dataDir).sort()).toEqual(['postgres', 'postgres.json', 'postgres.log']);
  expect(statSync(join(dataDir, 'postgres.json')).mode & 0o777).toBe(0o600);
  expect(statSync(dataDir).mode & 0o007).toBe(0);
  const settings = Object.fromEntries(
    (
      await ask(
        server,
        `SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'listen_addresses',
         'unix_socket_directories', 'max_connections', 'password_encryption', 'server_encoding', 'lc_collate')`,
      )
    ).map((row) => [row['name'], row['setting']]),
  );
  expect(settings).toEqual({
    fsync: 'on',
    synchronous_commit: 'on',
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    password_encryption: 'scram-sha-256',
    server_encoding: 'UTF8',
  });
  expect(await ask(server, `SELECT current_user, current_database()`)).toEqual([
    { current_user: 'fltr', current_database: 'fltr' },
  ]);
  const wrong = { ...server, url: server.url.replace(/:[^:@]+@/, ':wrong@') };
  await expect(ask(wrong, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
  await ask(server, 'CREATE TABLE kept (n int)');
  await ask(server, 'INSERT INTO kept VALUES (1)');
});

test('the second start has the data, the address and the password of the first', async () => {
  const first = JSON.parse(readFileSync(join(dataDir, 'postgres.json'), 'utf8')) as Record<string, unknown>;
  const server = await start();
  expect(lines).toEqual([]);
  expect(server.url).toBe(
    `postgres://fltr:${String(first['password'])}@127.0.0.1:${String(first['port'])}/fltr`,
  );
  expect(await ask(server, 'SELECT n FROM kept')).toEqual([{ n: 1 }]);
  await server.stop();
  expect(await server.exited).toEqual({ code: 0, signal: null });
});

test('after kill -9 of the server committed rows are there, and the next start needs no help', async () => {
  const server = await start();
  await ask(server, 'INSERT INTO kept VALUES (2)');
  server.kill();
  expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' });
  const next = await start();
  expect(await ask(next, 'SELECT n FROM kept ORDER BY n')).toEqual([{ n: 1 }, { n: 2 }]);
});

test('a server that an earlier life left behind is stopped first', async () => {
  const clusterDir = join(dataDir, 'postgres');
  const { uid, gid } = statSync(clusterDir);
  const port = await reservePort();
  const orphan = spawn(
    postgresProgram(native, 'postgres'),
    [
      '-D',
      clusterDir,
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      `port=${port}`,
      '-c',
      'unix_socket_directories=',
    ],
    { cwd: '/', uid, gid, detached: true, stdio: 'ignore' },
  );
  const gone = new Promise((done) => orphan.once('exit', done));
  await until(() => isListening(port), Boolean);
  const server = await start();
  await gone;
  expect(lines).toEqual([expect.stringContaining(`left by an earlier run (process ${orphan.pid})`)]);
  expect(await ask(server, 'SELECT count(*)::int AS n FROM kept')).toEqual([{ n: 2 }]);
});

test('a pid file that names another program by now stops neither that program nor the start', async () => {
  const other = spawn('sleep', ['60'], { stdio: 'ignore', ...runAs });
  const otherPid = other.pid ?? 0;
  const pidFile = join(dataDir, 'postgres', 'postmaster.pid');
  writeFileSync(pidFile, `${otherPid}\n${join(dataDir, 'postgres')}\n`);
  try {
    await start();
    expect(readFileSync(pidFile, 'utf8')).not.toContain(String(otherPid));
    expect(isAlive(otherPid)).toBe(true);
  } finally {
    other.kill('SIGKILL');
  }
});

test('a cluster without its password is not replaced', async () => {
  const access = readFileSync(join(dataDir, 'postgres.json'));
  rmSync(join(dataDir, 'postgres.json'));
  await expect(start()).rejects.toThrow(/password.*postgres\.json/);
  writeFileSync(join(dataDir, 'postgres.json'), access, { mode: 0o600 });
  expect(await ask(await start(), 'SELECT count(*)::int AS n FROM kept')).toEqual([{ n: 2 }]);
});

test('a cluster that is gone is not replaced by an empty one', async () => {
  renameSync(join(dataDir, 'postgres'), join(open, 'elsewhere'));
  await expect(start()).rejects.toThrow(/database folder .* is missing/);
  renameSync(join(open, 'elsewhere'), join(dataDir, 'postgres'));
});

test('a start that fails says why, with the end of the log', async () => {
  writeFileSync(join(dataDir, 'postgres', 'postgresql.auto.conf'), 'no_such_setting = 1\n');
  await expect(start()).rejects.toThrow(/PostgreSQL did not start: it exited[^]*no_such_setting/);
  writeFileSync(join(dataDir, 'postgres', 'postgresql.auto.conf'), '');
  await start();
});

test.runIf(asRoot)(
  'as root below a folder that nobody else may enter, the database is kept outside of it',
  async () => {
    const closed = join(temporaryFolder(0o700), 'data');
    lockDataDir(closed).release();
    const server = await start(closed);
    const [row] = await ask(server, 'SHOW data_directory');
    const clusterDir = String(row?.['data_directory']);
    expect(clusterDir.startsWith(`${sharedDir}/`)).toBe(true);
    expect(lines[0]).toContain(clusterDir);
    expect(readFileSync(join(closed, 'POSTGRES-IS-ELSEWHERE.txt'), 'utf8')).toContain(clusterDir);
    expect(statSync(closed).mode & 0o777).toBe(0o700);
    await ask(server, 'CREATE TABLE kept (n int)');
    await server.stop();

    const second = await start(closed);
    expect(lines).toEqual([]);
    expect(await ask(second, 'SELECT n FROM kept')).toEqual([]);
    await second.stop();

    // Whoever deletes the data folder starts afresh, and the old cluster is put aside.
    rmSync(closed, { recursive: true });
    const third = await start(closed);
    await expect(ask(third, 'SELECT n FROM kept')).rejects.toThrow(/does not exist/);
    expect(existsSync(join(`${clusterDir}.previous`, 'PG_VERSION'))).toBe(true);
    await third.stop();

    // A copy of the folder must not take the original's cluster.
    cpSync(closed, `${closed}-copy`, { recursive: true });
    await expect(start(`${closed}-copy`)).rejects.toThrow(/moved or copied/);
  },
);

test.runIf(asRoot)('as root, binaries that the user cannot read are copied once per version', () => {
  const closed = join(temporaryFolder(0o700), 'native');
  const real = findPostgresBinaries();
  cpSync(real.native, closed, { recursive: true, verbatimSymlinks: true });
  const ownSharedDir = join(temporaryFolder(0o755), 'shared');
  const copied: string[] = [];
  const reach = (from: string): string =>
    reachableBinaries(
      { native: from, version: real.version },
      runAs,
      ownSharedDir,
      (line) => void copied.push(line),
    );
  const copy = join(ownSharedDir, `postgresql-${real.version}`, 'native');
  expect(reach(closed)).toBe(copy);
  expect(copied).toEqual([expect.stringContaining('copying its programs')]);
  expect(reach(closed)).toBe(copy);
  // Programs that the user can read are run in place.
  expect(reach(native)).toBe(native);
  expect(copied).toHaveLength(1);
});

test('the library links that npm --ignore-scripts left out are made', () => {
  const root = temporaryFolder(0o755);
  mkdirSync(join(root, 'native', 'lib'), { recursive: true });
  writeFileSync(join(root, 'native', 'lib', 'libpq.so.5.18'), 'library');
  const list = [{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' }];
  writeFileSync(join(root, 'native', 'pg-symlinks.json'), JSON.stringify(list));
  linkLibraries(root);
  linkLibraries(root);
  expect(readFileSync(join(root, 'native', 'lib', 'libpq.so.5'), 'utf8')).toBe('library');
  expect(lstatSync(join(root, 'native', 'lib', 'libpq.so.5')).isSymbolicLink()).toBe(true);
});
