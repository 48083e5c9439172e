import type { Logger } from 'pino';
import type { MarkChanges } from '../db/changes.ts';
import type { Pool } from '../db/pool.ts';
import { endExpired, startScheduled } from '../db/scheduled-deliveries.ts';
import { every } from '../every.ts';
import { pollMs } from './limits.ts';

type Deps = {
  pool: Pool;
  log: Logger;
  /** Called when deliveries without an owner may be there. */
  wakeDispatcher: () => void;
  /** Called when lines may need another head. */
  wakeLines: () => void;
  /** Called for deliveries that were changed. */
  touch: MarkChanges['touch'];
  metrics: { expired(count: number): void };
};

/** Rows that one statement changes: well under a second. */
const batchSize = { start: 1000, end: 500 };

/**
 * Acts on the times of deliveries: `deliver_at`, `expires_at`, and the end of those that are parked. They are rows only: waiting
 * costs neither a workflow nor a timer. Every process looks each second, and also at the exact time of the next delivery that it
 * has read.
 */
export function startScheduledLoops({ pool, log, wakeDispatcher, wakeLines, touch, metrics }: Deps) {
  let nextLookAt = 0;
  const starts = every(
    pollMs,
    async () => {
      const { started, joined, nextMs } = await startScheduled(pool, batchSize.start);
      if (started > joined) wakeDispatcher();
      if (joined > 0) wakeLines();
      if (started === batchSize.start) return true;
      const waitMs = Math.min(pollMs, Math.max(1, Math.ceil(nextMs ?? pollMs)));
      nextLookAt = Date.now() + waitMs;
      return waitMs;
    },
    (error) => log.warn({ err: error }, 'scheduled deliveries could not be started; it tries again'),
  );
  const ends = every(
    pollMs,
    async () => {
      const ended = await endExpired(pool, batchSize.end);
      if (ended.length === 0) return false;
      metrics.expired(ended.length);
      touch(...ended);
      wakeLines();
      // The events about them.
      wakeDispatcher();
      return ended.length === batchSize.end;
    },
    (error) => log.warn({ err: error }, 'deliveries that expired could not be ended; it tries again'),
  );
  return {
    /** Deliveries for that time were committed. */
    expect(at: Date): void {
      if (at.getTime() < nextLookAt) starts.wake();
    },
    async close(): Promise<void> {
      await Promise.all([starts.close(), ends.close()]);
    },
  };
}
