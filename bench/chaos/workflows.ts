import { setTimeout as delay } from 'node:timers/promises';
import { createTemporal, within, type Temporal } from '../../src/temporal/client.ts';
import type { World } from './world.ts';

/** One run of a workflow, and the deliveries that it was started for. */
export type WorkflowRun = {
  workflowId: string;
  runId: string;
  isRunning: boolean;
  deliveryIds: readonly string[];
  historyLength: number;
};

const attribute = 'FltrDelivery';
/** The list lags a little behind. */
const mostReads = 100;

/** Every run of a delivery's workflow, once all are over except those of waiting deliveries. */
export async function readWorkflows(
  { servers, namespace }: Pick<World, 'servers' | 'namespace'>,
  attempted: ReadonlySet<string>,
  waiting: ReadonlySet<string>,
): Promise<WorkflowRun[]> {
  const temporal = createTemporal({ address: servers.temporalAddress, tls: false }, namespace);
  try {
    let last = -1;
    for (let reads = 1; ; reads += 1) {
      const runs = await list(temporal);
      const seen = new Set(runs.flatMap(({ deliveryIds }) => deliveryIds));
      const isOver = runs.every((run) => !run.isRunning || run.deliveryIds.some((id) => waiting.has(id)));
      const isWhole = isOver && runs.length === last && [...attempted].every((id) => seen.has(id));
      if (isWhole || reads === mostReads) return await withLengths(temporal, runs);
      last = runs.length;
      await delay(200);
    }
  } finally {
    await temporal.connection.close();
  }
}

/** The runs that have not ended, as far as the list knows. */
export async function readRunning({
  servers,
  namespace,
}: Pick<World, 'servers' | 'namespace'>): Promise<WorkflowRun[]> {
  const temporal = createTemporal({ address: servers.temporalAddress, tls: false }, namespace);
  try {
    return await list(temporal, ` and ExecutionStatus = 'Running'`);
  } finally {
    await temporal.connection.close();
  }
}

async function list(temporal: Temporal, more = ''): Promise<WorkflowRun[]> {
  const runs: WorkflowRun[] = [];
  for await (const info of temporal.client.workflow.list({ query: `${attribute} is not null${more}` })) {
    const value: unknown = info.searchAttributes[attribute];
    runs.push({
      workflowId: info.workflowId,
      runId: info.runId,
      isRunning: info.status.name === 'RUNNING',
      deliveryIds: Array.isArray(value) ? value.map(String) : [],
      historyLength: info.historyLength,
    });
  }
  return runs;
}

/** The list knows a history's length only once the run has ended. */
async function withLengths(temporal: Temporal, runs: readonly WorkflowRun[]): Promise<WorkflowRun[]> {
  return Promise.all(
    runs.map(async (run) => {
      if (!run.isRunning) return run;
      const { historyLength, status } = await within(temporal, 10_000, () =>
        temporal.client.workflow.getHandle(run.workflowId, run.runId).describe(),
      );
      return { ...run, historyLength, isRunning: status.name === 'RUNNING' };
    }),
  );
}
