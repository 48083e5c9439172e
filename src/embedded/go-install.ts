import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isAlive } from './processes.ts';
import { EXE, runBounded, runLongStep, which } from './programs.ts';

const MODULE_PROBE_TIMEOUT_MS = 20_000;
const BUILD_TIMEOUT_MS = 30 * 60_000;

type GoBuild = {
  module: string;
  version: string;
  /** Each with its package within the module, the path to install it at, and a check that it runs. */
  programs: { package: string; installPath: string; check(executable: string): Promise<unknown> }[];
  env: NodeJS.ProcessEnv;
  report: (line: string) => void;
  /** Why it is built. */
  reason: string;
};

/** Builds programs of a Go module. Throws an Error with the reason if it cannot. */
export async function goInstall({ module, version, programs, env, report, reason }: GoBuild): Promise<void> {
  const [first] = programs;
  if (first === undefined) return;
  const go = which('go', env);
  if (go === undefined) throw new Error('no `go` on PATH');
  // GOOS and GOARCH would select another platform, which `go install` refuses with GOBIN.
  const { GOOS: _os, GOARCH: _arch, ...rest } = env;
  const parent = dirname(first.installPath);
  await withTempFolder(parent, async (folder) => {
    const goEnv = { ...rest, GOBIN: folder, PWD: folder };
    await runBounded(go, ['list', '-m', `${module}@v${version}`], goEnv, MODULE_PROBE_TIMEOUT_MS, folder);
    report(
      `Temporal: ${reason} (${module}@v${version}). This takes 4 to 8 minutes on two cores, once per user …`,
    );
    await runLongStep({
      name: 'temporal-build',
      command: go,
      args: ['install', ...programs.map((program) => `${module}/${program.package}@v${version}`)],
      cwd: folder,
      env: goEnv,
      logFile: join(parent, 'build.log'),
      timeoutMs: BUILD_TIMEOUT_MS,
      onProgress: (seconds) => report(`Temporal: still building, ${seconds} s so far …`),
    });
    for (const program of programs) {
      const built = join(folder, `${program.package.split('/').at(-1)}${EXE}`);
      await installExecutable(built, program.installPath, program.check);
    }
  });
}

/** Checks an executable and moves it to its path atomically. */
export async function installExecutable(
  executable: string,
  installPath: string,
  check: (executable: string) => Promise<unknown>,
): Promise<void> {
  chmodSync(executable, 0o755);
  await check(executable);
  renameSync(executable, installPath);
}

/** Runs a function with a temporary folder below `parent`. */
export async function withTempFolder<T>(parent: string, use: (folder: string) => Promise<T>): Promise<T> {
  mkdirSync(parent, { recursive: true });
  // Remove the folders of killed processes: some hundred megabytes.
  for (const name of readdirSync(parent)) {
    const pid = /^new-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      rmSync(join(parent, name), { recursive: true, force: true });
  }
  const folder = join(parent, `new-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
