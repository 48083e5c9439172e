import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isAlive, startTicks } from './processes.ts';

type Holder = { pid: number; startTicks?: string | undefined };

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, startTicks } = JSON.parse(text) as Partial<Holder>;
    return typeof pid === 'number' ? { pid, startTicks } : undefined;
  } catch {
    return undefined;
  }
}

function holds(holder: Holder): boolean {
  if (!isAlive(holder.pid)) return false;
  const now = startTicks(holder.pid);
  return holder.startTicks === undefined || now === undefined || now === holder.startTicks;
}

function readIfPresent(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** False if it fails with `code`. */
function succeeds(change: () => void, code: 'EEXIST' | 'ENOENT'): boolean {
  try {
    change();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === code) return false;
    throw error;
  }
}

/** A hard link appears atomically with its content, and only if the name is free. */
const tryLink = (draft: string, file: string) => succeeds(() => linkSync(draft, file), 'EEXIST');

/** Locks the data folder until `release()` or the end of this process. Throws if another live process holds the lock. */
export function lockDataDir(dataDir: string): { release(): void } {
  const folder = resolve(dataDir);
  const file = join(folder, 'run.pid');
  const draft = `${file}.${randomUUID()}`;
  const ticks = startTicks(process.pid);
  const own = JSON.stringify({ pid: process.pid, startTicks: ticks, id: randomUUID() });
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(draft, own, { mode: 0o600 });
  } catch (error) {
    const { message } = error as Error;
    const remedy = 'Set FLTR_DATA_DIR to another folder.';
    throw new Error(`Cannot write to the data folder ${folder} (${message}). ${remedy}`, { cause: error });
  }
  try {
    while (!tryLink(draft, file)) {
      const current = readIfPresent(file);
      if (current === undefined) continue;
      const holder = parseHolder(current);
      if (holder !== undefined && holds(holder)) {
        throw new Error(
          `The data folder ${folder} is in use by another fltr-webhooks (process ${holder.pid}). ` +
            'Stop it, or set FLTR_DATA_DIR to another folder (and PORT to another port).',
        );
      }
      // Two processes may take over at once: if the moved lock is not the stale one, it is restored.
      const stale = `${draft}.stale`;
      if (!succeeds(() => renameSync(file, stale), 'ENOENT')) continue;
      if (readIfPresent(stale) !== current) tryLink(stale, file);
      rmSync(stale, { force: true });
    }
  } finally {
    rmSync(draft, { force: true });
  }
  return {
    release() {
      if (readIfPresent(file) === own) rmSync(file, { force: true });
    },
  };
}
