import { Client } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker, type LogLevel } from '@temporalio/worker';
import type { Logger } from 'pino';
import { createActivities, type ActivityDeps } from '../../activities/activities.ts';
import { every } from '../every.ts';
import { taskQueue } from '../../workflows/contract.ts';
import { readWorkflowBundle } from './bundle-workflows.ts';
import type { Caller, TemporalAddress } from './client.ts';
import { workerTuning } from './worker-tuning.ts';

export type RunningWorker = ReturnType<typeof startWorker>;

type Options = {
  address: TemporalAddress;
  namespace: string;
  /** The namespace knows our search attributes: before that, no workflow can be started. */
  ready: Promise<void>;
  activities: ActivityDeps;
  /** At least twice the workflows that can be under way: an evicted one must read its history again. */
  maxCachedWorkflows: number;
  /** Of errors inside workflows. */
  hasStackTraces: boolean;
  log: Logger;
};

const prometheusAt = (bindAddress: string) => ({
  bindAddress,
  countersTotalSuffix: true,
  unitSuffix: true,
  useSecondsForDurations: true,
});

let isRuntimeInstalled = false;

/**
 * Once a process, before its first worker: Temporal's own signal handlers stay off, for the service stops its parts itself
 * and in order. The SDK's metrics are open at `metricsAddress`, with the suffixes and units of Prometheus' names.
 */
export function installRuntime(log: Logger, metricsAddress: string | undefined): void {
  if (isRuntimeInstalled) return;
  isRuntimeInstalled = true;
  const levels: Record<LogLevel, 'trace' | 'debug' | 'info' | 'warn' | 'error'> = {
    TRACE: 'trace',
    DEBUG: 'debug',
    // The SDK logs each poller's start and stop as info.
    INFO: 'debug',
    WARN: 'warn',
    ERROR: 'error',
  };
  // A delivery that failed is a failed workflow, and a first attempt that takes long a long task: the receiver's doing.
  const isUsual = /^Workflow failed|TMPRL1104/;
  Runtime.install({
    shutdownSignals: [],
    telemetryOptions: {
      logging: { filter: { core: 'WARN', other: 'WARN' }, forward: {} },
      ...(metricsAddress === undefined ? {} : { metrics: { prometheus: prometheusAt(metricsAddress) } }),
    },
    logger: new DefaultLogger('INFO', ({ level, message, meta }) =>
      log[isUsual.test(message) ? 'debug' : levels[level]]({ temporal: meta }, message),
    ),
  });
}

/** A worker that connects as soon as Temporal is there, and again whenever it stopped by itself. */
export function startWorker(options: Options) {
  const { address, namespace, ready, maxCachedWorkflows, log } = options;
  let isClosing = false;
  let worker: Worker | null = null;
  let caller: Caller | null = null;
  const { promise: firstReady, resolve: markReady } = Promise.withResolvers<void>();

  const runOnce = async (): Promise<void> => {
    const connection = await NativeConnection.connect(address);
    try {
      const created = await Worker.create({
        connection,
        namespace,
        taskQueue,
        workflowBundle: await readWorkflowBundle(options.hasStackTraces),
        activities: createActivities(options.activities),
        ...workerTuning,
        maxCachedWorkflows,
      });
      worker = created;
      const run = created.run();
      caller = { client: new Client({ connection, namespace }), connection, isWorkers: true };
      markReady();
      // Closed while it was being made: only a worker that ran can be shut down.
      if (isClosing) created.shutdown();
      await run;
    } finally {
      worker = null;
      caller = null;
      await connection.close();
    }
  };
  const loop = every(
    2000,
    async () => {
      await runOnce();
      return true;
    },
    (error) => log.warn({ err: error }, 'the worker cannot connect to Temporal; it tries again in 2 s'),
    { after: ready, maxPauseMs: 2000 },
  );
  return {
    /** Resolves when it first polls for work. */
    ready: firstReady,
    /** The connection of the worker, for starting workflows that this process runs; null while it has none. */
    caller: () => caller,
    /** Lets the attempts under way end, within the grace time; others are attempted again by another process. */
    async close(): Promise<void> {
      isClosing = true;
      const closed = loop.close();
      if (worker?.getState() === 'RUNNING') worker.shutdown();
      await closed;
    },
  };
}
