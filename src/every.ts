import { setTimeout as delay } from 'node:timers/promises';

export type Loop = {
  /** Runs again at once, or as soon as the run under way has ended. */
  wake(): void;
  /** Waits for the run under way; there is no other one. */
  close(): Promise<void>;
};

type Options = {
  /** Begins once this has resolved; never where it is rejected. */
  after?: Promise<unknown>;
  /** The longest wait after an error. */
  maxPauseMs?: number;
};

/**
 * Runs something again and again, one run at a time.
 *
 * @param run returns whether there is more to do at once, after how many ms to run again, or that the loop is done
 * @param onError after an error it waits longer and longer, `maxPauseMs` (10 s) at most
 * @example const loop = every(1000, async () => (await work()) === batchSize, (error) => log.warn({ err: error }));
 */
export function every(
  pauseMs: number,
  run: () => Promise<boolean | number | 'done'>,
  onError: (error: unknown) => void,
  { after, maxPauseMs = 10_000 }: Options = {},
): Loop {
  const stopped = Promise.withResolvers<void>();
  let isStopped = false;
  let isWoken = false;
  let endPause = (): void => undefined;
  // Without an AbortController: each wake would make an error, and loops are woken with every commit.
  const pause = (milliseconds: number): Promise<void> =>
    new Promise((resolve) => {
      if (isStopped) return resolve();
      const timer = setTimeout(resolve, milliseconds);
      endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const stop = (): void => {
    isStopped = true;
    stopped.resolve();
    endPause();
  };
  const loop = async (): Promise<void> => {
    if (after) await Promise.race([after.catch(stop), stopped.promise]);
    let waitMs = pauseMs;
    for (;;) {
      if (isStopped) return;
      isWoken = false;
      try {
        const next = await run();
        if (next === 'done') return;
        waitMs = typeof next === 'number' ? next : next ? 0 : pauseMs;
      } catch (error) {
        waitMs = Math.min(Math.max(waitMs, pauseMs, 500) * 2, maxPauseMs);
        onError(error);
      }
      // Others run in between.
      if (isWoken || waitMs === 0) await delay(0);
      else await pause(waitMs);
    }
  };
  const running = loop();
  return {
    wake() {
      isWoken = true;
      endPause();
    },
    async close() {
      stop();
      await running;
    },
  };
}
