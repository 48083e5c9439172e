import { statSync } from 'node:fs';

const everyMs = 1_000;

/**
 * A function that returns whether a file may have changed since the call before; true at the first call. It looks once a
 * second at most, so a change is noticed a second late. A file that cannot be looked at counts as one that is not there.
 *
 * Looking is a system call of microseconds: done at once, it waits for no thread.
 *
 * @example
 * const hasChanged = watchFile('/etc/hosts');
 * if (hasChanged()) readAgain();
 */
export function watchFile(path: string): () => boolean {
  let seen: string | undefined;
  let lookAt = 0;
  return () => {
    const now = performance.now();
    if (now < lookAt) return false;
    lookAt = now + everyMs;
    const found = versionOf(path);
    const hasChanged = found !== seen;
    seen = found;
    return hasChanged;
  };
}

function versionOf(path: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch {
    return '';
  }
}
