import type { Logger } from 'pino';
import {
  checkAgain,
  claimDue,
  dropOwner,
  markRunning,
  moveToOwn,
  readClaimed,
  writeRun,
  type Claimed,
  type Due,
} from '../db/owners.ts';
import type { MarkChanges } from '../db/changes.ts';
import { isDatabaseUnavailable, type Pool } from '../db/pool.ts';
import { claimQueues } from '../db/queue-checks.ts';
import { correctQueue } from '../db/rate-limit-slots.ts';
import type { Limits } from '../db/read-queue.ts';
import { endPauses } from '../db/pause-webhook.ts';
import { endCanceled, expireHeld } from '../db/stop-delivery.ts';
import { claimWebhooksToSync, syncDeliveries } from '../db/sync-deliveries.ts';
import { isGroupId } from '../domain/ids.ts';
import { isTemporalUnavailable } from '../temporal/client.ts';
import { every, type Loop } from '../every.ts';
import {
  checkGroupSeconds,
  checkRunningSeconds,
  checkSoonSeconds,
  checkWokenSeconds,
  claimSize,
  claimWorkMs,
  maxReconciledAtOnce,
  pollMs,
  startWithinMs,
} from './limits.ts';
import {
  describeWorkflow,
  signalWorkflow,
  startDelivery,
  startGroup,
  wakeSignal,
  type StartDeps,
} from './start.ts';

type Deps = StartDeps & {
  pool: Pool;
  log: Logger;
  limits: Limits;
  /** Called when deliveries without an owner may be there. */
  wakeDispatcher: () => void;
  /** Resolves when a delivery's own workflow may be started, which first attempts go before. */
  giveWay: () => Promise<void>;
  /** Called for deliveries and webhooks that were changed. */
  touch?: MarkChanges['touch'];
  metrics?: { reconciled(count: number): void; expired(): void };
};

/** `wakeStarts`: deliveries are due to be started. */
export type Reconciler = { wakeStarts(): void; close(): Promise<void> };

/**
 * Makes Temporal agree with the rows: a delivery that waits has a running workflow, which knows when its time has come; one
 * that is parked, held or canceled has none. So it starts, wakes or stops the workflows that differ after a crash, a lost call
 * or an outage of Temporal. It also ends pauses, syncs deliveries with the state of their webhook, corrects the times of queues
 * and releases parked deliveries. Every process runs one; each claims other rows.
 */
export function startReconciler(deps: Deps): Reconciler {
  const { log, pool } = deps;
  const onError = (error: unknown) =>
    log.warn({ err: error }, 'the reconciler could not work; it tries again');
  const starts = every(pollMs, () => reconcileDue(deps, 'start'), onError);
  const loops: Loop[] = [
    starts,
    every(pollMs, () => reconcileDue(deps, 'check'), onError),
    every(
      pollMs,
      async () => {
        const resumed = await endPauses(pool);
        if (resumed.length > 0) deps.wakeDispatcher();
        deps.touch?.(...resumed);
        const ids = await claimWebhooksToSync(pool, 10);
        let isMore = ids.length > 0;
        for (const id of ids) {
          const { changed, isDone } = await syncDeliveries(pool, id);
          isMore &&= isDone || changed > 0;
          if (changed === 0) continue;
          deps.wakeDispatcher();
          deps.touch?.(id);
        }
        return isMore;
      },
      onError,
    ),
    every(
      pollMs,
      async () => {
        const webhookIds = await claimQueues(pool, 50);
        let nextMs = pollMs;
        for (const webhookId of webhookIds) {
          const { released, seconds } = await correctQueue(pool, webhookId, deps.limits);
          if (released > 0) deps.wakeDispatcher();
          nextMs = Math.min(nextMs, seconds * 1000);
        }
        return webhookIds.length === 50 || nextMs;
      },
      onError,
    ),
  ];
  return {
    wakeStarts: starts.wake,
    async close() {
      await Promise.all(loops.map((loop) => loop.close()));
    },
  };
}

/** One round over the deliveries that are due. Returns whether more may be due. */
export async function reconcileDue(deps: Deps, kind: 'start' | 'check'): Promise<boolean> {
  const due = await claimDue(deps.pool, kind, claimSize);
  const endAt = Date.now() + claimWorkMs;
  deps.metrics?.reconciled(due.length);
  const groups = new Map<string, Due[]>();
  const others: Due[] = [];
  for (const delivery of due) {
    const { ownerId, status } = delivery;
    // Those that wait for a group's workflow are checked once a group.
    if (ownerId !== null && isGroupId(ownerId) && status === 'pending')
      groups.set(ownerId, [...(groups.get(ownerId) ?? []), delivery]);
    else others.push(delivery);
  }
  const queue = [
    ...[...groups].map(([id, members]) => ({ id, check: () => reconcileGroup(deps, id, members, endAt) })),
    ...others.map((delivery) => ({ id: delivery.id, check: () => reconcile(deps, delivery, endAt) })),
  ];
  let unavailable: unknown = null;
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next && unavailable === null; next = queue.shift()) {
      // Another process may claim them again by now.
      if (Date.now() > endAt) return;
      try {
        await next.check();
      } catch (error) {
        if (isTemporalUnavailable(error) || isDatabaseUnavailable(error)) unavailable = error;
        else deps.log.error({ err: error, workflow: next.id }, 'a delivery could not be reconciled');
      }
    }
  };
  await Promise.all(Array.from({ length: maxReconciledAtOnce }, work));
  if (unavailable !== null) {
    await checkAgain(deps.pool, due, checkSoonSeconds);
    throw unavailable;
  }
  return due.length === claimSize;
}

