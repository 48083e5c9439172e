import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** How other commands on this machine reach a running `up`. */
export type ServiceFile = { pid: number; apiUrl: string; databaseUrl: string };

const pathIn = (dataDir: string) => join(dataDir, 'service.json');

/** Mode 0600: it contains the database password. */
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
