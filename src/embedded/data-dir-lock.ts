import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isAlive, startTicks } from './processes.ts';

type Holder = { pid: number; startTicks?: string };

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, startTicks } = JSON.parse(text) as Partial<Holder>;
    if (typeof pid !== 'number') return undefined;
    return startTicks === undefined ? { pid } : { pid, startTicks };
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

/** A hard link appears atomically with its content, and only if the name is free. */
function tryLink(draft: string, file: string): boolean {
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function tryRename(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Locks the data folder until `release()` or the end of this process. Throws if another live process holds the lock. */
export function lockDataDir(dataDir: string): { release(): void } {
  const folder = resolve(dataDir);
  const file = join(folder, 'run.pid');
  const draft = `${file}.${randomUUID()}`;
  const ticks = startTicks(process.pid);
  const own = JSON.stringify({
    pid: process.pid,
    ...(ticks === undefined ? {} : { startTicks: ticks }),
    id: randomUUID(),
  });
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(draft, own, { mode: 0o600 });
  } catch (error) {
    const { message } = error as Error;
    throw new Error(
      `Cannot write to the data folder ${folder} (${message}). Set FLTR_DATA_DIR to another folder.`,
      { cause: error },
    );
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
      if (!tryRename(file, stale)) continue;
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
