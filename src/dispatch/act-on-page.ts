import { checkQueue } from '../db/queue-checks.ts';
import { showRescheduled } from '../db/deliveries-table.ts';
import { endOperation, finishPage, loadOperation, type OperationToRun } from '../db/operations-table.ts';
import {
  claimSelected,
  findToAct,
  markForOperation,
  type DeliveryToAct,
  type SelectedItem,
} from '../db/selected-deliveries.ts';
import type { ActionFailure, DeliveryAction, DeliverySelection } from '../contracts/operation.ts';
import { decideAction, pacing } from '../domain/delivery-action.ts';
import type { OperationPageResult } from '../../workflows/contract.ts';
import { maxActionsAtOnce } from './limits.ts';
import { sendRecoveryPage, type RecoveryDeps } from './send-recovery-page.ts';
import { cancelDelivery, rescheduleDelivery, retryDelivery, type SignalDeps } from './signal.ts';

/** `signals`: the same as of the calls for one delivery. */
export type OperationDeps = RecoveryDeps & { signals: SignalDeps };

type ActionToRun = OperationToRun & { action: DeliveryAction; selection: DeliverySelection };

/** Runs one page of an operation. A page that is run twice does and counts nothing twice. Null: there is no such operation. */
export async function runOperationPage(
  deps: OperationDeps,
  operationId: string,
): Promise<OperationPageResult | null> {
  const { pool } = deps;
  for (;;) {
    const operation = await loadOperation(pool, operationId);
    if (!operation) return null;
    const { action, status, selection, page, perSecond } = operation;
    if (status === 'completed' || status === 'canceled') return { next: 'end', status };
    if (operation.mustEnd) {
      await endOperation(pool, operationId, 'canceled');
      return { next: 'end', status: 'canceled' };
    }
    const pace = pacing(perSecond);
    if (action === 'recover' || selection === null) return sendRecoveryPage(deps, operationId, pace);
    const toRun: ActionToRun = { ...operation, action, selection };
    if (page) {
      await actOnPage(deps, toRun, page as SelectedItem[]);
      return { next: 'page', sent: page.length, pauseMs: pace.pauseMs };
    }
    if ((await claimSelected(pool, toRun, pace.pageSize)).isEnd) {
      await endOperation(pool, operationId, 'completed');
      return { next: 'end', status: 'completed' };
    }
  }
}

async function actOnPage(deps: OperationDeps, operation: ActionToRun, page: SelectedItem[]): Promise<void> {
  const rest = [...page];
  const failures = new Map<ActionFailure, number>();
  const webhookIds = new Set<string>();
  const work = async (): Promise<void> => {
    for (let item = rest.shift(); item; item = rest.shift()) {
      const failure = await actOnOne(deps, operation, item, webhookIds);
      if (failure) failures.set(failure, (failures.get(failure) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: maxActionsAtOnce }, work));
  // Deliveries may have left the queues of their webhooks: the others' times may be earlier now.
  for (const id of webhookIds) await checkQueue(deps.pool, id);
  const failed = [...failures.values()].reduce((sum, count) => sum + count, 0);
  await finishPage(deps.pool, operation, { done: page.length - failed, failures });
}

/** Null: it was done. */
async function actOnOne(
  deps: OperationDeps,
  operation: ActionToRun,
  item: SelectedItem,
  webhookIds: Set<string>,
): Promise<ActionFailure | null> {
  const { pool } = deps;
  const row = await findToAct(pool, operation.accountId, item.id);
  if (!row) return 'not_found';
  const isMarked = row.operationId === operation.id;
  const { action, nextAttemptAt } = operation;
  const nextAt = action === 'reschedule' && nextAttemptAt ? nextAttemptAt : new Date();
  const isExpired = row.expiresAt !== null && row.expiresAt <= nextAt;
  const decision = decideAction(action, { ...row, blocksLine: row.blocksLine !== null, isMarked, isExpired });
  if (decision.is === 'fail') return decision.reason;
  if (decision.is === 'done') return null;
  // One that ended is marked when it is reopened, so that a second run does not reopen it if it ends again at once.
  if (row.endedAt === null || row.blocksLine) await markForOperation(pool, operation.id, row.id);
  if (!(await act(deps, operation, row, item))) return 'changed';
  if (operation.action === 'cancel' || operation.action === 'reschedule') webhookIds.add(row.webhookId);
  return null;
}

/** False where the delivery has changed meanwhile in a way that does not allow it. */
async function act(
  { pool, signals }: OperationDeps,
  { id, action, requestedBy: by, nextAttemptAt }: ActionToRun,
  row: DeliveryToAct,
  { attempts }: SelectedItem,
): Promise<boolean> {
  switch (action) {
    case 'cancel':
      return cancelDelivery(signals, row.id, by);
    case 'reschedule': {
      const until = nextAttemptAt;
      if (!until || !(await rescheduleDelivery(signals, row.id, { by, until: until.toISOString() })))
        return false;
      await showRescheduled(pool, row.id, until);
      return true;
    }
    case 'retry':
    case 'resend':
      // Attempts as the page has them: a run that has made another one since does not make one more.
      return retryDelivery(signals, row, by, {
        operationId: id,
        attemptsSeen: row.endedAt ? row.attemptCount : attempts,
      });
  }
}
