import { chmodSync, existsSync, mkdirSync } from 'node:fs';

/** Readable by all users, with any umask. */
export function makePublicDir(folder: string): void {
  if (existsSync(folder)) return;
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
}
