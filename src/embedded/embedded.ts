import { lockDataDir } from './data-dir-lock.ts';
import { findTemporal, userCacheDir } from './find-temporal.ts';
import { keepRunning, type KeepOptions, type RunningServer } from './keep-running.ts';
import { postgresLogFile, startEmbeddedPostgres } from './postgres.ts';
import type { Child } from './supervise.ts';
import { startEmbeddedTemporal, temporalLogFile } from './temporal.ts';

export type Embedded = {
  databaseUrl: string | undefined;
  temporalAddress: string | undefined;
  temporalUiUrl: string | undefined;
  stop(): Promise<void>;
  kill(): void;
};

type Options = {
  dataDir: string;
  env: NodeJS.ProcessEnv;
  needsPostgres: boolean;
  needsTemporal: boolean;
  /** That PostgreSQL allows at least. */
  postgresConnections?: number;
  namespace: string;
  searchAttributes: Record<string, string>;
  report: (line: string) => void;
  /** A server could not be restarted. */
  onFatal: (error: Error) => void;
};

type Kept<T> = Omit<KeepOptions<T>, 'report' | 'onFatal'>;

/** Starts the needed servers in the data folder, and restarts a server that ends at the same address. */
export async function startEmbedded(options: Options): Promise<Embedded> {
  const { dataDir, env, report, onFatal } = options;
  const lock = lockDataDir(dataDir);
  const servers: Pick<RunningServer<unknown>, 'stop' | 'kill'>[] = [];
  try {
    const keep = async <T extends Child>(server: Kept<T>): Promise<T> => {
      const running = await keepRunning({ ...server, report, onFatal });
      servers.push(running);
      return running.first;
    };
    const postgres = () =>
      keep({
        name: 'PostgreSQL',
        start: () =>
          startEmbeddedPostgres({ dataDir, env, report, minConnections: options.postgresConnections }),
        addressOf: ({ url }) => new URL(url).host,
        logFile: postgresLogFile(dataDir),
      });
    const temporal = async () => {
      const cacheDir = userCacheDir(env, process.platform);
      const { path: executable } = await findTemporal({ env, cacheDir, report });
      const { namespace, searchAttributes } = options;
      const start = (isRestart: boolean) =>
        startEmbeddedTemporal({
          dataDir,
          env,
          report,
          executable,
          uiPreferredPort: 8233,
          namespace,
          searchAttributes,
          keepPorts: isRestart,
        });
      const logFile = temporalLogFile(dataDir);
      return keep({ name: 'Temporal', start, addressOf: ({ address }) => address, logFile });
    };
    const [database, temporalServer] = await Promise.allSettled([
      options.needsPostgres ? postgres() : undefined,
      options.needsTemporal ? temporal() : undefined,
    ]);
    // After both have ended: if one fails, the other one must not be left starting.
    if (database.status === 'rejected') throw database.reason;
    if (temporalServer.status === 'rejected') throw temporalServer.reason;
    return {
      databaseUrl: database.value?.url,
      temporalAddress: temporalServer.value?.address,
      temporalUiUrl: temporalServer.value?.uiUrl,
      async stop() {
        await Promise.all(servers.map((server) => server.stop()));
        lock.release();
      },
      kill() {
        for (const server of servers) server.kill();
        lock.release();
      },
    };
  } catch (error) {
    await Promise.all(servers.map((server) => server.stop()));
    lock.release();
    throw error;
  }
}
