import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Pool } from '../db/pool.ts';
import {
  claimDueForCheck,
  claimWaiting,
  endTerminated,
  leaveWaiting,
  markStarted,
  setNextCheck,
  type DueForCheck,
} from '../db/deliveries.ts';
import { releaseFromGroup } from '../db/carriers.ts';
import { expireDelivery, keepUntilExpiry } from '../db/hold-deliveries.ts';
import { settleDelivery } from '../db/settle-delivery.ts';
import { idFloor, isGroupId } from '../domain/ids.ts';
import { retriesUsed } from '../domain/timeline.ts';
import { signalNames, steerSignalName, type Asked, type Steer } from '../../workflows/contract.ts';
import { isNotFound, isTemporalUnavailable, within, type Temporal } from './client.ts';
import type { Starter } from './start-deliveries.ts';
import { startOptions } from './start-options.ts';

type Deps = {
  pool: Pool;
  temporal: Temporal;
  starter: Starter;
  log: Logger;
  scheduleSeconds: readonly number[];
  /** Told of what it did. */
  told?: { swept(count: number): void; started(kind: 'own'): void; expired(): void };
};

export type Sweep = { close(): Promise<void> };

const batchSize = 200;
const concurrency = 16;
const callTimeoutMs = 10_000;
const recheckSeconds = 300;
/** Until then, what was accepted is the business of the process that accepted it. */
const ownerSeconds = 10;
/** A group lasts as long as its slowest first attempt. */
const recheckGroupSeconds = 5;

/**
 * Makes Temporal agree with the rows, again and again: a delivery that waits has a running workflow, one that is held or
 * canceled has none. So whatever a crash, or Temporal's absence, left behind is started or stopped. Every process runs
 * one; each claims other rows.
 */
