import type { CapacityCosts, Parts } from './capacity-costs.ts';

export type CapacityInput = {
  /** On average. */
  eventsPerSecond: number;
  /** Webhooks that match an event, on average. */
  fanout: number;
  /** Percent of deliveries whose attempts all fail. */
  failingPercent: number;
  /** FLTR_RETENTION_DAYS. */
  retentionDays: number;
  eventBytes: number;
  /** Service processes; null: as many as needed. */
  processes: number | null;
};

/** The average resources that a load needs; `ours` is the service's own database. */
export type CapacityLoad = ReturnType<typeof loadWith>;

const GIB = 2 ** 30;
const DAY_SECONDS = 86_400;

/**
 * The load with a given number of processes, or with as many as needed. More processes start more and smaller groups,
 * which cost more, so the number is found by iteration.
 */
export function loadOf(input: CapacityInput, costs: CapacityCosts): CapacityLoad {
  if (input.processes !== null) return loadWith(input, input.processes, costs);
  let processes = 1;
  for (let step = 0; step < 1000; step += 1) {
    const { processesNeeded } = loadWith(input, processes, costs);
    if (processesNeeded <= processes) break;
    processes = processesNeeded;
  }
  return loadWith(input, processes, costs);
}

function loadWith(input: CapacityInput, processes: number, costs: CapacityCosts) {
  const { eventsPerSecond, retentionDays } = input;
  const { waitsSeconds, burstGroup, utilization } = costs;
  const deliveries = eventsPerSecond * input.fanout;
  const failing = (deliveries * input.failingPercent) / 100;
  const retries = failing * waitsSeconds.length;
  // Up to `startsPerProcess`, each delivery has its own workflow. Beyond, groups form, up to `burstGroup`.
  const groups = Math.min(deliveries, Math.max(processes * costs.startsPerProcess, deliveries / burstGroup));
  const perGroup = deliveries / groups;
  // A delivery that fails in a group continues in its own workflow.
  const continued = failing * (1 - 1 / perGroup);
  const starts = groups + continued;

  const cores = partsOf((part) => {
    const { each, perWorkflow } = shareOf(part, costs);
    const cpuMs =
      deliveries * each +
      starts * (perWorkflow + costs.cpuMsToRemoveWorkflow[part]) +
      retries * costs.cpuMsPerRetry[part];
    return cpuMs / 1000;
  });
  const attempts = deliveries + retries;
  const concurrent = (attempts * costs.responseSeconds) / costs.concurrentAttemptsPerProcess;
  const processesNeeded = Math.max(
    1,
    ceil(Math.max(cores.node / costs.coresPerProcess, concurrent) / utilization),
  );

  const writes = starts * costs.writesPerWorkflow + retries * costs.writesPerRetry;
  const bodyBytes = eventsPerSecond * input.eventBytes;
  const rowBytes =
    eventsPerSecond * costs.bytesPerEvent +
    deliveries * costs.bytesPerDelivery +
    retries * costs.bytesPerRetry;
  const temporalBytes =
    starts * costs.temporalBytesPerWorkflow +
    (deliveries - groups) * costs.temporalBytesPerDelivery +
    retries * costs.temporalBytesPerRetry;
  const gib = (bytesPerSecond: number, days: number) => (bytesPerSecond * DAY_SECONDS * days) / GIB;
  const actionsPerSecond =
    groups * costs.actionsPerWorkflow +
    continued * costs.actionsPerContinued +
    retries * costs.actionsPerRetry;
  return {
    deliveriesPerSecond: deliveries,
    attemptsPerSecond: attempts,
    deliveriesPerWorkflow: perGroup,
    workflowStartsPerSecond: starts,
    waitingWorkflows: failing * waitsSeconds.reduce((sum, seconds) => sum + seconds, 0),
    historyWritesPerSecond: writes,
    historyShards: Math.max(costs.composeShards, 2 ** ceil(Math.log2(writes / costs.writesPerShard))),
    transactionsPerSecond: {
      ours:
        groups * costs.ourTransactionsPerWorkflow +
        deliveries * costs.ourTransactionsPerDelivery +
        retries * costs.ourTransactionsPerRetry,
      temporal:
        starts * (costs.temporalTransactionsPerWorkflow + costs.temporalTransactionsToRemoveWorkflow) +
        retries * costs.temporalTransactionsPerRetry,
    },
    gibPerDay: { ours: gib(bodyBytes + rowBytes, 1), temporal: gib(temporalBytes, 1) },
    gibKept: {
      ours:
        gib(rowBytes, retentionDays) + gib(bodyBytes, Math.min(retentionDays, costs.payloadRetentionDays)),
      temporal: gib(temporalBytes, costs.temporalRetentionDays),
    },
    cores,
    processesNeeded,
    webhooksNeeded: ceil((attempts * 3600) / costs.attemptsPerWebhookAndHour),
    actionsPerSecond,
    actionsPerMonth: actionsPerSecond * DAY_SECONDS * 30 + costs.actionsPerMonthOfSchedules,
  };
}

/** Interpolates between the two measured points: a delivery with its own workflow, and one in a burst. */
function shareOf(part: keyof Parts, { cpuMsAlone, cpuMsInBurst, burstGroup }: CapacityCosts) {
  const perWorkflow = (cpuMsAlone[part] - cpuMsInBurst[part]) / (1 - 1 / burstGroup);
  return { perWorkflow, each: cpuMsAlone[part] - perWorkflow };
}

function partsOf(of: (part: keyof Parts) => number): Parts {
  return { node: of('node'), temporal: of('temporal'), postgresql: of('postgresql') };
}

/** Rounds up, but ignores floating-point error. */
function ceil(value: number): number {
  return Math.ceil(value - 1e-9);
}
