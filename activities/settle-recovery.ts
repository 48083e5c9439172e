import type { Pool } from '../src/db/pool.ts';
import { endRecovery, setRecoveryStatus } from '../src/db/recoveries.ts';
import type { SettleRecoveryInput } from '../workflows/contract.ts';

/** Writes what a recovery's workflow was told: paused, running again, or canceled. */
export function createSettleRecovery({ pool }: { pool: Pool }) {
  return async ({ recoveryId, status }: SettleRecoveryInput): Promise<void> => {
    if (status === 'canceled') await endRecovery(pool, recoveryId, status);
    else await setRecoveryStatus(pool, recoveryId, status);
  };
}
