import { lockDataDir } from './data-dir-lock.ts';
import { findTemporal, userCacheDir } from './find-temporal.ts';
import { keepRunning, type KeptServer } from './keep-running.ts';
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
  /** A server could not be brought back: the service cannot go on. */
  onFatal: (error: Error) => void;
};

/** Starts what no address is configured for, in the data folder; a server that dies is started again at its address. */
export async function startEmbedded(options: Options): Promise<Embedded> {
  const { dataDir, env, report, onFatal } = options;
  const lock = lockDataDir(dataDir);
  const kept: Pick<KeptServer<unknown>, 'stop' | 'kill'>[] = [];
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
      kept.push(server);
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
      kept.push(server);
      return server.first;
    };
    const [database, engine] = await Promise.allSettled([
      options.needsPostgres ? postgres() : undefined,
      options.needsTemporal ? temporal() : undefined,
    ]);
    // Only now: one that fails must not leave the other one starting behind its back.
    if (database.status === 'rejected') throw database.reason;
    if (engine.status === 'rejected') throw engine.reason;
    return {
      databaseUrl: database.value?.url,
      temporalAddress: engine.value?.address,
      temporalUiUrl: engine.value?.uiUrl,
      async stop() {
        await Promise.all(kept.map((server) => server.stop()));
        lock.release();
      },
      kill() {
        for (const server of kept) server.kill();
        lock.release();
      },
    };
  } catch (error) {
    await Promise.all(kept.map((server) => server.stop()));
    lock.release();
    throw error;
  }
}
