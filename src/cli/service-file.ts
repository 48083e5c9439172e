import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readStateFile, writeStateFile } from '../embedded/state-file.ts';

/** How other commands on this machine reach a running `up`. */
export type ServiceFile = { pid: number; apiUrl: string; databaseUrl: string };

const pathIn = (dataDir: string) => join(dataDir, 'service.json');

/** Mode 0600: it contains the database password. */
export const writeServiceFile = (dataDir: string, service: ServiceFile): void =>
  writeStateFile(pathIn(dataDir), service);

export const removeServiceFile = (dataDir: string): Promise<void> => rm(pathIn(dataDir), { force: true });

export const readServiceFile = (dataDir: string): ServiceFile | undefined =>
  readStateFile(pathIn(dataDir)) as ServiceFile | undefined;
