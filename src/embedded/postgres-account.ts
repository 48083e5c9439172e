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

/** PostgreSQL refuses to run as root: the user it runs as instead, made when there is none. */
export function unprivilegedAccount(report: (line: string) => void): Ids {
  for (const user of CANDIDATES) {
    const ids = idsOf(user);
    if (ids !== undefined) return ids;
  }
  report('PostgreSQL: refuses to run as root; making the system user fltr-webhooks for it');
  spawnSync('useradd', ['--system', '--user-group', '--no-create-home', 'fltr-webhooks'], {
    timeout: 10_000,
  });
  const made = idsOf('fltr-webhooks');
  if (made !== undefined) return made;
  throw new Error(
    'PostgreSQL refuses to run as root, and no system user could be made for it. ' +
      'Start as another user, or set DATABASE_URL to use a PostgreSQL of your own.',
  );
}

/** Whether the user can really go through the folder, tried as that user: modes alone do not tell (ACLs, mounts, parents). */
function canReach(folder: string, ids: Ids): boolean {
  return (
    spawnSync('/bin/sh', ['-c', 'test -x "$1/."', 'reach', folder], { cwd: '/', timeout: 5_000, ...ids })
      .status === 0
  );
}

/**
 * Lets the user through our own data folder by the group bit alone (0700 becomes 0710): it may pass, not list, and
 * nobody else may. Undone when a folder above bars the way all the same.
 */
export function letThrough(folder: string, ids: Ids): boolean {
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
 * Whom PostgreSQL runs as. As root: the owner of the cluster or of the data folder (a mounted volume), else the account
 * for it. Otherwise ourselves (undefined), and an existing cluster must be ours.
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
      `The database folder ${clusterDir} belongs to uid ${cluster.uid}, and this process runs as uid ${own}. ` +
        'Start as that user or as root, or set FLTR_DATA_DIR to another folder.',
    );
  }
  return undefined;
}
