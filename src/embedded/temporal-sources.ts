import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inWorkFolder, goInstall, keepExecutable } from './go-install.ts';
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
const DOWNLOAD_TIMEOUT_MS = 180_000;

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
  return inWorkFolder(dirname(cached), async (folder) => {
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
    await keepExecutable(join(folder, `temporal-v${CLI_VERSION}${EXE}`), cached, (file) =>
      versionOf(file, env),
    );
    return cached;
  });
}

async function build(cached: string, { env, report }: WayOptions): Promise<string> {
  await goInstall({
    module: MODULE,
    version: CLI_VERSION,
    programs: [{ package: 'cmd/temporal', keepAs: cached, check: (file) => versionOf(file, env) }],
    env,
    report,
    words: 'neither installed nor to be downloaded, so it is built from its Go module',
  });
  return cached;
}
