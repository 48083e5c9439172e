import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, statSync } from 'node:fs';

export type Ids = { uid: number; gid: number };

const CANDIDATES = ['postgres', 'fltr-webhooks'];

function idsOf(user: string): Ids | undefined {
  const [uid, gid] = ['-u', '-g'].map((flag) => {
    const run = spawnSync('id', [flag, user], { encoding: 'utf8', timeout: 5_000 });
    return run.status === 0 ? Number(run.stdout.trim()) : Number.NaN;
  });
  return uid === undefined || gid === undefined || !(uid > 0) || !(gid > 0) ? undefined : { uid, gid };
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** The user for PostgreSQL, which refuses to run as root. Created if there is none. */
export function unprivilegedAccount(report: (line: string) => void): Ids {
  for (const user of CANDIDATES) {
    const ids = idsOf(user);
    if (ids !== undefined) return ids;
  }
  report('PostgreSQL: does not run as root, creating the system user fltr-webhooks for it');
  spawnSync('useradd', ['--system', '--user-group', '--no-create-home', 'fltr-webhooks'], {
    timeout: 10_000,
  });
  const created = idsOf('fltr-webhooks');
  if (created !== undefined) return created;
  throw new Error(
    'PostgreSQL does not run as root, and no system user could be created for it. ' +
      'Start as another user, or set DATABASE_URL to use your own PostgreSQL.',
  );
}

/** Tested as that user, because file modes are not enough (ACLs, mounts, parent folders). */
function canReach(folder: string, ids: Ids): boolean {
  return (
    spawnSync('/bin/sh', ['-c', 'test -x "$1/."', 'reach', folder], { cwd: '/', timeout: 5_000, ...ids })
      .status === 0
  );
}

/**
 * Gives the user access to the data folder by the group's execute bit (0700 becomes 0710): it may pass through, but not
 * list the folder. Undone if a parent folder still denies access.
 */
export function grantPassage(folder: string, ids: Ids): boolean {
  if (canReach(folder, ids)) return true;
  const before = statSync(folder);
  if (before.uid !== 0) return false;
  chownSync(folder, before.uid, ids.gid);
  chmodSync(folder, (before.mode & 0o700) | 0o010);
  if (canReach(folder, ids)) return true;
  chownSync(folder, before.uid, before.gid);
  chmodSync(folder, before.mode & 0o7777);
  return false;
}

/**
 * The user for PostgreSQL. As root: the owner of the cluster or of the data folder (a mounted volume), otherwise the
 * unprivileged account. Not as root: undefined, the current user, who must own an existing cluster.
 */
export function accountFor(
  clusterDir: string,
  dataDir: string,
  report: (line: string) => void,
): Ids | undefined {
  const cluster = statSync(clusterDir, { throwIfNoEntry: false });
  if (isRoot()) {
    const owner = [cluster, statSync(dataDir)].find((stat) => stat !== undefined && stat.uid !== 0);
    return owner === undefined ? unprivilegedAccount(report) : { uid: owner.uid, gid: owner.gid };
  }
  const own = process.getuid?.();
  if (cluster !== undefined && own !== undefined && cluster.uid !== own) {
    throw new Error(
      `The database folder ${clusterDir} belongs to uid ${cluster.uid}, but this process runs as uid ${own}. ` +
        'Start as that user or as root, or set FLTR_DATA_DIR to another folder.',
    );
  }
  return undefined;
}