/** The end of the next call to Temporal: before the claim ends. */
const deadlineOf = (endAt: number): number => Math.min(Date.now() + startWithinMs, endAt);

async function reconcile(deps: Deps, delivery: Due, endAt: number): Promise<void> {
  switch (delivery.status) {
    case 'pending':
    case 'retrying':
      return ensureRunning(deps, delivery, endAt);
    case 'held':
    case 'canceled':
    case 'failed':
      return ensureStopped(deps, delivery, endAt);
    case 'delivered':
      return;
  }
}

async function ensureRunning(deps: Deps, delivery: Due, endAt: number): Promise<void> {
  const { pool, temporal, log } = deps;
  const { id, ownerId } = delivery;
  if (ownerId === null || isGroupId(ownerId)) return;
  if (delivery.runId === null) {
    await deps.giveWay();
    // Many that were claimed together give way one after the other, and the delivery may have been held or canceled since.
    const claimed = await readWaiting(pool, id);
    if (!claimed || Date.now() > endAt) return;
    const runId = claimed.runId === null ? await startDelivery(deps, claimed, deadlineOf(endAt)) : null;
    if (runId !== null) return acknowledge(deps, delivery, runId, endAt);
  }
  const run = await describeWorkflow(temporal(), deadlineOf(endAt), id);
  // Read after the workflow was: a run writes its delivery's row before it ends.
  const now = await readWaiting(pool, id);
  if (!now) return;
  if (run?.status === 'RUNNING') {
    if (now.runId !== run.runId) await writeRun(pool, id, run.runId);
    if (!delivery.isDue) return checkAgain(pool, [delivery], checkRunningSeconds);
    // It may wait for a time that counts no longer. Where it has ended meanwhile, its row is checked again soon.
    const isWoken = await signalWorkflow(temporal(), deadlineOf(endAt), id, wakeSignal);
    return checkAgain(pool, [delivery], isWoken ? checkWokenSeconds : checkSoonSeconds);
  }
  if (run && now.runId === run.runId && (run.status === 'TERMINATED' || run.status === 'CANCELLED')) {
    log.warn({ delivery: id }, 'the workflow was terminated in Temporal: the delivery ends canceled');
    await endCanceled(pool, [id], 'terminated');
    return deps.touch?.(id);
  }
  const runId = await startDelivery(deps, { ...now, runId: run?.runId ?? now.runId }, deadlineOf(endAt));
  if (runId !== null) await acknowledge(deps, delivery, runId, endAt);
}

/** The row as it is now; null: the delivery waits no longer for its own workflow. */
async function readWaiting(pool: Pool, id: string): Promise<Claimed | null> {
  const now = await readClaimed(pool, id);
  const isWaiting = now?.ownerId === id && (now.status === 'pending' || now.status === 'retrying');
  return isWaiting ? now : null;
}

/** The delivery may be held or canceled since it was read: then no row names its run, which reads the row and ends. */
async function acknowledge(deps: Deps, delivery: Due, runId: string, endAt: number): Promise<void> {
  const isWaiting = await markRunning(deps.pool, delivery, runId);
  if (!isWaiting) await signalWorkflow(deps.temporal(), deadlineOf(endAt), delivery.id, wakeSignal);
}

/** A group that was never started, that is under way, or that ended without them. */
async function reconcileGroup(
  deps: Deps,
  groupId: string,
  members: readonly Due[],
  endAt: number,
): Promise<void> {
  const { pool, temporal, log } = deps;
  const ids = members.map(({ id }) => id);
  const run = await describeWorkflow(temporal(), deadlineOf(endAt), groupId);
  if (run?.status === 'RUNNING') return checkAgain(pool, members, checkGroupSeconds);
  if (run === null) {
    // Under the same id, so that a start that is still on its way and this one cannot both be.
    await startGroup(deps, groupId, members, deadlineOf(endAt));
    return;
  }
  if (run.status === 'TERMINATED') {
    log.warn({ workflow: groupId }, 'the workflow was terminated in Temporal: its deliveries end canceled');
    await endCanceled(pool, ids, 'terminated');
    return deps.touch?.(...ids);
  }
  await moveToOwn(pool, ids, groupId);
}

/** A held, canceled or expired delivery has no workflow; one that is held for too long fails. */
async function ensureStopped(deps: Deps, delivery: Due, endAt: number): Promise<void> {
  const { pool, temporal, metrics } = deps;
  const { id, ownerId, status } = delivery;
  if (ownerId === null) {
    if (status !== 'held' || !(await expireHeld(pool, id))) return;
    metrics?.expired();
    deps.touch?.(id);
    // The event about it.
    deps.wakeDispatcher();
    return;
  }
  const run = await describeWorkflow(temporal(), deadlineOf(endAt), ownerId);
  if (run?.status !== 'RUNNING') return dropOwner(pool, id, ownerId);
  // A group's attempt is short, and its record sees the new state.
  if (!isGroupId(ownerId)) await signalWorkflow(temporal(), deadlineOf(endAt), ownerId, wakeSignal);
  return checkAgain(pool, [delivery], checkGroupSeconds);
}
