import { createHash } from 'node:crypto';
import { existsSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { accountFor, isRoot, letThrough } from './postgres-account.ts';
import type { Ids } from './postgres-account.ts';
import { makePublicDir } from './public-dir.ts';

export type Place = { clusterDir: string; runAs: Ids | undefined };

type Options = {
  dataDir: string;
  /** Where the cluster was at the last start, as `recordedPlace` wrote it. */
  recorded: string | undefined;
  sharedDir: string;
  report: (line: string) => void;
};

/** Inside the data folder as a relative path, so that the folder may be moved; elsewhere absolute. */
export function recordedPlace(dataDir: string, clusterDir: string): string {
  return dirname(clusterDir) === dataDir ? relative(dataDir, clusterDir) : clusterDir;
}

/**
 * Where the cluster lies: in the data folder; only as root, when the user that runs PostgreSQL cannot get there (a
 * checkout below /root), in a folder below `sharedDir` named after the data folder.
 */
export function choosePlace({ dataDir, recorded, sharedDir, report }: Options): Place {
  const inside = join(dataDir, 'postgres');
  const hash = createHash('sha256').update(realpathSync(dataDir)).digest('hex').slice(0, 12);
  const outside = join(sharedDir, hash, 'postgres');

  if (recorded !== undefined) {
    const clusterDir = resolve(dataDir, recorded);
    if (clusterDir !== inside && clusterDir !== outside) {
      throw new Error(
        `The data folder ${dataDir} was moved or copied, but its database lies outside of it, in ${clusterDir}. ` +
          `Move the folder back, or set FLTR_DATA_DIR to a new one.`,
      );
    }
    const runAs = accountFor(clusterDir, dataDir, report);
    if (clusterDir === inside && runAs !== undefined && !letThrough(dataDir, runAs)) {
      throw new Error(`uid ${runAs.uid}, which owns the database folder ${clusterDir}, cannot reach it.`);
    }
    return { clusterDir, runAs };
  }

  const runAs = accountFor(inside, dataDir, report);
  if (!isRoot() || runAs === undefined || letThrough(dataDir, runAs)) return { clusterDir: inside, runAs };
  makePublicDir(sharedDir);
  makePublicDir(dirname(outside));
  report(`PostgreSQL: its user cannot reach ${dataDir}; the database is kept in ${outside}`);
  writeFileSync(
    join(dataDir, 'POSTGRES-IS-ELSEWHERE.txt'),
    `PostgreSQL does not run as root, and the user that runs it cannot reach this folder.\n` +
      `The database of this folder is in:\n${outside}\n`,
  );
  return { clusterDir: outside, runAs: accountFor(outside, dataDir, report) };
}

/**
 * A cluster outside whose data folder was deleted: nobody knows its password, and whoever deletes the data folder wants
 * a fresh start. Put aside, one of them, rather than deleted.
 */
export function putAside(clusterDir: string, report: (line: string) => void): void {
  if (!existsSync(clusterDir)) return;
  const previous = `${clusterDir}.previous`;
  rmSync(previous, { recursive: true, force: true });
  renameSync(clusterDir, previous);
  report(`PostgreSQL: the database of a deleted data folder was put aside as ${previous}`);
}
