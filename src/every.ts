import { once } from 'node:events';
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
 * @param run returns whether there is more to do at once, or that the loop is done
 * @param onError after an error it waits longer and longer, `maxPauseMs` (10 s) at most
 * @example const loop = every(1000, async () => (await work()) === batchSize, (error) => log.warn({ err: error }));
 */
export function every(
  pauseMs: number,
  run: () => Promise<boolean | 'done'>,
  onError: (error: unknown) => void,
  { after, maxPauseMs = 10_000 }: Options = {},
): Loop {
  const stop = new AbortController();
  let pause = new AbortController();
  let isWoken = false;
  const loop = async (): Promise<void> => {
    const begin = after?.catch(() => stop.abort());
    if (begin) await Promise.race([begin, once(stop.signal, 'abort')]);
    let waitMs = pauseMs;
    while (!stop.signal.aborted) {
      isWoken = false;
      try {
        const next = await run();
        if (next === 'done') return;
        waitMs = next ? 0 : pauseMs;
      } catch (error) {
        waitMs = Math.min(Math.max(waitMs, pauseMs, 500) * 2, maxPauseMs);
        onError(error);
      }
      if (isWoken || waitMs === 0) {
        // Others run in between.
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
