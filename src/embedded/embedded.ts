import { lockDataDir } from './data-dir-lock.ts';
import { findTemporal, userCacheDir } from './find-temporal.ts';
import { keepRunning, type RunningServer } from './keep-running.ts';
import { postgresLogFile, startEmbeddedPostgres, type EmbeddedPostgres } from './postgres.ts';
import { startEmbeddedTemporal, temporalLogFile, type EmbeddedTemporal } from './temporal.ts';

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
  namespace: string;
  searchAttributes: Record<string, string>;
  report: (line: string) => void;
  /** A server could not be restarted. */
  onFatal: (error: Error) => void;
};

/** Starts the needed servers in the data folder, and restarts a server that ends at the same address. */
export async function startEmbedded(options: Options): Promise<Embedded> {
  const { dataDir, env, report, onFatal } = options;
  const lock = lockDataDir(dataDir);
  const servers: Pick<RunningServer<unknown>, 'stop' | 'kill'>[] = [];
  try {
    const postgres = async (): Promise<EmbeddedPostgres> => {
      const server = await keepRunning({
        name: 'PostgreSQL',
        start: () => startEmbeddedPostgres({ dataDir, env, report }),
        addressOf: ({ url }) => new URL(url).host,
        logFile: postgresLogFile(dataDir),
        report,
        onFatal,
      });
      servers.push(server);
      return server.first;
    };
    const temporal = async (): Promise<EmbeddedTemporal> => {
      const { path: executable } = await findTemporal({
        env,
        cacheDir: userCacheDir(env, process.platform),
        report,
      });
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
      const server = await keepRunning({
        name: 'Temporal',
        start,
        addressOf: ({ address }) => address,
        logFile: temporalLogFile(dataDir),
        report,
        onFatal,
      });
      servers.push(server);
      return server.first;
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
