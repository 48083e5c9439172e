import { setTimeout as delay } from 'node:timers/promises';

export type Loop = {
  /** Runs again at once, or as soon as the run under way has ended. */
  wake(): void;
  /** Waits for the run under way; there is no other one. */
  close(): Promise<void>;
};

/**
 * Runs something again and again, one run at a time.
 *
 * @param run returns whether there is more to do at once
 * @param onError after an error it waits longer and longer, 10 s at most
 * @example const loop = every(1000, async () => (await work()) === batchSize, (error) => log.warn({ err: error }));
 */
export function every(pauseMs: number, run: () => Promise<boolean>, onError: (error: unknown) => void): Loop {
  const stop = new AbortController();
  let pause = new AbortController();
  let isWoken = false;
  const loop = async (): Promise<void> => {
    let waitMs = pauseMs;
    while (!stop.signal.aborted) {
      isWoken = false;
      try {
        const hasMore = await run();
        waitMs = hasMore ? 0 : pauseMs;
      } catch (error) {
        waitMs = Math.min(Math.max(waitMs, pauseMs, 500) * 2, 10_000);
        onError(error);
      }
      if (isWoken || waitMs === 0) {
        // Others get their turn.
        await delay(0);
        continue;
      }
      pause = new AbortController();
      const signal = AbortSignal.any([stop.signal, pause.signal]);
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  };
  const running = loop();
  return {
    wake() {
      isWoken = true;
      pause.abort();
    },
    async close() {
      stop.abort();
      await running;
    },
  };
}
