import type { Startable } from '../db/deliveries-table.ts';
import {
  signalNames,
  groupSignalName,
  type DeliverEventInput,
  type DeliverGroupInput,
  type GroupSignal,
} from '../../workflows/contract.ts';
import { deliveryStart, groupStart } from '../../workflows/delivery-start.ts';
import { isAlreadyStarted, isNotFound, withFallback, type Caller } from '../temporal/client.ts';

/** A signal to the workflow that owns a delivery. */
export type Signal = Pick<GroupSignal, 'name' | 'request'>;

/** The service has changed the delivery's row. */
export const wakeSignal: Signal = { name: signalNames.wake, request: { by: 'service' } };

export type StartDeps = {
  /** The worker's own connection where there is one: a workflow that is started on it begins in this process at once. */
  temporal: () => Caller;
  scheduleSeconds: readonly number[];
  /** Whether the webhook's first attempts may be local activities, and share workflows. */
  mayShare: (webhookId: string) => boolean;
  onStarted: (kind: 'own' | 'group') => void;
};

function inputOf(row: Startable, { scheduleSeconds, mayShare }: StartDeps): DeliverEventInput {
  const { id: deliveryId, webhookId, attemptCount: attempts, retriesUsed, nextAttemptAt, waitReason } = row;
  const isShareable = row.mayShare !== false && mayShare(webhookId);
  const wait = nextAttemptAt && waitReason && { until: nextAttemptAt.toISOString(), reason: waitReason };
  return {
    deliveryId,
    webhookId,
    schedule: row.schedule ?? [...scheduleSeconds],
    attempts,
    retriesUsed,
    wait,
    // Its group made the first attempt, or deferred it.
    continues: wait !== null && row.runId === null,
    isFirstLocal: attempts === 0 && isShareable,
  };
}

/** Whether Temporal can have had a run of this delivery's own workflow. */
const isFirstRun = ({ attemptCount, runId, nextAttemptAt }: Startable): boolean =>
  attemptCount === 0 && runId === null && nextAttemptAt === null;

/**
 * Starts a delivery's own workflow, from its row; the row names that workflow as its owner. Where it runs already, it is
 * woken: it reads the row again.
 *
 * @param deadline ms since 1970
 * @param signal the first one of the run
 * @returns the run; null where it was not started, for it has run before or runs
 * @throws where Temporal cannot be reached
 */
export async function startDelivery(
  deps: StartDeps,
  row: Startable,
  deadline: number,
  signal?: Signal,
): Promise<string | null> {
  const caller = deps.temporal();
  const { client, connection, isWorkers } = caller;
  const options = { ...deliveryStart(row), args: [inputOf(row, deps)] as [DeliverEventInput] };
  if (signal) {
    const { name, request } = signal;
    const handle = await connection.withDeadline(deadline, () =>
      client.workflow.signalWithStart('deliverEvent', { ...options, signal: name, signalArgs: [request] }),
    );
    return handle.signaledRunId;
  }
  try {
    const handle = await connection.withDeadline(deadline, () =>
      client.workflow.start('deliverEvent', {
        ...options,
        workflowIdReusePolicy: isFirstRun(row) ? 'REJECT_DUPLICATE' : 'ALLOW_DUPLICATE',
        requestEagerStart: isWorkers,
      }),
    );
    deps.onStarted('own');
    return handle.firstExecutionRunId;
  } catch (error) {
    if (!isAlreadyStarted(error)) throw error;
    await signalWorkflow(caller, deadline, row.id, wakeSignal);
    return null;
  }
}

/** Starts a group's workflow; once: after it has ended, never again. */
export async function startGroup(
  deps: StartDeps,
  groupId: string,
  rows: readonly Startable[],
  deadline: number,
): Promise<void> {
  const { client, connection, isWorkers } = deps.temporal();
  const options = { ...groupOptions(deps, groupId, rows), requestEagerStart: isWorkers };
  await withFallback(isAlreadyStarted, undefined, async () => {
    await connection.withDeadline(deadline, () => client.workflow.start('deliverGroup', options));
    deps.onStarted('group');
  });
}

function groupOptions({ scheduleSeconds }: StartDeps, groupId: string, rows: readonly Startable[]) {
  const deliveries = rows.map(({ id, webhookId }) => ({ id, webhookId }));
  const input: DeliverGroupInput = { deliveries, schedule: [...scheduleSeconds] };
  return {
    ...groupStart(
      groupId,
      rows.map(({ id }) => id),
    ),
    workflowIdReusePolicy: 'REJECT_DUPLICATE' as const,
    args: [input] as [DeliverGroupInput],
  };
}

/**
 * Signals a group for one of its deliveries. One that was to be started and was not yet is started with that delivery alone.
 *
 * @returns false where the group has ended
 */
export function signalGroup(
  deps: StartDeps,
  groupId: string,
  row: Startable,
  deadline: number,
  signal: Signal,
): Promise<boolean> {
  const { client, connection } = deps.temporal();
  const signalArgs: [GroupSignal] = [{ deliveryId: row.id, ...signal }];
  const options = { ...groupOptions(deps, groupId, [row]), signal: groupSignalName, signalArgs };
  return withFallback(isAlreadyStarted, false, async () => {
    await connection.withDeadline(deadline, () => client.workflow.signalWithStart('deliverGroup', options));
    return true;
  });
}

/** Signals a delivery's own workflow. False where none runs. */
export function signalWorkflow(
  { client, connection }: Caller,
  deadline: number,
  workflowId: string,
  { name, request }: Signal,
): Promise<boolean> {
  return withFallback(isNotFound, false, async () => {
    await connection.withDeadline(deadline, () =>
      client.workflow.getHandle(workflowId).signal(name, request),
    );
    return true;
  });
}

/** A workflow's latest run; null: Temporal knows none. */
export function describeWorkflow({ client, connection }: Caller, deadline: number, workflowId: string) {
  return withFallback(isNotFound, null, async () => {
    const { status, runId } = await connection.withDeadline(deadline, () =>
      client.workflow.getHandle(workflowId).describe(),
    );
    return { status: status.name, runId };
  });
}
