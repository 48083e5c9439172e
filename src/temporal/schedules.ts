import { ScheduleAlreadyRunning, ScheduleOverlapPolicy } from '@temporalio/client';
import { every, type Loop } from '../every.ts';
import { taskQueue } from '../../workflows/contract.ts';
import { within, type Temporal } from './client.ts';

export type ScheduleDefinition = {
  /** The schedule's id, one a namespace, and the id of the workflow that it runs. */
  id: string;
  workflowType: string;
  args: unknown[];
  everySeconds: number;
};

const timeoutMs = 10_000;

/** The schedules that the service keeps. */
export function schedulesOf(autoDisableEverySeconds: number): ScheduleDefinition[] {
  return [
    {
      id: 'evaluate-auto-disable',
      workflowType: 'evaluateAutoDisable',
      args: [],
      everySeconds: autoDisableEverySeconds,
    },
    // Old rows are removed a few at a time.
    {
      id: 'remove-old-rows',
      workflowType: 'removeOldRows',
      args: [{ step: null, removed: 0 }],
      everySeconds: 3600,
    },
  ];
}

/**
 * Creates each schedule, or updates it. A run that is due while the one before is still running is skipped.
 * Safe when several processes start at once.
 */
export async function ensureSchedules(
  temporal: Temporal,
  schedules: readonly ScheduleDefinition[],
): Promise<void> {
  const { schedule: client } = temporal.client;
  for (const { id: scheduleId, workflowType, args, everySeconds } of schedules) {
    const wanted = {
      spec: { intervals: [{ every: everySeconds * 1000 }] },
      action: { type: 'startWorkflow' as const, workflowType, workflowId: scheduleId, taskQueue, args },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: 60_000 },
    };
    try {
      await within(temporal, timeoutMs, () => client.create({ scheduleId, ...wanted }));
    } catch (error) {
      if (!(error instanceof ScheduleAlreadyRunning)) throw error;
      await within(temporal, timeoutMs, () =>
        client.getHandle(scheduleId).update((before) => ({ ...before, ...wanted, state: before.state })),
      );
    }
  }
}

/** Does so as soon as Temporal is there: it may be away at the start. */
export function keepSchedules(
  temporal: Temporal,
  ready: Promise<void>,
  schedules: readonly ScheduleDefinition[],
  onFault: (error: unknown) => void,
): Pick<Loop, 'close'> {
  return every(
    5000,
    async () => {
      await ensureSchedules(temporal, schedules);
      return 'done';
    },
    onFault,
    { after: ready, maxPauseMs: 5000 },
  );
}
