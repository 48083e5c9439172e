import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Pool } from '../db/pool.ts';
import { countNotStarted } from '../db/deliveries.ts';

export type Backlog = {
  /** Whether so many accepted deliveries wait for their workflow that no more may be accepted. */
  isFull(): boolean;
  /** So many, as counted last: at most as many as it is full with. */
  count(): number;
  close(): void;
};

/** Of the database's time, counting takes at most a twentieth; the next count is a second away at least. */
const [leastPauseMs, pausePerCount] = [1000, 20];

/** Counts again and again; between two counts a few more than `max` may be accepted. */
export function watchBacklog(pool: Pool, max: number, log: Logger): Backlog {
  let count = 0;
  const stop = new AbortController();
  const watch = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const startedAt = performance.now();
      try {
        count = await countNotStarted(pool, max);
      } catch (error) {
        log.debug({ err: error }, 'the backlog could not be counted');
      }
      const pauseMs = Math.max(leastPauseMs, pausePerCount * (performance.now() - startedAt));
      await delay(pauseMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  };
  void watch();
  return { isFull: () => count >= max, count: () => count, close: () => stop.abort() };
}
