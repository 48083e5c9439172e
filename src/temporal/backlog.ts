import type { Logger } from 'pino';
import type { Pool } from '../db/pool.ts';
import { countNotStarted } from '../db/deliveries.ts';

export type Backlog = {
  /** Whether so many accepted deliveries wait for their workflow that no more may be accepted. */
  isFull(): boolean;
  close(): void;
};

/** Counts every second; between two counts a few more than `max` may be accepted. */
export function watchBacklog(pool: Pool, max: number, log: Logger): Backlog {
  let isFull = false;
  let isCounting = false;
  const count = async (): Promise<void> => {
    if (isCounting) return;
    isCounting = true;
    try {
      isFull = (await countNotStarted(pool, max)) >= max;
    } catch (error) {
      log.debug({ err: error }, 'the backlog could not be counted');
    } finally {
      isCounting = false;
    }
  };
  const timer = setInterval(() => void count(), 1000);
  void count();
  return { isFull: () => isFull, close: () => clearInterval(timer) };
}
