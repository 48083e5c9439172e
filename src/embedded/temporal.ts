import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { choosePort } from './free-port.ts';
import { prepareNamespace } from './prepare-namespace.ts';
import { commandLine, isAlive, stopProcess } from './processes.ts';
import { minimalEnv } from './programs.ts';
import { startServer } from './start-server.ts';
import { readStateFile, writeStateFile } from './state-file.ts';
import { startChild, STOP_GRACE_MS, type Child } from './supervise.ts';

const HOST = '127.0.0.1';
const PREFERRED_PORT = 7233;
const READY_TIMEOUT_MS = 90_000;
const ANNOUNCE_TIMEOUT_MS = 10_000;

export type EmbeddedTemporal = Child & { address: string; uiUrl: string };

type EmbeddedTemporalOptions = {
  dataDir: string;
  env: NodeJS.ProcessEnv;
  report: (line: string) => void;
  executable: string;
  uiPreferredPort: number;
  namespace: string;
  /** Name → type: Keyword, Text, Int, Double, Bool, Datetime or KeywordList. */
  searchAttributes: Record<string, string>;
  /** For a restart with connected clients: prefers the last start's ports to the well-known ones. */
  keepPorts?: boolean;
};

const folderOf = (dataDir: string): string => join(dataDir, 'temporal');
export const temporalLogFile = (dataDir: string): string => join(folderOf(dataDir), 'temporal.log');

type Ports = { port: number; uiPort: number; metricsPort: number };

/** Starts Temporal's development server on the data folder's own database. The caller holds the folder's lock. */
export async function startEmbeddedTemporal(options: EmbeddedTemporalOptions): Promise<EmbeddedTemporal> {
  const folder = folderOf(resolve(options.dataDir));
  const dbFile = join(folder, 'temporal.db');
  const pidFile = join(folder, 'temporal.pid');
  const portsFile = join(folder, 'ports.json');
  const logFile = temporalLogFile(resolve(options.dataDir));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await clearOrphan(pidFile, dbFile, options.report);
  if (!existsSync(dbFile)) options.report(`Temporal: creating the database ${dbFile} …`);

  const { ports, ...server } = await startServer({
    name: 'Temporal',
    logFile,
    timeoutMs: READY_TIMEOUT_MS,
    // Another process took one of the ports (some internal ports are chosen at random).
    temporaryFault: /address already in use|can't (set|bind) .*port/i,
    start: async () => {
      const ports = await choosePorts(readStateFile(portsFile), options);
      const child = startChild({
        name: 'temporal',
        command: options.executable,
        args: serverArguments(options, dbFile, ports),
        cwd: folder,
        env: temporalEnv(options.env, folder),
        logFile,
        stopSignal: 'SIGTERM',
      });
      writeFileSync(pidFile, `${child.pid}\n`, { mode: 0o600 });
      void child.exited.then(() => rmSync(pidFile, { force: true }));
      const urls = { address: `${HOST}:${ports.port}`, uiUrl: `http://${HOST}:${ports.uiPort}` };
      return { child, at: { ...urls, ports, startedAt: Date.now() } };
    },
    isReady: async ({ address, startedAt }, output) => {
      // Another server may have taken the port and would respond in place of ours, which is about to exit. Ours prints its
      // address when it has bound it; in case another version does not, after a timeout it only needs to be running.
      const isAnnounced = /^\W*(temporal )?server:/im.test(output());
      if (!isAnnounced && Date.now() - startedAt < ANNOUNCE_TIMEOUT_MS) return false;
      await prepareNamespace(address, options);
      return true;
    },
  });
  writeStateFile(portsFile, ports);
  return server;
}

async function clearOrphan(pidFile: string, dbFile: string, report: (line: string) => void): Promise<void> {
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, 'utf8'));
  // The pid may belong to another program by now.
  const line = Number.isInteger(pid) && pid > 1 && isAlive(pid) ? (commandLine(pid) ?? '') : '';
  if (line.includes('start-dev') && line.includes(dbFile)) {
    report(`Temporal: stopping the server left by an earlier run (process ${pid})`);
    await stopProcess(pid, 'SIGTERM', STOP_GRACE_MS);
  }
  rmSync(pidFile, { force: true });
}

/** The well-known ports if they are free, otherwise those of the last start, otherwise any. */
async function choosePorts(
  last: Record<string, unknown> | undefined,
  { uiPreferredPort, keepPorts = false }: EmbeddedTemporalOptions,
): Promise<Ports> {
  const remembered = (name: keyof Ports): number[] => (typeof last?.[name] === 'number' ? [last[name]] : []);
  const inOrder = (wellKnown: number, name: keyof Ports): number[] =>
    keepPorts ? [...remembered(name), wellKnown] : [wellKnown, ...remembered(name)];
  const port = await choosePort(HOST, inOrder(PREFERRED_PORT, 'port'), [uiPreferredPort]);
  const uiPort = await choosePort(HOST, inOrder(uiPreferredPort, 'uiPort'), [port]);
  return { port, uiPort, metricsPort: await choosePort(HOST, remembered('metricsPort'), [port, uiPort]) };
}

/**
 * Dynamic configuration: the cached workflows, about 0.1 MiB each, and the cached bytes of events. The defaults, 128,000 and
 * 256 MiB, exceed its memory limit.
 */
export const dynamicConfig = {
  'history.hostLevelCacheMaxSize': 3000,
  'history.eventsHostLevelCacheMaxSizeBytes': 33_554_432,
} as const;

function serverArguments(options: EmbeddedTemporalOptions, dbFile: string, ports: Ports): string[] {
  const flags = [
    ['--ip', HOST],
    ['--port', String(ports.port)],
    ['--ui-ip', HOST],
    ['--ui-port', String(ports.uiPort)],
    ['--metrics-port', String(ports.metricsPort)],
    ['--db-filename', dbFile],
    ['--sqlite-pragma', 'journal_mode=WAL'],
    ['--sqlite-pragma', 'synchronous=NORMAL'],
    ['--namespace', options.namespace],
    ['--log-level', 'warn'],
    ['--log-format', 'json'],
    ...Object.entries(dynamicConfig).map(([name, value]) => ['--dynamic-config-value', `${name}=${value}`]),
    ...Object.entries(options.searchAttributes).map(([name, type]) => [
      '--search-attribute',
      `${name}=${type}`,
    ]),
  ];
  return ['server', 'start-dev', ...flags.flat()];
}

/** Excludes TEMPORAL_… variables too, and the user's CLI configuration (HOME). */
export function temporalEnv(env: NodeJS.ProcessEnv, home: string): NodeJS.ProcessEnv {
  const kept = minimalEnv(env, ['APPDATA', 'LOCALAPPDATA']);
  // GOGC saves garbage collection; GOMEMLIMIT bounds the memory, which would otherwise grow with waiting deliveries.
  return { ...kept, HOME: home, GOGC: '400', GOMEMLIMIT: '1GiB' };
}
