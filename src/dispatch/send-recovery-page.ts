import { findDelivery, reopenDelivery } from '../db/deliveries-table.ts';
import type { Pool } from '../db/pool.ts';
import {
  claimPage,
  insertMissed,
  loadRecovery,
  recoverEntry,
  type RecoveryToRun,
} from '../db/recovery-pages.ts';
import { endOperation, finishPage, setOperationStatus } from '../db/operations-table.ts';
import { markForOperation } from '../db/selected-deliveries.ts';
import type { Retention } from '../db/retention.ts';
import type { ActionFailure } from '../contracts/operation.ts';
import type { OperationPageResult } from '../../workflows/contract.ts';
import { maxActionsAtOnce } from './limits.ts';

export type RecoveryDeps = {
  pool: Pool;
  retention: Retention;
  /** Called when deliveries wait for an owner. */
  wakeDispatcher: () => void;
};

/** Sends one page of a recovery again. A page that is run twice sends and counts nothing twice. Null: there is no such recovery. */
export async function sendRecoveryPage(
  deps: RecoveryDeps,
  recoveryId: string,
  { pageSize, pauseMs }: { pageSize: number; pauseMs: number },
): Promise<OperationPageResult | null> {
  const { pool, retention } = deps;
  for (;;) {
    const recovery = await loadRecovery(pool, recoveryId);
    if (!recovery) return null;
    if (recovery.status === 'completed' || recovery.status === 'canceled')
      return { next: 'end', status: recovery.status };
    if (recovery.isWebhookDeleted) {
      await endOperation(pool, recoveryId, 'canceled');
      return { next: 'end', status: 'canceled' };
    }
    if (!recovery.isActive) {
      await setOperationStatus(pool, recoveryId, 'paused');
      return { next: 'pause' };
    }
    if (recovery.page) {
      await sendPage(deps, recovery, recovery.page);
      return { next: 'page', sent: recovery.page.length, pauseMs };
    }
    const { isEnd } = await claimPage(pool, recovery, pageSize, retention.days);
    if (isEnd) {
      await endOperation(pool, recoveryId, 'completed');
      return { next: 'end', status: 'completed' };
    }
  }
}

async function sendPage(
  { pool, wakeDispatcher }: RecoveryDeps,
  recovery: RecoveryToRun,
  page: NonNullable<RecoveryToRun['page']>,
): Promise<void> {
  const missed = page.filter(({ isNew }) => isNew);
  const failed = page.filter(({ isNew }) => !isNew);
  const inserted = await insertMissed(pool, recovery, missed);
  const failures = new Map<ActionFailure, number>();
  const add = (reason: ActionFailure, count: number) => {
    if (count > 0) failures.set(reason, (failures.get(reason) ?? 0) + count);
  };
  add('payload_removed', missed.length - inserted);
  const work = async (): Promise<void> => {
    for (let next = failed.shift(); next; next = failed.shift()) {
      const failure = await resendFailed(pool, recovery, next.deliveryId);
      if (failure) add(failure, 1);
    }
  };
  await Promise.all(Array.from({ length: maxActionsAtOnce }, work));
  wakeDispatcher();
  const notDone = [...failures.values()].reduce((sum, count) => sum + count, 0);
  await finishPage(pool, recovery, { done: page.length - notDone, failures });
}

/** Null: it was sent again. */
async function resendFailed(
  pool: Pool,
  recovery: RecoveryToRun,
  deliveryId: string,
): Promise<ActionFailure | null> {
  const row = await findDelivery(pool, recovery.accountId, deliveryId);
  if (!row) return 'not_found';
  if (row.status === 'canceled') return 'canceled';
  // Requested already: by a run of this page that died, or by somebody else since.
  if (row.status !== 'failed' || (row.endedAt && row.endedAt >= recovery.createdAt)) {
    await markForOperation(pool, recovery.id, deliveryId);
    return null;
  }
  await reopenDelivery(pool, row, 'none', [recoverEntry(recovery, new Date())], recovery.id);
  return null;
}
