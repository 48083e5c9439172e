import { setTimeout as delay } from 'node:timers/promises';
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts';
import type { Child } from '../src/embedded/supervise.ts';
import { reservePort } from './reserve-port.ts';
import { startTemporalServer } from './temporal-server.ts';
import { newDatabase, postgresSettings } from './bench.ts';
import { childProcesses } from './measure.ts';
import { plainEnvironment, startDevTemporal, startService, untilReady } from './parts.ts';

/** `process`: one of several processes of the service. `restart`: SIGHUP, which replaces each of them. */
export type PartName = 'postgresql' | 'temporal' | 'service' | 'worker' | 'process' | 'restart';
export type Parts = {
  apiUrl: string;
  databaseUrl: string;
  /** On the same server. The outboxes of both databases are relayed. */
  otherDatabaseUrl: string;
  temporalAddress: string;
  /** kill -9, and after a while a new start. */
  killAndRestart(part: PartName, afterMs: number): Promise<void>;
  stop(): Promise<void>;
};

/** Attempts under way are given 20 s to end. */
const stopGraceMs = 40_000;

/** Temporal's development server, or the real one on PostgreSQL. */
export type TemporalKind = 'dev' | 'postgresql';

/**
 * The service as four parts, each of which can die: both servers, a whole process, a worker beside it. Logs are in the
 * folder.
 */
export async function startParts(
  dataDir: string,
  kind: TemporalKind,
  settings: Record<string, string>,
): Promise<Parts> {
  const report = () => undefined;
  const own = kind === 'postgresql' ? { settings: postgresSettings } : {};
  const startPostgres = () => startEmbeddedPostgres({ dataDir, env: plainEnvironment(), report, ...own });
  let postgres = await startPostgres();
  const otherDatabaseUrl = await newDatabase({ databaseUrl: postgres.url }, 'shop');
  const startTemporal = (isRestart: boolean) =>
    kind === 'dev'
      ? startDevTemporal(dataDir, report, isRestart)
      : startTemporalServer({ dataDir, databaseUrl: postgres.url, env: plainEnvironment(), report });
  let temporal = await startTemporal(false);
  const port = await reservePort();
  const apiUrl = `http://127.0.0.1:${port}`;
  const startRole = (role: 'up' | 'worker'): Child =>
    startService(role, dataDir, {
      DATABASE_URL: postgres.url,
      TEMPORAL_ADDRESS: temporal.address,
      FLTR_OUTBOX_URLS: `service,${otherDatabaseUrl}`,
      PORT: String(port),
      LOG_LEVEL: 'warn',
      ...settings,
    });
  const roles = { service: startRole('up'), worker: startRole('worker') };
  await untilReady(apiUrl);

  return {
    apiUrl,
    databaseUrl: postgres.url,
    otherDatabaseUrl,
    temporalAddress: temporal.address,
    async killAndRestart(part, afterMs) {
      if (part === 'service' || part === 'worker') {
        roles[part].kill();
        await roles[part].exited;
        await delay(afterMs);
        roles[part] = startRole(part === 'service' ? 'up' : part);
        if (part === 'service') await untilReady(apiUrl);
        return;
      }
      if (part === 'process' || part === 'restart') {
        const { pid } = roles.service;
        const [child = pid] = childProcesses([pid]);
        process.kill(part === 'restart' ? pid : child, part === 'restart' ? 'SIGHUP' : 'SIGKILL');
        return;
      }
      const server = part === 'postgresql' ? postgres : temporal;
      process.kill(server.pid, 'SIGKILL');
      await server.exited;
      await delay(afterMs);
      if (part === 'postgresql') postgres = await startPostgres();
      else temporal = await startTemporal(true);
    },
    async stop() {
      await roles.service.stop(stopGraceMs);
      await roles.worker.stop(stopGraceMs);
      await temporal.stop();
      await postgres.stop();
    },
  };
}
