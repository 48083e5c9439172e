import {
  CancellationScope,
  ParentClosePolicy,
  defineSignal,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Activities } from '../activities/activities.ts';
import { activityOptions, localActivityOptions } from './activity-options.ts';
import {
  groupSignalName,
  signalNames,
  type DeliverGroupInput,
  type DeliverGroupResult,
  type DeliveryFacts,
  type GroupSignal,
} from './contract.ts';
import type { deliverEvent } from './deliver-event.ts';
import { deliveryStart } from './delivery-start.ts';

const groupSignal = defineSignal<[GroupSignal]>(groupSignalName);

/**
 * The first attempt of several deliveries, for a burst. One that this does not deliver continues in a workflow of its own,
 * unless it waits without one: one that failed is shown by a child, which fails; all others are started by the dispatcher. Signals that came for them
 * meanwhile are passed on.
 */
export async function deliverGroup({ deliveries, schedule }: DeliverGroupInput): Promise<DeliverGroupResult> {
  const { startTime } = workflowInfo();
  const signals: GroupSignal[] = [];
  setHandler(groupSignal, (signal) => void signals.push(signal));
  let isCanceled = false;
  CancellationScope.current().cancelRequested.catch(() => {
    isCanceled = true;
  });
  return CancellationScope.nonCancellable(async () => {
    const { attemptGroup } = proxyLocalActivities<Activities>({
      ...localActivityOptions,
      summary: `first attempts of ${deliveries.length} deliveries`,
    });
    const attempts = await attemptGroup({
      deliveries,
      scheduledSeconds: schedule[0] ?? null,
      startedAt: startTime.toISOString(),
    });
    const failed = attempts.flatMap((each) => each.failed ?? []);
    await Promise.all(failed.map((each) => showFailed(each, schedule)));
    const others = attempts.filter(({ result }) => result?.next !== 'end');
    // Canceled in the Web UI: so is each delivery that it did not deliver.
    if (isCanceled)
      for (const { deliveryId } of others)
        signals.push({ deliveryId, name: signalNames.cancel, request: { by: 'temporal' } });
    while (signals.length > 0) {
      const { passOnSignals } = proxyActivities<Activities>({
        ...activityOptions,
        summary: 'pass on signals',
      });
      await passOnSignals({ signals: signals.splice(0) });
    }
    const delivered = attempts.length - others.length;
    if (others.length > 0) setCurrentDetails(`${delivered} delivered, ${others.length} not yet`);
    return { delivered, others: others.length };
  });
}

/** The attempt is recorded: the child reads it, and ends as any failed delivery does. */
async function showFailed(delivery: DeliveryFacts, setting: number[]): Promise<void> {
  const { id: deliveryId, webhookId } = delivery;
  const schedule = delivery.schedule ?? setting;
  const counts = { attempts: 0, retriesUsed: 0 };
  try {
    await startChild<typeof deliverEvent>('deliverEvent', {
      ...deliveryStart(delivery),
      // One that runs already was started for a retry.
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      parentClosePolicy: ParentClosePolicy.ABANDON,
      args: [{ deliveryId, webhookId, schedule, ...counts, wait: null, continues: true, isFirstLocal: true }],
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}
