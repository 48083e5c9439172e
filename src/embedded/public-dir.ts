import { chmodSync, existsSync, mkdirSync } from 'node:fs';

/** Whatever the umask: another user has to pass through it. */
export function makePublicDir(folder: string): void {
  if (existsSync(folder)) return;
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
}
