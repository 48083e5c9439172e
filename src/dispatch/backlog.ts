import type { Logger } from 'pino';
import type { Pool } from '../db/pool.ts';
import { countNotStarted } from '../db/deliveries-table.ts';
import { every } from '../every.ts';

export type Backlog = ReturnType<typeof watchBacklog>;

/** Of the database's time, counting takes at most a twentieth; the next count is a second away at least. */
const [leastPauseMs, pausePerCount] = [1000, 20];

/** Counts again and again; between two counts a few more than `max` may be accepted. */
export function watchBacklog(pool: Pool, max: number, log: Logger) {
  let count = 0;
  let nextAt = 0;
  const loop = every(
    leastPauseMs,
    async () => {
      const startedAt = performance.now();
      if (startedAt < nextAt) return false;
      count = await countNotStarted(pool, max);
      const endedAt = performance.now();
      nextAt = endedAt + pausePerCount * (endedAt - startedAt);
      return false;
    },
    (error) => log.debug({ err: error }, 'the backlog could not be counted'),
  );
  return {
    /** Whether so many accepted deliveries wait for their workflow that no more may be accepted. */
    isFull: () => count >= max,
    /** So many, as counted last: at most as many as it is full with. */
    count: () => count,
    close: loop.close,
  };
}
