import { ApplicationFailure } from '@temporalio/common';
import { findDelivery, reopenDelivery } from '../src/db/deliveries-table.ts';
import type { Pool } from '../src/db/pool.ts';
import {
  claimPage,
  countForRecovery,
  finishPage,
  insertMissed,
  loadRecovery,
  type RecoveryToRun,
} from '../src/db/recovery-pages.ts';
import { endRecovery, setRecoveryStatus } from '../src/db/recoveries-table.ts';
import type { Retention } from '../src/db/retention.ts';
import type { RecoverPageInput, RecoverPageResult } from '../workflows/contract.ts';

export type RecoverDeps = {
  pool: Pool;
  retention: Retention;
  /** Called when deliveries wait for an owner. */
  wakeDispatcher: () => void;
};

/**
 * Deliveries sent again before the workflow pauses a second: a quarter of what a small Temporal server starts, so that
 * new events go on being delivered at once.
 */
const pageSize = 50;
/** Of a page, under way at once. */
const concurrency = 8;

/** Sends one page of a recovery again. A page that is run twice sends and counts nothing twice. */
export function createRecoverPage({ pool, retention, wakeDispatcher }: RecoverDeps) {
  const load = async (id: string): Promise<RecoveryToRun> => {
    const recovery = await loadRecovery(pool, id);
    if (!recovery) throw ApplicationFailure.nonRetryable(`There is no recovery ${id}`, 'recovery_missing');
    return recovery;
  };

  /** False: it cannot be sent again. */
  const resendFailed = async (recovery: RecoveryToRun, deliveryId: string): Promise<boolean> => {
    const row = await findDelivery(pool, recovery.accountId, deliveryId);
    if (!row || row.status === 'canceled') return false;
    // Requested already: by a run of this page that died, or by somebody else since.
    if (row.status !== 'failed' || (row.endedAt && row.endedAt >= recovery.createdAt)) {
      await countForRecovery(pool, recovery.id, deliveryId);
      return true;
    }
    const at = new Date().toISOString();
    const requested = {
      at,
      type: 'signal',
      name: 'recover',
      by: recovery.requestedBy,
      outside: true,
    } as const;
    await reopenDelivery(pool, row, 'none', [requested], recovery.id);
    return true;
  };

  const sendPage = async (recovery: RecoveryToRun): Promise<number> => {
    const page = recovery.page ?? [];
    let done = await insertMissed(
      pool,
      recovery,
      page.filter(({ isNew }) => isNew),
    );
    const queue = page.filter(({ isNew }) => !isNew);
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next; next = queue.shift())
        if (await resendFailed(recovery, next.deliveryId)) done += 1;
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    wakeDispatcher();
    await finishPage(pool, recovery, { done, failed: page.length - done });
    return page.length;
  };

  return async ({ recoveryId }: RecoverPageInput): Promise<RecoverPageResult> => {
    for (;;) {
      const recovery = await load(recoveryId);
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
      if (recovery.page) return { next: 'page', sent: await sendPage(recovery) };
      const { isEnd } = await claimPage(pool, recovery, pageSize, retention.days);
      if (isEnd) {
        await endRecovery(pool, recoveryId, 'completed');
        return { next: 'end', status: 'completed' };
      }
    }
  };
}
