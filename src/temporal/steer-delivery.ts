import type { DeliveryRow } from '../db/deliveries.ts';
import { retriesUsed } from '../domain/timeline.ts';
import { signalNames, type Asked, type Reschedule } from '../../workflows/contract.ts';
import { isNotFound, within, type Temporal } from './client.ts';
import { startOptions } from './start-deliveries.ts';

const timeoutMs = 10_000;

/**
 * Makes the next attempt happen now: a running workflow is signaled; where none runs, one is started under the same id,
 * with a fresh schedule where the delivery had ended. Answers the run that takes it.
 */
export async function retryDelivery(
  temporal: Temporal,
  row: DeliveryRow,
  scheduleSeconds: readonly number[],
  by: string,
): Promise<string> {
  const asked: Asked = { by, attemptsSeen: row.attemptCount };
  const retriesBefore = row.endedAt ? 0 : retriesUsed(row.timeline);
  const handle = await within(temporal, timeoutMs, () =>
    temporal.client.workflow.signalWithStart('deliverEvent', {
      ...startOptions(row, scheduleSeconds, { retriesBefore, isRelease: false }),
      signal: signalNames.retryNow,
      signalArgs: [asked],
    }),
  );
  return handle.signaledRunId;
}

/** Tells the delivery's workflow to make its next attempt at another time; starts it where it is not started yet. */
export async function rescheduleDelivery(
  temporal: Temporal,
  row: DeliveryRow,
  scheduleSeconds: readonly number[],
  asked: Reschedule,
): Promise<void> {
  await within(temporal, timeoutMs, () =>
    temporal.client.workflow.signalWithStart('deliverEvent', {
      ...startOptions(row, scheduleSeconds, { retriesBefore: retriesUsed(row.timeline), isRelease: false }),
      signal: signalNames.reschedule,
      signalArgs: [asked],
    }),
  );
}

/** Tells the delivery's workflow to cancel. False where none runs. */
export async function cancelDelivery(temporal: Temporal, row: DeliveryRow, by: string): Promise<boolean> {
  const asked: Asked = { by };
  try {
    await within(temporal, timeoutMs, () =>
      temporal.client.workflow.getHandle(row.workflowId).signal(signalNames.cancel, asked),
    );
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
