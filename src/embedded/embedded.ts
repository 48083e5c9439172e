import { lockDataDir } from './data-dir-lock.ts';
import { findTemporal, userCacheDir } from './find-temporal.ts';
import { startEmbeddedPostgres } from './postgres.ts';
import { startEmbeddedTemporal } from './temporal.ts';
import type { ChildExit } from './supervise.ts';

type Server = { exited: Promise<ChildExit>; stop(graceMs?: number): Promise<void>; kill(): void };

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
  const { dataDir, env, report } = options;
  const lock = lockDataDir(dataDir);
  const kept: { stop(): Promise<void>; kill(): void }[] = [];
  try {
    const postgres = async () => {
      const start = () => startEmbeddedPostgres({ dataDir, env, report });
      return keep('PostgreSQL', start, ({ url }) => url, options, kept);
    };
    const temporal = async () => {
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
      return keep('Temporal', start, ({ address }) => address, options, kept);
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

/** Starts a server and keeps it running until it is stopped. Answers its first start: the address stays the same. */
async function keep<T extends Server>(
  name: string,
  start: (isRestart: boolean) => Promise<T>,
  addressOf: (server: T) => string,
  { report, onFatal }: Options,
  kept: { stop(): Promise<void>; kill(): void }[],
): Promise<T> {
  const first = await start(false);
  let current = first;
  let isStopped = false;
  let restarting: Promise<void> = Promise.resolve();
  const watch = (server: T): void => {
    const watching = async (): Promise<void> => {
      const { code, signal } = await server.exited;
      if (isStopped) return;
      report(`${name} ended by itself (${signal ?? `code ${code}`}): starting it again …`);
      restarting = restart();
    };
    void watching();
  };
  const restart = async (): Promise<void> => {
    try {
      current = await start(true);
      if (addressOf(current) !== addressOf(first)) throw new Error(`${name} came back at another address`);
      if (isStopped) await current.stop();
      else watch(current);
    } catch (error) {
      onFatal(
        new Error(
          `${name} could not be started again: ${error instanceof Error ? error.message : String(error)}`,
        ),
      );
    }
  };
  watch(first);
  kept.push({
    async stop() {
      isStopped = true;
      await restarting;
      await current.stop();
    },
    kill() {
      isStopped = true;
      current.kill();
    },
  });
  return first;
}
