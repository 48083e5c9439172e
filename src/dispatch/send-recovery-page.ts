import { findDelivery, reopenDelivery } from '../db/deliveries-table.ts';
import type { Pool } from '../db/pool.ts';
import {
  claimPage,
  countForRecovery,
  finishPage,
  insertMissed,
  loadRecovery,
  recoverEntry,
  type RecoveryToRun,
} from '../db/recovery-pages.ts';
import { endRecovery, setRecoveryStatus } from '../db/recoveries-table.ts';
import type { Retention } from '../db/retention.ts';
import type { RecoverPageResult } from '../../workflows/contract.ts';
import { maxResentAtOnce, recoveryPageSize } from './limits.ts';

type Deps = {
  pool: Pool;
  retention: Retention;
  /** Called when deliveries wait for an owner. */
  wakeDispatcher: () => void;
};

/** Sends one page of a recovery again. A page that is run twice sends and counts nothing twice. Null: there is no such recovery. */
export async function sendRecoveryPage(deps: Deps, recoveryId: string): Promise<RecoverPageResult | null> {
  const { pool, retention } = deps;
  for (;;) {
    const recovery = await loadRecovery(pool, recoveryId);
    if (!recovery) return null;
    if (recovery.status === 'completed' || recovery.status === 'canceled')
      return { next: 'end', status: recovery.status };
    if (recovery.isWebhookDeleted) {
      await endRecovery(pool, recoveryId, 'canceled');
      return { next: 'end', status: 'canceled' };
    }
    if (!recovery.isActive) {
      await setRecoveryStatus(pool, recoveryId, 'paused');
      return { next: 'pause' };
    }
    if (recovery.page) return { next: 'page', sent: await sendPage(deps, recovery, recovery.page) };
    const { isEnd } = await claimPage(pool, recovery, recoveryPageSize, retention.days);
    if (isEnd) {
      await endRecovery(pool, recoveryId, 'completed');
      return { next: 'end', status: 'completed' };
    }
  }
}

async function sendPage(
  { pool, wakeDispatcher }: Deps,
  recovery: RecoveryToRun,
  page: NonNullable<RecoveryToRun['page']>,
): Promise<number> {
  const missed = page.filter(({ isNew }) => isNew);
  const failed = page.filter(({ isNew }) => !isNew);
  let done = await insertMissed(pool, recovery, missed);
  const work = async (): Promise<void> => {
    for (let next = failed.shift(); next; next = failed.shift())
      if (await resendFailed(pool, recovery, next.deliveryId)) done += 1;
  };
  await Promise.all(Array.from({ length: maxResentAtOnce }, work));
  wakeDispatcher();
  await finishPage(pool, recovery, { done, failed: page.length - done });
  return page.length;
}

/** False: it cannot be sent again. */
async function resendFailed(pool: Pool, recovery: RecoveryToRun, deliveryId: string): Promise<boolean> {
  const row = await findDelivery(pool, recovery.accountId, deliveryId);
  if (!row || row.status === 'canceled') return false;
  // Requested already: by a run of this page that died, or by somebody else since.
  if (row.status !== 'failed' || (row.endedAt && row.endedAt >= recovery.createdAt)) {
    await countForRecovery(pool, recovery.id, deliveryId);
    return true;
  }
  await reopenDelivery(pool, row, 'none', [recoverEntry(recovery, new Date())], recovery.id);
  return true;
}
