import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { advanceLines } from '../db/delivery-lines.ts';
import type { MarkChanges } from '../db/changes.ts';
import type { Pool } from '../db/pool.ts';
import { every, type Loop } from '../every.ts';
import { lockedLineMs, pollMs } from './limits.ts';

type Deps = {
  pool: Pool;
  log: Logger;
  /** Called when deliveries without an owner are there. */
  wakeDispatcher: () => void;
  changes: Pick<MarkChanges, 'touch'>;
};

/** Gives lines their next head. Every process does so; see `src/domain/delivery-line.ts`. */
export function startAdvancingLines({ pool, log, changes, wakeDispatcher }: Deps): Loop {
  return every(
    pollMs,
    async () => {
      const { advanced, blocking, checked, left } = await advanceLines(pool);
      changes.touch(...blocking);
      if (advanced > 0) wakeDispatcher();
      if (left > 0 && checked === left) await delay(lockedLineMs);
      return checked > 0 || left > 0;
    },
    (error) => log.warn({ err: error }, 'the heads of lines could not be chosen; tried again'),
  );
}
