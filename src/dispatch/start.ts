import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { Startable } from '../db/deliveries-table.ts';
import type { SignalName, SignalRequest } from '../domain/delivery-run.ts';
import {
  signalNames,
  groupSignalName,
  type DeliverEventInput,
  type DeliverGroupInput,
  type GroupSignal,
} from '../../workflows/contract.ts';
import { deliveryStart, groupStart } from '../../workflows/delivery-start.ts';
import { isNotFound, type Caller } from '../temporal/client.ts';

export type StartDeps = {
  /** The worker's own connection where there is one: what is started on it begins in this process, at once. */
  temporal: () => Caller;
  scheduleSeconds: readonly number[];
  /** Whether the webhook's first attempts may be local activities, and share workflows. */
  mayShare: (webhookId: string) => boolean;
  onStarted: (kind: 'own' | 'group') => void;
};

function inputOf(row: Startable, { scheduleSeconds, mayShare }: StartDeps): DeliverEventInput {
  const { id: deliveryId, webhookId, attemptCount: attempts, retriesUsed, nextAttemptAt, waitReason } = row;
  const wait = nextAttemptAt && waitReason && { until: nextAttemptAt.toISOString(), reason: waitReason };
  return {
    deliveryId,
    webhookId,
    schedule: [...scheduleSeconds],
    attempts,
    retriesUsed,
    wait,
    // Its group made the first attempt, or deferred it.
    continues: wait !== null && row.runId === null,
    isFirstLocal: attempts === 0 && mayShare(webhookId),
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
  signal?: { name: SignalName; request: SignalRequest },
): Promise<string | null> {
  const caller = deps.temporal();
  const { client, isWorkers } = caller;
  const options = { ...deliveryStart(row), args: [inputOf(row, deps)] as [DeliverEventInput] };
  if (signal) {
    const handle = await caller.connection.withDeadline(deadline, () =>
      client.workflow.signalWithStart('deliverEvent', {
        ...options,
        signal: signal.name,
        signalArgs: [signal.request],
      }),
    );
    return handle.signaledRunId;
  }
  try {
    const handle = await caller.connection.withDeadline(deadline, () =>
      client.workflow.start('deliverEvent', {
        ...options,
        workflowIdReusePolicy: isFirstRun(row) ? 'REJECT_DUPLICATE' : 'ALLOW_DUPLICATE',
        requestEagerStart: isWorkers,
      }),
    );
    deps.onStarted('own');
    return handle.firstExecutionRunId;
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    await signalWorkflow(caller, deadline, row.id, signalNames.wake, { by: 'service' });
    return null;
  }
}

/** Starts a group's workflow; once: after it has ended, never again. */
export async function startGroup(
  deps: StartDeps,
  groupId: string,
  rows: readonly Startable[],
  deadline: number,
): Promise<boolean> {
  const caller = deps.temporal();
  const { client, isWorkers } = caller;
  try {
    await caller.connection.withDeadline(deadline, () =>
      client.workflow.start('deliverGroup', {
        ...groupOptions(deps, groupId, rows),
        requestEagerStart: isWorkers,
      }),
    );
    deps.onStarted('group');
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}

function groupOptions({ scheduleSeconds }: StartDeps, groupId: string, rows: readonly Startable[]) {
  const deliveries = rows.map(({ id, accountId, webhookId, eventId, eventType }) => ({
    id,
    accountId,
    webhookId,
    eventId,
    eventType,
  }));
  const input: DeliverGroupInput = { deliveries, schedule: [...scheduleSeconds] };
  return {
    ...groupStart(groupId, deliveries),
    workflowIdReusePolicy: 'REJECT_DUPLICATE' as const,
    args: [input] as [DeliverGroupInput],
  };
}

/**
 * Signals a group for one of its deliveries. One that was to be started and was not yet is started with that delivery alone.
 *
 * @returns false where the group has ended
 */
export async function signalGroup(
  deps: StartDeps,
  groupId: string,
  row: Startable,
  deadline: number,
  signal: GroupSignal,
): Promise<boolean> {
  const caller = deps.temporal();
  try {
    await caller.connection.withDeadline(deadline, () =>
      caller.client.workflow.signalWithStart('deliverGroup', {
        ...groupOptions(deps, groupId, [row]),
        signal: groupSignalName,
        signalArgs: [signal],
      }),
    );
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}

/** Signals a delivery's own workflow. False where none runs. */
export async function signalWorkflow(
  caller: Caller,
  deadline: number,
  workflowId: string,
  name: SignalName,
  request: SignalRequest,
): Promise<boolean> {
  try {
    await caller.connection.withDeadline(deadline, () =>
      caller.client.workflow.getHandle(workflowId).signal(name, request),
    );
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

/** A workflow's latest run; null: Temporal knows none. */
export async function describeWorkflow(
  caller: Caller,
  deadline: number,
  workflowId: string,
): Promise<{ status: string; runId: string } | null> {
  try {
    const { status, runId } = await caller.connection.withDeadline(deadline, () =>
      caller.client.workflow.getHandle(workflowId).describe(),
    );
    return { status: status.name, runId };
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}
