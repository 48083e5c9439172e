import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { releaseFromGroup, settleCarriers } from '../db/carriers.ts';
import { findDelivery, type DeliveryRow } from '../db/deliveries.ts';
import type { Pool } from '../db/pool.ts';
import { isGroupId } from '../domain/ids.ts';
import { retriesUsed } from '../domain/timeline.ts';
import {
  signalNames,
  steerSignalName,
  type Asked,
  type Reschedule,
  type SignalName,
  type Steer,
} from '../../workflows/contract.ts';
import { isNotFound, within, type Temporal } from './client.ts';
import { groupStartOptions, startOptions } from './start-options.ts';

type Deps = { pool: Pool; temporal: Temporal; scheduleSeconds: readonly number[] };

const timeoutMs = 10_000;
/** A delivery moves from a group to its own workflow once; another try for what moved in between. */
const maxTries = 4;

/**
 * Makes the next attempt happen now: a running workflow is signaled; where none runs, one is started under the same id,
 * with a fresh schedule where the delivery had ended. Answers the run that takes it.
 */
export function retryDelivery(deps: Deps, row: DeliveryRow, by: string): Promise<string> {
  const asked: Asked = { by, attemptsSeen: row.attemptCount };
  return signalWithStart(deps, row, signalNames.retryNow, asked, row.endedAt ? 0 : retriesUsed(row.timeline));
}

/** Tells the delivery's workflow to make its next attempt at another time; starts it where it is not started yet. */
export async function rescheduleDelivery(deps: Deps, row: DeliveryRow, asked: Reschedule): Promise<void> {
  await signalWithStart(deps, row, signalNames.reschedule, asked, retriesUsed(row.timeline));
}

async function signalWithStart(
  deps: Deps,
  row: DeliveryRow,
  name: SignalName,
  asked: Asked | Reschedule,
  retriesBefore: number,
): Promise<string> {
  const { temporal, scheduleSeconds } = deps;
  const signalOwn = async (): Promise<string> => {
    const handle = await within(temporal, timeoutMs, () =>
      temporal.client.workflow.signalWithStart('deliverEvent', {
        ...startOptions(row, scheduleSeconds, { retriesBefore, isRelease: false }),
        signal: name,
        signalArgs: [asked],
      }),
    );
    return handle.signaledRunId;
  };
  const signalGroup = async (groupId: string): Promise<string | null> => {
    const steer: Steer = { deliveryId: row.id, name, asked };
    try {
      const handle = await within(temporal, timeoutMs, () =>
        temporal.client.workflow.signalWithStart('deliverGroup', {
          ...groupStartOptions(groupId, [row], scheduleSeconds),
          signal: steerSignalName,
          signalArgs: [steer],
        }),
      );
      return handle.signaledRunId;
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return null;
      throw error;
    }
  };
  return toCarrier(deps, row, signalGroup, signalOwn);
}

/** Tells the delivery's workflow to cancel. False where none runs. */
export async function cancelDelivery(deps: Deps, row: DeliveryRow, by: string): Promise<boolean> {
  const asked: Asked = { by };
  const { temporal } = deps;
  const signal = async (workflowId: string, name: string, argument: Asked | Steer): Promise<true | null> => {
    try {
      await within(temporal, timeoutMs, () =>
        temporal.client.workflow.getHandle(workflowId).signal(name, argument),
      );
      return true;
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  };
  if (row.workflowId === null) return false;
  const steer: Steer = { deliveryId: row.id, name: signalNames.cancel, asked };
  const isTold = await toCarrier(
    deps,
    row,
    (groupId) => signal(groupId, steerSignalName, steer),
    async () => {
      if (await signal(row.id, signalNames.cancel, asked)) return true;
      const groupId = firstCarrier(row);
      return groupId !== null && (await signal(groupId, steerSignalName, steer)) === true;
    },
  );
  return isTold;
}

/** The group that made a delivery's first attempt, where that is all that was made: it may not have handed it over yet. */
function firstCarrier({ timeline, runId, attemptCount }: DeliveryRow): string | null {
  const started = timeline.findLast(({ type }) => type === 'started');
  if (started?.type !== 'started' || runId !== null || attemptCount !== 1) return null;
  const { workflow_id: workflowId = '' } = started;
  return isGroupId(workflowId) ? workflowId : null;
}

/**
 * Reaches the workflow that carries a delivery: a group's while that makes the first attempt, else its own. A group that
 * has ended meanwhile answers null: then the delivery has moved on, or is nobody's.
 */
async function toCarrier<T>(
  { pool }: Deps,
  row: DeliveryRow,
  inGroup: (groupId: string) => Promise<T | null>,
  inOwn: () => Promise<T>,
): Promise<T> {
  let { workflowId, endedAt, status } = row;
  for (let tries = 0; tries < maxTries && endedAt === null; tries += 1) {
    if (workflowId !== null && isGroupId(workflowId)) {
      const told = await inGroup(workflowId);
      if (told !== null) return told;
      await releaseFromGroup(pool, [row.id], workflowId);
    } else if (workflowId !== null || status !== 'pending') break;
    else if ((await settleCarriers(pool, [{ id: row.id, workflowId: row.id }])).length === 1) break;
    const now = await findDelivery(pool, row.accountId, row.id);
    if (!now) break;
    ({ workflowId, endedAt, status } = now);
  }
  return inOwn();
}
