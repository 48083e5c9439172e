import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isAlive } from './processes.ts';
import { EXE, runBounded, runLongStep, which } from './programs.ts';

export type TemporalSource = 'path' | 'cache' | 'download' | 'build';

/** One way to come by the executable. `find` throws an Error whose message says why it cannot. */
export type Way = { how: TemporalSource; name: string; find(): Promise<string> };

export type WayOptions = { env: NodeJS.ProcessEnv; cacheDir: string; report: (line: string) => void };

/** The newest tag that `go install` takes. */
const CLI_VERSION = '1.5.1';
const MODULE = 'github.com/temporalio/cli';
const DOWNLOAD_HOST = 'https://temporal.download';
const PROBE_TIMEOUT_MS = 3_000;
const VERSION_TIMEOUT_MS = 5_000;
const MODULE_PROBE_TIMEOUT_MS = 20_000;
const DOWNLOAD_TIMEOUT_MS = 180_000;
const BUILD_TIMEOUT_MS = 30 * 60_000;

export function standardWays(options: WayOptions): Way[] {
  const { env, cacheDir, report } = options;
  const cached = join(cacheDir, `temporal-cli-${CLI_VERSION}`, `temporal${EXE}`);
  return [
    { how: 'path', name: '`temporal` on PATH', find: () => findOnPath(env, report) },
    { how: 'cache', name: 'the copy in the cache folder', find: () => findInCache(cached, env) },
    { how: 'download', name: "the SDK's download", find: () => download(cached, options) },
    { how: 'build', name: 'a build with Go', find: () => build(cached, options) },
  ];
}

/** What `temporal --version` says; throws when the file does not run or is not Temporal's CLI. */
async function versionOf(executable: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await runBounded(executable, ['--version'], env, VERSION_TIMEOUT_MS);
  const version = stdout.trim();
  if (!/^temporal version/i.test(version)) throw new Error(`${executable} is not the Temporal CLI`);
  return version;
}

async function findOnPath(env: NodeJS.ProcessEnv, report: (line: string) => void): Promise<string> {
  const found = which('temporal', env);
  if (found === undefined) throw new Error('not there');
  const version = await versionOf(found, env);
  const help = await runBounded(found, ['server', 'start-dev', '--help'], env, VERSION_TIMEOUT_MS);
  if (!/--db-filename/.test(help.stdout))
    throw new Error(`${found} (${version}) has no \`server start-dev\``);
  report(`Temporal: ${found}, ${version}`);
  return found;
}

async function findInCache(cached: string, env: NodeJS.ProcessEnv): Promise<string> {
  if (!existsSync(cached)) throw new Error(`${cached} is not there yet`);
  await versionOf(cached, env);
  return cached;
}

/** Moves a finished executable to its place in one step: nobody ever starts half a file. */
async function keep(executable: string, cached: string, env: NodeJS.ProcessEnv): Promise<string> {
  chmodSync(executable, 0o755);
  await versionOf(executable, env);
  renameSync(executable, cached);
  return cached;
}

async function inWorkFolder<T>(cached: string, use: (folder: string) => Promise<T>): Promise<T> {
  const parent = dirname(cached);
  mkdirSync(parent, { recursive: true });
  // What a start that was killed in the middle left: some hundred megabytes.
  for (const left of readdirSync(parent)) {
    const pid = /^new-(\d+)$/.exec(left)?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      rmSync(join(parent, left), { recursive: true, force: true });
  }
  const folder = join(parent, `new-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * The SDK downloads only as a part of starting its test server. Done in a process of its own: it would otherwise make
 * the one Runtime of this process, with settings that the worker could not change any more.
 */
async function download(cached: string, { env, report }: WayOptions): Promise<string> {
  // fetch knows no proxy; where one is set, the SDK itself has to try.
  if (!(env['HTTPS_PROXY'] ?? env['https_proxy'] ?? env['ALL_PROXY'] ?? env['all_proxy'])) {
    await fetch(DOWNLOAD_HOST, { method: 'HEAD', signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) }).catch(
      () => {
        throw new Error(`${DOWNLOAD_HOST} cannot be reached`);
      },
    );
  }
  report(`Temporal: downloading the CLI ${CLI_VERSION} (once for this user) …`);
  return inWorkFolder(cached, async (folder) => {
    const script = `
      import { createRequire } from 'node:module';
      const { TestWorkflowEnvironment } = createRequire(${JSON.stringify(import.meta.url)})('@temporalio/testing');
      const executable = { type: 'cached-download', version: 'v${CLI_VERSION}', downloadDir: ${JSON.stringify(folder)} };
      try {
        const server = await TestWorkflowEnvironment.createLocal({ server: { executable } });
        await server.teardown();
      } catch (error) {
        console.error(error instanceof Error ? error.message : error);
        process.exitCode = 1;
      }
    `;
    await runLongStep({
      name: 'temporal-download',
      command: process.execPath,
      args: ['--input-type=module', '--eval', script],
      cwd: folder,
      env,
      logFile: join(dirname(cached), 'download.log'),
      timeoutMs: DOWNLOAD_TIMEOUT_MS,
      onProgress: (seconds) => report(`Temporal: still downloading, ${seconds} s so far …`),
    });
    return keep(join(folder, `temporal-v${CLI_VERSION}${EXE}`), cached, env);
  });
}

async function build(cached: string, { env, report }: WayOptions): Promise<string> {
  const go = which('go', env);
  if (go === undefined) throw new Error('no `go` on PATH');
  // A wish for another platform would make a binary that does not run here, and `go install` refuses it with GOBIN.
  const { GOOS: _os, GOARCH: _arch, ...rest } = env;
  return inWorkFolder(cached, async (folder) => {
    const goEnv = { ...rest, GOBIN: folder, PWD: folder };
    await runBounded(go, ['list', '-m', `${MODULE}@v${CLI_VERSION}`], goEnv, MODULE_PROBE_TIMEOUT_MS, folder);
    report(
      `Temporal: neither installed nor to be downloaded, so it is built from its Go module (${MODULE}@v${CLI_VERSION}). ` +
        'This takes 4 to 8 minutes on two cores, once for this user …',
    );
    await runLongStep({
      name: 'temporal-build',
      command: go,
      args: ['install', `${MODULE}/cmd/temporal@v${CLI_VERSION}`],
      cwd: folder,
      env: goEnv,
      logFile: join(dirname(cached), 'build.log'),
      timeoutMs: BUILD_TIMEOUT_MS,
      onProgress: (seconds) => report(`Temporal: still building, ${seconds} s so far …`),
    });
    return keep(join(folder, `temporal${EXE}`), cached, env);
  });
}
