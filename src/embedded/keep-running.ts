import { setTimeout as delay } from 'node:timers/promises';
import type { Child } from './supervise.ts';

type Server = Omit<Child, 'pid'>;

export type RunningServer<T> = {
  /** The first start; restarts use the same address. */
  first: T;
  stop(): Promise<void>;
  kill(): void;
};

export type KeepOptions<T> = {
  name: string;
  start: (isRestart: boolean) => Promise<T>;
  addressOf: (server: T) => string;
  logFile: string;
  report: (line: string) => void;
  /** It could not be restarted. */
  onFatal: (error: Error) => void;
  /** A run of at least this time resets the number of restarts. */
  stableAfterMs?: number;
  /** Delay before the second restart in a row; before the third it is twice that, and so on. */
  pauseMs?: number;
};

/** Restarts without a stable run in between. */
const maxRestarts = 5;

/**
 * Starts a server, and restarts it at its address whenever it ends by itself. Gives up after too many restarts in a row,
 * or if its address is in use.
 */
export async function keepRunning<T extends Server>(options: KeepOptions<T>): Promise<RunningServer<T>> {
  const { name, start, addressOf, logFile, report, onFatal } = options;
  const { stableAfterMs = 30_000, pauseMs = 1000 } = options;
  const first = await start(false);
  const stopping = new AbortController();
  let current = first;
  let restarts = 0;
  let restarting: Promise<void> = Promise.resolve();

  const watch = (server: T): void => {
    const startedAt = Date.now();
    const watching = async (): Promise<void> => {
      const { code, signal } = await server.exited;
      if (stopping.signal.aborted) return;
      if (Date.now() - startedAt >= stableAfterMs) restarts = 0;
      restarting = restart(`ended unexpectedly (${signal ?? `code ${code}`})`);
    };
    void watching();
  };
  const restart = async (fault: string): Promise<void> => {
    for (let last = fault; !stopping.signal.aborted;) {
      if (restarts === maxRestarts) {
        onFatal(
          new Error(
            `${name} ${last}, after ${maxRestarts} restarts in a row. See ${logFile} for the cause, fix it, then start the service again.`,
          ),
        );
        return;
      }
      report(`${name} ${last}, restarting …`);
      await delay(restarts * pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted) return;
      restarts += 1;
      try {
        current = await start(true);
        break;
      } catch (error) {
        last = `could not be restarted (${error instanceof Error ? error.message : String(error)})`;
      }
    }
    if (stopping.signal.aborted) {
      await current.stop();
    } else if (addressOf(current) !== addressOf(first)) {
      await current.stop();
      onFatal(
        new Error(
          `${name} could not be restarted at ${addressOf(first)}, because another program uses the port. Start the service again.`,
        ),
      );
    } else {
      report(`${name} was restarted.`);
      watch(current);
    }
  };
  watch(first);
  return {
    first,
    async stop() {
      stopping.abort();
      await restarting;
      await current.stop();
    },
    kill() {
      stopping.abort();
      current.kill();
    },
  };
}
