import type { Logger } from 'pino';
import type { MarkChanges } from '../db/changes.ts';
import type { Pool } from '../db/pool.ts';
import { judgeWebhooks } from '../db/webhook-health.ts';
import { every, type Loop } from '../every.ts';

type Deps = { pool: Pool; log: Logger; wakeDispatcher: () => void; touch: MarkChanges['touch'] };

const everyMs = 5000;

/** Keeps the health of the webhooks. Several processes may do so. */
export function startHealthChecks({ pool, log, wakeDispatcher, touch }: Deps): Pick<Loop, 'close'> {
  let after = '';
  return every(
    everyMs,
    async () => {
      const { next, emitted, changedIds } = await judgeWebhooks(pool, after);
      touch(...changedIds);
      if (emitted > 0) wakeDispatcher();
      after = next ?? '';
      return next !== null;
    },
    (error) => log.warn({ err: error }, 'the health of webhooks could not be judged; tried again'),
  );
}
