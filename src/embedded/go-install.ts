import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isAlive } from './processes.ts';
import { EXE, runBounded, runLongStep, which } from './programs.ts';

const MODULE_PROBE_TIMEOUT_MS = 20_000;
const BUILD_TIMEOUT_MS = 30 * 60_000;

type GoBuild = {
  module: string;
  version: string;
  /** Program by program: its package, below the module; the file to keep it in; what tells that it runs. */
  programs: { package: string; keepAs: string; check(executable: string): Promise<unknown> }[];
  env: NodeJS.ProcessEnv;
  report: (line: string) => void;
  /** Why it is built, and how long that takes. */
  words: string;
};

/** Builds programs of a Go module into the folder of `keepAs`. Throws an Error whose message says why it cannot. */
export async function goInstall({ module, version, programs, env, report, words }: GoBuild): Promise<void> {
  const [first] = programs;
  if (first === undefined) return;
  const go = which('go', env);
  if (go === undefined) throw new Error('no `go` on PATH');
  // A wish for another platform would make a binary that does not run here, and `go install` refuses it with GOBIN.
  const { GOOS: _os, GOARCH: _arch, ...rest } = env;
  const parent = dirname(first.keepAs);
  await inWorkFolder(parent, async (folder) => {
    const goEnv = { ...rest, GOBIN: folder, PWD: folder };
    await runBounded(go, ['list', '-m', `${module}@v${version}`], goEnv, MODULE_PROBE_TIMEOUT_MS, folder);
    report(
      `Temporal: ${words} (${module}@v${version}). This takes 4 to 8 minutes on two cores, once for this user …`,
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
      await keepExecutable(built, program.keepAs, program.check);
    }
  });
}

/** Moves a finished executable to its place in one step: nobody ever starts half a file. */
export async function keepExecutable(
  executable: string,
  keepAs: string,
  check: (executable: string) => Promise<unknown>,
): Promise<void> {
  chmodSync(executable, 0o755);
  await check(executable);
  renameSync(executable, keepAs);
}

/** A folder of this process below `parent`, removed afterwards. */
export async function inWorkFolder<T>(parent: string, use: (folder: string) => Promise<T>): Promise<T> {
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
