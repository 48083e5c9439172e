import type { Logger } from 'pino';
import type { MarkChanges } from '../db/changes.ts';
import { emitFailureDigests } from '../db/failed-deliveries.ts';
import type { Pool } from '../db/pool.ts';
import { every, type Loop } from '../every.ts';

type Deps = { pool: Pool; log: Logger; wakeDispatcher: () => void; mark: MarkChanges['mark'] };

const everyMs = 5000;

/** Emits the digests of failures whose minute is over. Several processes may do so. */
export function startFailureDigests({ pool, log, wakeDispatcher, mark }: Deps): Pick<Loop, 'close'> {
  return every(
    everyMs,
    async () => {
      const { written, hasMore } = await emitFailureDigests(pool);
      if (written.length > 0) wakeDispatcher();
      for (const { accountId, id } of written) mark(accountId, ['events', 'deliveries'], [id]);
      return hasMore;
    },
    (error) => log.warn({ err: error }, 'the digests of failures could not be emitted; tried again'),
  );
}
