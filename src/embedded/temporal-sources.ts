import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { withTempFolder, goInstall, installExecutable } from './go-install.ts';
import { EXE, runBounded, runLongStep, which } from './programs.ts';

export type TemporalSourceKind = 'path' | 'cache' | 'download' | 'build';

/** A source of the executable. `find` returns its path, or throws an Error with the reason. */
export type TemporalSource = { kind: TemporalSourceKind; name: string; find(): Promise<string> };

export type SourceOptions = { env: NodeJS.ProcessEnv; cacheDir: string; report: (line: string) => void };

/** The newest tag that `go install` supports. */
const CLI_VERSION = '1.5.1';
const MODULE = 'github.com/temporalio/cli';
const DOWNLOAD_HOST = 'https://temporal.download';
const PROBE_TIMEOUT_MS = 3_000;
const VERSION_TIMEOUT_MS = 5_000;
const DOWNLOAD_TIMEOUT_MS = 180_000;

export function standardSources(options: SourceOptions): TemporalSource[] {
  const { env, cacheDir, report } = options;
  const cached = join(cacheDir, `temporal-cli-${CLI_VERSION}`, `temporal${EXE}`);
  return [
    { kind: 'path', name: '`temporal` on PATH', find: () => findOnPath(env, report) },
    { kind: 'cache', name: 'the copy in the cache folder', find: () => findInCache(cached, env) },
    { kind: 'download', name: "the SDK's download", find: () => download(cached, options) },
    { kind: 'build', name: 'a build with Go', find: () => build(cached, options) },
  ];
}

/** The output of `temporal --version`; throws if the file does not run or is not Temporal's CLI. */
async function versionOf(executable: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await runBounded(executable, ['--version'], env, VERSION_TIMEOUT_MS);
  const version = stdout.trim();
  if (!/^temporal version/i.test(version)) throw new Error(`${executable} is not the Temporal CLI`);
  return version;
}

async function findOnPath(env: NodeJS.ProcessEnv, report: (line: string) => void): Promise<string> {
  const found = which('temporal', env);
  if (found === undefined) throw new Error('not found');
  const version = await versionOf(found, env);
  const help = await runBounded(found, ['server', 'start-dev', '--help'], env, VERSION_TIMEOUT_MS);
  if (!/--db-filename/.test(help.stdout))
    throw new Error(`${found} (${version}) has no \`server start-dev\``);
  report(`Temporal: ${found}, ${version}`);
  return found;
}

async function findInCache(cached: string, env: NodeJS.ProcessEnv): Promise<string> {
  if (!existsSync(cached)) throw new Error(`${cached} not found`);
  await versionOf(cached, env);
  return cached;
}

/**
 * The SDK downloads only as a part of starting its test server. This runs in a child process, because it creates the
 * SDK's Runtime, of which a process has one, whose options the worker needs to set.
 */
async function download(cached: string, { env, report }: SourceOptions): Promise<string> {
  // fetch ignores proxy settings, so with a proxy there is no check beforehand.
  if (!(env['HTTPS_PROXY'] ?? env['https_proxy'] ?? env['ALL_PROXY'] ?? env['all_proxy'])) {
    await fetch(DOWNLOAD_HOST, { method: 'HEAD', signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) }).catch(
      () => {
        throw new Error(`${DOWNLOAD_HOST} cannot be reached`);
      },
    );
  }
  report(`Temporal: downloading the CLI ${CLI_VERSION} (once per user) …`);
  return withTempFolder(dirname(cached), async (folder) => {
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
    await installExecutable(join(folder, `temporal-v${CLI_VERSION}${EXE}`), cached, (file) =>
      versionOf(file, env),
    );
    return cached;
  });
}

async function build(cached: string, { env, report }: SourceOptions): Promise<string> {
  await goInstall({
    module: MODULE,
    version: CLI_VERSION,
    programs: [{ package: 'cmd/temporal', installPath: cached, check: (file) => versionOf(file, env) }],
    env,
    report,
    reason: 'not installed and not downloadable, building it from its Go module',
  });
  return cached;
}