export function startSweep(deps: Deps): Sweep {
  const { log } = deps;
  const stop = new AbortController();
  const loop = async (): Promise<void> => {
    let pauseMs = 1000;
    while (!stop.signal.aborted) {
      try {
        const swept = await sweepOnce(deps);
        pauseMs = swept === batchSize ? 0 : 1000;
      } catch (error) {
        pauseMs = Math.min(Math.max(pauseMs, 1000) * 2, 10_000);
        log.warn({ err: error, pauseMs }, 'the sweep could not do its work; it tries again');
      }
      await delay(pauseMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  };
  const running = loop();
  return {
    async close() {
      stop.abort();
      await running;
    },
  };
}

/** One round; how many deliveries one look found, so that as many as `batchSize` tell of more. */
export async function sweepOnce(deps: Deps): Promise<number> {
  const { pool, starter } = deps;
  const checked = await claimDueForCheck(pool, batchSize);
  const room = Math.min(batchSize, starter.room());
  // What waits for room is not written to until there is some, however much it is.
  const waiting =
    room === 0
      ? []
      : await claimWaiting(pool, room, idFloor('dlv', new Date(Date.now() - ownerSeconds * 1000)));
  const due = [...checked, ...waiting];
  deps.told?.swept(due.length);
  const { groups, others } = byGroup(due);
  const queue = [
    ...[...groups].map(([id, members]) => ({ id, check: () => ensureGroup(deps, id, members) })),
    ...others.map((delivery) => ({ id: delivery.id, check: () => agree(deps, delivery) })),
  ];
  let unavailable: unknown = null;
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next && unavailable === null; next = queue.shift()) {
      try {
        await next.check();
      } catch (error) {
        if (isTemporalUnavailable(error)) unavailable = error;
        else deps.log.error({ err: error, workflow: next.id }, 'a delivery could not be checked');
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  if (unavailable !== null) {
    // Due again soon, not after the whole claim: Temporal may be back in a moment.
    for (const status of ['pending', 'retrying', 'held', 'canceled'] as const) {
      await setNextCheck(
        deps.pool,
        due.map(({ id }) => id),
        status,
        2,
      );
    }
    throw unavailable;
  }
  return Math.max(checked.length, waiting.length);
}

/** What waits for a group's workflow is looked at once a group. */
function byGroup(due: readonly DueForCheck[]): { groups: Map<string, DueForCheck[]>; others: DueForCheck[] } {
  const groups = new Map<string, DueForCheck[]>();
  const others = due.filter((delivery) => {
    const { workflowId, status } = delivery;
    if (status !== 'pending' || workflowId === null || !isGroupId(workflowId)) return true;
    groups.set(workflowId, [...(groups.get(workflowId) ?? []), delivery]);
    return false;
  });
  return { groups, others };
}

const wasHeld = ({ timeline }: DueForCheck): boolean => timeline.at(-1)?.type === 'held';

/** Deliveries that nothing carries go to the starter; those that it has no room for come again. */
async function enqueue({ pool, starter }: Deps, deliveries: readonly DueForCheck[]): Promise<void> {
  const later = deliveries.filter(
    (delivery) => !starter.enqueue({ ...delivery, isRelease: wasHeld(delivery) }),
  );
  if (later.length === 0) return;
  const ids = later.map(({ id }) => id);
  // Where there is room for others, those few that their webhook keeps back would be claimed again and again.
  if (starter.room() > 0) await setNextCheck(pool, ids, 'pending', recheckSeconds);
  else await leaveWaiting(pool, ids);
}

/** A group that was settled and never started, or that ended without them. */
async function ensureGroup(deps: Deps, groupId: string, members: readonly DueForCheck[]): Promise<void> {
  const { pool, temporal, starter, log } = deps;
  const ids = members.map(({ id }) => id);
  const status = (await describe(temporal, groupId))?.status ?? null;
  if (status === 'RUNNING') return setNextCheck(pool, ids, 'pending', recheckGroupSeconds);
  if (status === null) {
    // Under the same id, so that a start that is still on its way and this one cannot both be.
    await starter.startGroup(
      groupId,
      members.map((delivery) => ({ ...delivery, isRelease: wasHeld(delivery) })),
    );
    return;
  }
  if (status === 'TERMINATED') {
    log.warn({ workflow: groupId }, 'the workflow was terminated in Temporal: its deliveries end canceled');
    for (const id of ids) await endTerminated(pool, id);
    return;
  }
  await releaseFromGroup(pool, ids, groupId);
  await enqueue(deps, members);
}

async function agree(deps: Deps, delivery: DueForCheck): Promise<void> {
  switch (delivery.status) {
    case 'pending':
    case 'retrying':
      return ensureRunning(deps, delivery);
    case 'held':
      return ensureHeld(deps, delivery);
    case 'canceled':
      return ensureStopped(deps, delivery);
    case 'delivered':
    case 'failed':
      return setNextCheck(deps.pool, [delivery.id], delivery.status, null);
  }
}

async function ensureRunning(deps: Deps, delivery: DueForCheck): Promise<void> {
  const { pool, temporal, starter, log, scheduleSeconds } = deps;
  if (delivery.workflowId === null) return enqueue(deps, [delivery]);
  const isRelease = wasHeld(delivery);
  const isFirst = !delivery.timeline.some(({ type }) => type === 'started');
  if (isFirst && (await starter.startFirst(delivery, isRelease))) return;
  const run = await describe(temporal, delivery.id);
  if (run?.status === 'RUNNING') {
    if (delivery.runId !== run.runId) await markStarted(pool, [{ id: delivery.id, runId: run.runId }]);
    // A run from before the delivery was held and released waits for a time that no longer counts.
    if ((delivery.status === 'pending' && !isFirst) || delivery.isDeferred)
      await tellToSettle(temporal, delivery.id);
    return setNextCheck(pool, [delivery.id], delivery.status, recheckSeconds);
  }
  const isKnownRun = run !== null && delivery.runId === run.runId;
  if (isKnownRun && (run.status === 'TERMINATED' || run.status === 'CANCELLED')) {
    log.warn(
      { delivery: delivery.id },
      'the workflow was terminated in Temporal: the delivery ends canceled',
    );
    return endTerminated(pool, delivery.id);
  }
  const options = startOptions(delivery, scheduleSeconds, {
    retriesBefore: retriesUsed(delivery.timeline),
    isRelease,
  });
  const handle = await within(temporal, callTimeoutMs, () =>
    temporal.client.workflow.start('deliverEvent', { ...options, workflowIdConflictPolicy: 'USE_EXISTING' }),
  );
  deps.told?.started('own');
  await markStarted(pool, [{ id: delivery.id, runId: handle.firstExecutionRunId }]);
}

/** Told to its workflow, kept, and at last expired. */
async function ensureHeld(deps: Deps, delivery: DueForCheck): Promise<void> {
  const { pool, temporal } = deps;
  if (await isStillCarried(temporal, delivery))
    return setNextCheck(pool, [delivery.id], 'held', recheckAfter(delivery));
  if (await expireDelivery(pool, delivery.id)) {
    deps.told?.expired();
    return;
  }
  await settleDelivery(pool, { deliveryId: delivery.id, as: 'as_row_says', reason: null, notes: [] });
  return keepUntilExpiry(pool, delivery.id);
}

async function ensureStopped({ pool, temporal }: Deps, delivery: DueForCheck): Promise<void> {
  if (await isStillCarried(temporal, delivery))
    return setNextCheck(pool, [delivery.id], delivery.status, recheckAfter(delivery));
  await settleDelivery(pool, { deliveryId: delivery.id, as: 'as_row_says', reason: null, notes: [] });
  return setNextCheck(pool, [delivery.id], delivery.status, null);
}

/** Whether a workflow has a delivery that should have none. It is told: its own, or its group's. */
async function isStillCarried(temporal: Temporal, { id, workflowId }: DueForCheck): Promise<boolean> {
  if (workflowId === null || (await describe(temporal, workflowId))?.status !== 'RUNNING') return false;
  await tellToSettle(temporal, id, workflowId);
  return true;
}

const recheckAfter = ({ workflowId }: DueForCheck): number =>
  workflowId !== null && isGroupId(workflowId) ? recheckGroupSeconds : recheckSeconds;

async function describe(
  temporal: Temporal,
  workflowId: string,
): Promise<{ status: string; runId: string } | null> {
  try {
    const description = await within(temporal, callTimeoutMs, () =>
      temporal.client.workflow.getHandle(workflowId).describe(),
    );
    return { status: description.status.name, runId: description.runId };
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}

async function tellToSettle(temporal: Temporal, deliveryId: string, workflowId = deliveryId): Promise<void> {
  const asked: Asked = { by: 'service' };
  const handle = temporal.client.workflow.getHandle(workflowId);
  const steer: Steer = { deliveryId, name: signalNames.settle, asked };
  try {
    await within(temporal, callTimeoutMs, () =>
      isGroupId(workflowId)
        ? handle.signal(steerSignalName, steer)
        : handle.signal(signalNames.settle, asked),
    );
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
