import { reopenDelivery, type DeliveryRow } from '../db/deliveries-table.ts';
import { assignOwners, moveToOwn, readClaimed, type Claimed } from '../db/owners.ts';
import type { Pool } from '../db/pool.ts';
import { cancelBlocking, cancelDelivery as cancelRow } from '../db/stop-delivery.ts';
import { releaseOne, rescheduleParked } from '../db/parked-deliveries.ts';
import { moveScheduled, startScheduledNow } from '../db/scheduled-deliveries.ts';
import { waitEntry } from '../domain/attempt-result.ts';
import type { SignalRequest } from '../domain/delivery-run.ts';
import { isGroupId } from '../domain/ids.ts';
import { signalNames } from '../../workflows/contract.ts';
import { callTimeoutMs, startWithinMs } from './limits.ts';
import { signalGroup, signalWorkflow, startDelivery, type Signal, type StartDeps } from './start.ts';

export type SignalDeps = StartDeps & {
  pool: Pool;
  /** Called when a line may need another head. */
  wakeLines: () => void;
};

/** A delivery moves from parked to no owner, to a group and then to its own workflow: another round for each move in between. */
const maxRounds = 5;

/**
 * Signals the workflow that owns a delivery: its own, or its group's. A delivery that waits and has none, or whose workflow
 * does not run, gets its own one, which is started with the signal.
 *
 * @returns false where the delivery does not wait any longer
 * @throws where Temporal cannot be reached
 */
export async function signalOwner(deps: SignalDeps, deliveryId: string, signal: Signal): Promise<boolean> {
  const { pool } = deps;
  for (let round = 0; round < maxRounds; round += 1) {
    const row = await readClaimed(pool, deliveryId);
    if (row?.status !== 'pending' && row?.status !== 'retrying') return false;
    const { ownerId } = row;
    // One that is parked is started, and parked again unless its attempt is granted.
    if (row.waitReason === 'down' && (await releaseOne(pool, deliveryId))) continue;
    if (ownerId === null) {
      const assigned = await assignOwners(pool, [{ id: deliveryId, ownerId: deliveryId, isQueued: false }]);
      if (assigned.length === 0) continue;
      await startDelivery(deps, row, Date.now() + startWithinMs, signal);
      return true;
    }
    if (await signalWorkflowOf(deps, row, ownerId, signal)) return true;
    if (isGroupId(ownerId)) {
      // The group has ended: deliveries that it did not attempt get a workflow of their own.
      await moveToOwn(pool, [deliveryId], ownerId);
      continue;
    }
    if (await startAgain(deps, row, signal)) return true;
  }
  return false;
}

/** False where it has ended. */
function signalWorkflowOf(deps: SignalDeps, row: Claimed, ownerId: string, signal: Signal): Promise<boolean> {
  const deadline = Date.now() + callTimeoutMs;
  return isGroupId(ownerId)
    ? signalGroup(deps, ownerId, row, deadline, signal)
    : signalWorkflow(deps.temporal(), deadline, ownerId, signal);
}

/** Its own workflow does not run. That its row still waits is read after that was known: so no run has ended it. */
async function startAgain(deps: SignalDeps, seen: Claimed, signal: Signal): Promise<boolean> {
  const row = await readClaimed(deps.pool, seen.id);
  const isWaiting = row?.status === 'pending' || row?.status === 'retrying';
  if (!row || !isWaiting || row.ownerId !== row.id || row.attemptCount !== seen.attemptCount) return false;
  await startDelivery(deps, row, Date.now() + startWithinMs, signal);
  return true;
}

/** Of a retry by an operation: which one, and the attempts that its page has seen. */
type Bulk = { operationId?: string | null; attemptsSeen?: number };

/**
 * Makes the next attempt happen now; one that ended begins again, with a fresh schedule.
 *
 * @returns false where the delivery has changed meanwhile in a way that does not allow it
 */
export async function retryDelivery(
  deps: SignalDeps,
  row: DeliveryRow,
  by: string,
  { operationId = null, attemptsSeen = row.attemptCount }: Bulk = {},
): Promise<boolean> {
  const request = { by, at: new Date().toISOString(), attemptsSeen };
  const signal: Signal = { name: signalNames.retryNow, request };
  if (row.status === 'failed' || row.status === 'delivered') {
    if (row.isInLine && (await reopenInLine(deps, row, request, operationId))) return true;
    const reopened = row.isInLine ? null : await reopenDelivery(deps.pool, row, 'own', [], operationId);
    if (reopened) {
      // A run that is about to end receives the signal, and begins again.
      await startDelivery(deps, reopened, Date.now() + startWithinMs, signal);
      return true;
    }
  }
  if (row.startAfter === 'deliver_at' && (await startScheduledNow(deps.pool, row.id)) === 'joined') {
    deps.wakeLines();
    return true;
  }
  return signalOwner(deps, row.id, signal);
}

/** It waits for the present head of its line. */
async function reopenInLine(
  { pool, wakeLines }: SignalDeps,
  row: DeliveryRow,
  { by, at }: { by: string; at: string },
  operationId: string | null,
): Promise<boolean> {
  const entries = [{ at, type: 'signal' as const, name: signalNames.retryNow, by, outside: true as const }];
  const reopened = await reopenDelivery(pool, row, 'none', entries, operationId);
  wakeLines();
  return reopened !== null;
}

/** Makes the next attempt happen at another time. False where the delivery does not wait any longer. */
export async function rescheduleDelivery(
  deps: SignalDeps,
  deliveryId: string,
  request: SignalRequest & { until: string },
): Promise<boolean> {
  const now = Date.now();
  const at = new Date(now).toISOString();
  // In the timeline, the request comes first.
  const then = new Date(now + 1).toISOString();
  const { by, until } = request;
  const entries = [
    { at, type: 'signal' as const, name: 'reschedule', by, outside: true as const },
    { ...waitEntry({ at: then, until, reason: 'rescheduled' }), outside: true as const },
  ];
  const moved = { id: deliveryId, until: new Date(until), entries };
  if ((await moveScheduled(deps.pool, moved)) || (await rescheduleParked(deps.pool, moved))) return true;
  return signalOwner(deps, deliveryId, { name: signalNames.reschedule, request: { ...request, at } });
}

/**
 * Cancels a delivery that waits or is held: by a signal to its owner, or at once where none owns it. One that has failed is
 * canceled where it blocks its line.
 *
 * @returns false where it has ended
 */
export async function cancelDelivery(deps: SignalDeps, deliveryId: string, by: string): Promise<boolean> {
  const { pool } = deps;
  const at = new Date().toISOString();
  const signal: Signal = { name: signalNames.cancel, request: { by, at } };
  for (let round = 0; round < maxRounds; round += 1) {
    const row = await readClaimed(pool, deliveryId);
    const entries = [{ at, type: 'signal' as const, name: 'cancel', by, outside: true as const }];
    if (row?.status === 'failed' && (await cancelBlocking(pool, deliveryId, entries))) {
      deps.wakeLines();
      return true;
    }
    if (!row || row.status === 'delivered' || row.status === 'failed' || row.status === 'canceled')
      return false;
    const { ownerId } = row;
    if (row.status !== 'held' && ownerId !== null) {
      if (await signalWorkflowOf(deps, row, ownerId, signal)) return true;
      const now = await readClaimed(pool, deliveryId);
      if (now?.ownerId !== ownerId) continue;
    }
    if (await cancelRow(pool, { deliveryId, entries, isByRun: false })) {
      deps.wakeLines();
      return true;
    }
  }
  return false;
}
