import { createHash } from 'node:crypto';
import { existsSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { accountFor, isRoot, grantPassage } from './postgres-account.ts';
import type { Ids } from './postgres-account.ts';
import { makePublicDir } from './public-dir.ts';

export type ClusterLocation = { clusterDir: string; runAs: Ids | undefined };

type Options = {
  dataDir: string;
  /** The location at the last start, from `recordedLocation`. */
  recorded: string | undefined;
  sharedDir: string;
  report: (line: string) => void;
};

/** Relative within the data folder, so that the folder can be moved; otherwise absolute. */
export function recordedLocation(dataDir: string, clusterDir: string): string {
  return dirname(clusterDir) === dataDir ? relative(dataDir, clusterDir) : clusterDir;
}

/**
 * The cluster is in the data folder. As root, if PostgreSQL's user has no access to it (a checkout below /root), it is in a
 * folder below `sharedDir` named by a hash of the data folder's path.
 */
export function chooseLocation({ dataDir, recorded, sharedDir, report }: Options): ClusterLocation {
  const inside = join(dataDir, 'postgres');
  const hash = createHash('sha256').update(realpathSync(dataDir)).digest('hex').slice(0, 12);
  const outside = join(sharedDir, hash, 'postgres');

  if (recorded !== undefined) {
    const clusterDir = resolve(dataDir, recorded);
    if (clusterDir !== inside && clusterDir !== outside) {
      throw new Error(
        `The data folder ${dataDir} was moved or copied, but its database is outside of it, in ${clusterDir}. ` +
          `Move the folder back, or set FLTR_DATA_DIR to a new one.`,
      );
    }
    const runAs = accountFor(clusterDir, dataDir, report);
    if (clusterDir === inside && runAs !== undefined && !grantPassage(dataDir, runAs)) {
      throw new Error(`uid ${runAs.uid}, which owns the database folder ${clusterDir}, has no access to it.`);
    }
    return { clusterDir, runAs };
  }

  const runAs = accountFor(inside, dataDir, report);
  if (!isRoot() || runAs === undefined || grantPassage(dataDir, runAs)) return { clusterDir: inside, runAs };
  makePublicDir(sharedDir);
  makePublicDir(dirname(outside));
  report(`PostgreSQL: its user has no access to ${dataDir}, so the database is in ${outside}`);
  writeFileSync(
    join(dataDir, 'POSTGRES-IS-ELSEWHERE.txt'),
    `PostgreSQL does not run as root, and its user has no access to this folder.\n` +
      `The database is in:\n${outside}\n`,
  );
  return { clusterDir: outside, runAs: accountFor(outside, dataDir, report) };
}

/**
 * Renames a cluster outside of a data folder that was deleted: its password is lost. One such cluster is kept.
 */
export function setAside(clusterDir: string, report: (line: string) => void): void {
  if (!existsSync(clusterDir)) return;
  const previous = `${clusterDir}.previous`;
  rmSync(previous, { recursive: true, force: true });
  renameSync(clusterDir, previous);
  report(`PostgreSQL: the database of a deleted data folder was renamed to ${previous}`);
}
