import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { childEnvironment } from '../src/config.ts';
import { findTemporal, userCacheDir } from '../src/embedded/find-temporal.ts';
import { choosePort } from '../src/embedded/free-port.ts';
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts';
import { startEmbeddedTemporal } from '../src/embedded/temporal.ts';
import { packageRoot } from '../src/package-root.ts';
import { searchAttributes } from '../workflows/contract.ts';

export type PartName = 'postgresql' | 'temporal' | 'api' | 'worker';
export type Parts = {
  apiUrl: string;
  databaseUrl: string;
  temporalAddress: string;
  /** kill -9, and after a while a new start. */
  killAndRestart(part: PartName, afterMs: number): Promise<void>;
  stop(): Promise<void>;
};

/** The service as four parts, each of which can die: both servers, the API, a worker. Logs are in the folder. */
export async function startParts(dataDir: string, settings: Record<string, string>): Promise<Parts> {
  const env = childEnvironment();
  const report = () => undefined;
  const startPostgres = () => startEmbeddedPostgres({ dataDir, env, report });
  let postgres = await startPostgres();
  const { path: executable } = await findTemporal({
    env,
    cacheDir: userCacheDir(env, process.platform),
    report,
  });
  const uiPreferredPort = await choosePort('127.0.0.1', []);
  const startTemporal = (keepPorts: boolean) =>
    startEmbeddedTemporal({
      dataDir,
      env,
      report,
      executable,
      uiPreferredPort,
      namespace: 'default',
      searchAttributes,
      keepPorts,
    });
  let temporal = await startTemporal(false);
  const port = await choosePort('127.0.0.1', []);
  const apiUrl = `http://127.0.0.1:${port}`;
  const startRole = (role: 'api' | 'worker'): ChildProcess => {
    const log = openSync(join(dataDir, `${role}.log`), 'a');
    return spawn(process.execPath, [join(packageRoot, 'dist/src/main.js'), role], {
      env: {
        ...env,
        DATABASE_URL: postgres.url,
        TEMPORAL_ADDRESS: temporal.address,
        PORT: String(port),
        FLTR_DATA_DIR: dataDir,
        LOG_LEVEL: 'warn',
        ...settings,
      },
      stdio: ['ignore', log, log],
    });
  };
  const roles = { api: startRole('api'), worker: startRole('worker') };
  await untilReady(apiUrl);

  return {
    apiUrl,
    databaseUrl: postgres.url,
    temporalAddress: temporal.address,
    async killAndRestart(part, afterMs) {
      if (part === 'api' || part === 'worker') {
        const ended = once(roles[part], 'exit');
        roles[part].kill('SIGKILL');
        await ended;
        await delay(afterMs);
        roles[part] = startRole(part);
        if (part === 'api') await untilReady(apiUrl);
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
      for (const role of [roles.api, roles.worker]) {
        const ended = once(role, 'exit');
        if (role.exitCode === null && role.signalCode === null && role.kill('SIGTERM')) await ended;
      }
      await temporal.stop();
      await postgres.stop();
    },
  };
}

async function untilReady(apiUrl: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const isReady = await fetch(`${apiUrl}/readyz`, { signal: AbortSignal.timeout(5000) }).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isReady) return;
    if (Date.now() > deadline) throw new Error('The API was not ready within 60 s');
    await delay(100);
  }
}
