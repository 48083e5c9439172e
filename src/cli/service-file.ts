import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where a running `up` can be reached: for the other commands on the same machine. */
export type ServiceFile = { pid: number; apiUrl: string; databaseUrl: string };

const pathIn = (dataDir: string) => join(dataDir, 'service.json');

/** Readable by its owner alone: it holds the database's password. */
export async function writeServiceFile(dataDir: string, service: ServiceFile): Promise<void> {
  await writeFile(pathIn(dataDir), `${JSON.stringify(service)}\n`, { mode: 0o600 });
}

export async function removeServiceFile(dataDir: string): Promise<void> {
  await rm(pathIn(dataDir), { force: true });
}

export async function readServiceFile(dataDir: string): Promise<ServiceFile | null> {
  try {
    return JSON.parse(await readFile(pathIn(dataDir), 'utf8')) as ServiceFile;
  } catch {
    return null;
  }
}
