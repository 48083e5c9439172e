import {
  CancellationScope,
  ParentClosePolicy,
  allHandlersFinished,
  condition,
  defineSignal,
  getExternalWorkflowHandle,
  patched,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Activities } from '../activities/index.ts';
import { localActivityOptions } from './activity-options.ts';
import type { deliverEvent } from './deliver-event.ts';
import {
  signalNames,
  steerSignalName,
  type DeliverGroupInput,
  type DeliverGroupResult,
  type DeliveryFacts,
  type HandOver,
  type Steer,
  type Told,
} from './contract.ts';
import { staySeconds } from '../src/domain/group.ts';
import { deliveryStart } from './delivery-start.ts';

const steer = defineSignal<[Steer]>(steerSignalName);

/**
 * The first attempt of several deliveries, for a burst. Each that this does not deliver goes on in a workflow of its own,
 * which waits, retries, fails and takes signals.
 */
export async function deliverGroup(input: DeliverGroupInput): Promise<DeliverGroupResult> {
  const { deliveries, schedule } = input;
  const { startTime, workflowId } = workflowInfo();
  const told = new Map<string, Told[]>();
  const handedOver = new Set<string>();
  const started = new Set<string>();
  let isCanceled = false;
  setHandler(steer, async ({ deliveryId, name, asked }) => {
    if (!handedOver.has(deliveryId)) {
      // The sweep says so until it sees that it is done.
      if (name === signalNames.settle && told.get(deliveryId)?.some((each) => each.name === name)) return;
      const signal = { at: new Date().toISOString(), name, asked };
      told.set(deliveryId, [...(told.get(deliveryId) ?? []), signal]);
      return;
    }
    await condition(() => started.has(deliveryId));
    // Where its own workflow has ended meanwhile, the signal came too late, as it would have there.
    await getExternalWorkflowHandle(deliveryId)
      .signal(name, asked)
      .catch(() => undefined);
  });
  CancellationScope.current().cancelRequested.catch(() => {
    isCanceled = true;
  });
  /** Canceled in the Web UI: what was not delivered ends canceled, as a delivery in a workflow of its own does. */
  const signalsOf = (deliveryId: string): Told[] => [
    ...(told.get(deliveryId) ?? []),
    ...(isCanceled
      ? [{ at: new Date().toISOString(), name: signalNames.cancel, asked: { by: 'temporal' } }]
      : []),
  ];

  /** The child's run; null where another one has the delivery. */
  const handOver = async (delivery: DeliveryFacts, result: HandOver['result']): Promise<string | null> => {
    const { id: deliveryId, webhookId } = delivery;
    handedOver.add(deliveryId);
    try {
      const child = await startChild<typeof deliverEvent>('deliverEvent', {
        ...deliveryStart(delivery),
        // One that was started before, by somebody who could not wait, has the delivery.
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        parentClosePolicy: ParentClosePolicy.ABANDON,
        args: [
          {
            deliveryId,
            webhookId,
            schedule,
            attemptsBefore: 0,
            retriesBefore: 0,
            isRelease: (input.releasedIds ?? []).includes(deliveryId),
            handOver: { result, signals: signalsOf(deliveryId) },
          },
        ],
      });
      return child.firstExecutionRunId;
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return null;
      throw error;
    }
  };

  return CancellationScope.nonCancellable(async () => {
    const { attemptGroup } = proxyLocalActivities<Activities>({
      ...localActivityOptions,
      summary: `first attempts of ${deliveries.length} deliveries`,
    });
    const attempts = await attemptGroup({
      deliveries: deliveries.map(({ id, webhookId }) => ({ id, webhookId })),
      releasedIds: input.releasedIds ?? [],
      scheduledSeconds: schedule[0] ?? null,
      startedAt: startTime.toISOString(),
    });
    const results = new Map(attempts.map(({ deliveryId, result }) => [deliveryId, result]));
    const open = deliveries.flatMap((delivery) => {
      const result = results.get(delivery.id);
      return result === undefined || result?.next === 'end' || result?.next === 'stop'
        ? []
        : [{ delivery, result, stay: staySeconds(result?.next === 'wait' ? result.seconds : null) }];
    });
    const isPatient = open.some(({ stay }) => stay > 0) && patched('stay-in-the-group');
    const later = isPatient ? open.filter(({ stay }) => stay > 0) : [];
    const handOverAll = async (all: typeof open): Promise<void> => {
      if (all.length === 0) return;
      const runs = await Promise.all(
        all.map(async ({ delivery, result }) => ({
          deliveryId: delivery.id,
          runId: await handOver(delivery, result),
        })),
      );
      for (const { deliveryId } of runs) started.add(deliveryId);
      const { markHandedOver } = proxyLocalActivities<Activities>({
        ...localActivityOptions,
        summary: `${runs.length} go on in workflows of their own`,
      });
      await markHandedOver({
        groupId: workflowId,
        runs: runs.filter((run) => run.runId !== null) as { deliveryId: string; runId: string }[],
      });
    };
    await handOverAll(open.filter((each) => !later.includes(each)));
    if (later.length > 0) {
      const seconds = Math.min(...later.map(({ stay }) => stay));
      // Whoever steers one of them need not wait.
      const isAsked = () => isCanceled || later.some(({ delivery }) => told.has(delivery.id));
      await condition(isAsked, seconds * 1000, { summary: `${later.length} wait for a retry` });
      await handOverAll(later);
    }
    await condition(allHandlersFinished);
    const delivered = attempts.filter(({ result }) => result?.next === 'end').length;
    if (open.length > 0)
      setCurrentDetails(`${delivered} delivered, ${open.length} go on in workflows of their own`);
    return { delivered, handedOver: open.length, left: attempts.length - delivered - open.length };
  });
}
