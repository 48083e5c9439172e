import { setTimeout as delay } from 'node:timers/promises';
import type { ChildExit } from './supervise.ts';

type Server = { exited: Promise<ChildExit>; stop(graceMs?: number): Promise<void>; kill(): void };

export type KeptServer<T> = {
  /** Its first start: a later one is at the same address. */
  first: T;
  stop(): Promise<void>;
  kill(): void;
};

type Options<T> = {
  name: string;
  start: (isRestart: boolean) => Promise<T>;
  addressOf: (server: T) => string;
  /** Says why it ended. */
  logFile: string;
  report: (line: string) => void;
  /** It could not be brought back. */
  onFatal: (error: Error) => void;
  /** How long it must have run for what was before to be forgotten. */
  soundAfterMs?: number;
  /** Before the second restart in a row, twice that before the third one, and so on. */
  pauseMs?: number;
};

/** Restarts without a sound run in between. */
const mostRestarts = 5;

/**
 * Starts a server and starts it again, at its address and with its data, whenever it ends by itself. One that ends
 * again and again, or cannot be started again, is given up.
 */
export async function keepRunning<T extends Server>({
  name,
  start,
  addressOf,
  logFile,
  report,
  onFatal,
  soundAfterMs = 30_000,
  pauseMs = 1000,
}: Options<T>): Promise<KeptServer<T>> {
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
      if (Date.now() - startedAt >= soundAfterMs) restarts = 0;
      restarting = restart(`ended by itself (${signal ?? `code ${code}`})`);
    };
    void watching();
  };
  const restart = async (fault: string): Promise<void> => {
    for (let last = fault; !stopping.signal.aborted;) {
      if (restarts === mostRestarts) {
        onFatal(
          new Error(
            `${name} ${last}, after ${mostRestarts} restarts in a row. ${logFile} says why: mend that, then start the service again.`,
          ),
        );
        return;
      }
      report(`${name} ${last}: starting it again …`);
      await delay(restarts * pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted) return;
      restarts += 1;
      try {
        current = await start(true);
        break;
      } catch (error) {
        last = `could not be started again (${error instanceof Error ? error.message : String(error)})`;
      }
    }
    if (stopping.signal.aborted) {
      await current.stop();
    } else if (addressOf(current) !== addressOf(first)) {
      await current.stop();
      onFatal(
        new Error(
          `${name} could not be started again at ${addressOf(first)}: another program has taken the port. Start the service again.`,
        ),
      );
    } else {
      report(`${name} runs again.`);
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
