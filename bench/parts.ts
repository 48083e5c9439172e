import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Role } from '../src/app.ts';
import { childEnvironment, settingsTable } from '../src/config.ts';
import { findTemporal, userCacheDir } from '../src/embedded/find-temporal.ts';
import { logTail } from '../src/embedded/log-file.ts';
import { startChild, type Child } from '../src/embedded/supervise.ts';
import { startEmbeddedTemporal, type EmbeddedTemporal } from '../src/embedded/temporal.ts';
import { packageRoot } from '../src/package-root.ts';
import { searchAttributes } from '../workflows/contract.ts';
import { reservePort } from './reserve-port.ts';

/** The environment of started processes, without settings that the user made for another service. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const settings = new Set(settingsTable().flatMap(({ name }) => [name, `${name}_FILE`]));
  return Object.fromEntries(Object.entries(childEnvironment()).filter(([name]) => !settings.has(name)));
}

/** Temporal's development server. `keepPorts`: where the folder's last one was. */
export async function startDevTemporal(
  dataDir: string,
  report: (line: string) => void,
  keepPorts = false,
): Promise<EmbeddedTemporal> {
  const env = plainEnvironment();
  const cacheDir = userCacheDir(env, process.platform);
  const { path: executable } = await findTemporal({ env, cacheDir, report });
  const uiPreferredPort = await reservePort();
  const namespace = 'default';
  return startEmbeddedTemporal({
    dataDir,
    env,
    report,
    executable,
    uiPreferredPort,
    namespace,
    searchAttributes,
    keepPorts,
  });
}

/**
 * The product as users start it, as one process where `FLTR_PROCESSES` says nothing else; it ends when this process does.
 * Its log is `<role>.log` in the folder.
 */
export function startService(role: Role, dataDir: string, settings: Record<string, string>): Child {
  return startChild({
    name: 'fltr-webhooks',
    command: process.execPath,
    args: ['--enable-source-maps', join(packageRoot, 'dist/src/main.js'), role],
    env: { ...plainEnvironment(), FLTR_PROCESSES: '1', FLTR_DATA_DIR: dataDir, ...settings },
    logFile: join(dataDir, `${role}.log`),
    stopSignal: 'SIGTERM',
  });
}

/** Until an API that was just started is ready. @throws after `limitMs`, or where `service` ends before */
export async function untilReady(apiUrl: string, service?: Child, limitMs = 60_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  let isEnded = false;
  void service?.exited.then(() => (isEnded = true));
  for (;;) {
    const isReady = await fetch(`${apiUrl}/readyz`, { signal: AbortSignal.timeout(5000) }).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isReady) return;
    if (isEnded) throw new Error('The service ended before it was ready');
    if (Date.now() > deadline) throw new Error(`The API was not ready within ${limitMs / 1000} s`);
    await delay(100);
  }
}

/** The end of a process' log, for an error's message. */
export const logEnd = (dataDir: string, name: string): string => logTail(join(dataDir, `${name}.log`));
