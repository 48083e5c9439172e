import type { Logger } from 'pino';
import type { Config } from './config.ts';
import type { MarkChanges } from './db/changes.ts';
import type { Pool } from './db/pool.ts';
import { createPermits } from './delivery/permits.ts';
import type { SendDeps } from './delivery/signed-request.ts';
import { grantMs } from './domain/hourly-cap.ts';
import { startAdvancingLines } from './dispatch/advance-lines.ts';
import { startDeletionReconciler } from './dispatch/account-deletion.ts';
import { createDispatcher, type Dispatcher } from './dispatch/dispatcher.ts';
import { startFailureDigests } from './dispatch/failure-digests.ts';
import { createFirstAttempts } from './dispatch/first-attempts.ts';
import { startReconciler, type Reconciler } from './dispatch/reconcile.ts';
import { startOperationReconciler } from './dispatch/operation-workflow.ts';
import { startScheduledLoops } from './dispatch/scheduled.ts';
import { startHealthChecks } from './dispatch/webhook-health.ts';
import { signalOwner, type SignalDeps } from './dispatch/signal.ts';
import { createAttemptReporter } from './observability/attempt-reporter.ts';
import type { Metrics } from './observability/metrics.ts';
import type { Stops } from './stops.ts';
import type { Temporal, TemporalAddress } from './temporal/client.ts';
import { keepSchedules, schedulesOf } from './temporal/schedules.ts';
import type { RunningWorker } from './temporal/worker.ts';

type Options = {
  config: Config;
  /** Whether this process makes attempts; without a worker, it only starts workflows. */
  hasWorker: boolean;
  log: Logger;
  pool: Pool;
  changes: MarkChanges;
  sending: SendDeps;
  metrics: Metrics['delivery'];
  address: TemporalAddress;
  temporal: Temporal;
  /** Resolves when Temporal's namespace can be used. */
  namespaceReady: Promise<void>;
  /** Whether this call waits until the worker polls for work. */
  waitsForWorker: boolean;
  stops: Stops;
};

/** Starts the parts that make workflows and attempts of accepted deliveries: worker, schedules, dispatcher and reconcilers. */
export async function startDelivering(options: Options) {
  const { config, hasWorker, log, pool, changes, sending } = options;
  const { metrics, address, temporal, namespaceReady, waitsForWorker, stops } = options;
  const permits = createPermits();
  const firstAttempts = createFirstAttempts();
  const limits = { cap: config.FLTR_DELIVERIES_PER_HOUR, grantMs: grantMs(config.FLTR_ATTEMPT_TIMEOUT_MS) };
  let worker: RunningWorker | null = null;
  let dispatcher: Dispatcher | null = null;
  let reconciler: Reconciler | null = null;
  let lines: ReturnType<typeof startAdvancingLines> | null = null;
  const wakeLines = () => lines?.wake();
  // Who writes rows does not know which of them wait for others.
  const wakeDispatcher = () => (dispatcher?.wake(), wakeLines());
  const wakeStarts = () => reconciler?.wakeStarts();
  const signals: SignalDeps = {
    pool,
    temporal: () => worker?.caller() ?? temporal,
    scheduleSeconds: config.FLTR_RETRY_SCHEDULE_SECONDS,
    mayShare: permits.mayShare,
    onStarted: metrics.started,
    wakeLines,
  };
  if (hasWorker) {
    // Loaded only where it is needed: it takes a third of a second.
    const { installRuntime, startWorker } = await import('./temporal/worker.ts');
    installRuntime(log, config.FLTR_TEMPORAL_METRICS_ADDRESS?.text);
    worker = startWorker({
      address,
      namespace: config.TEMPORAL_NAMESPACE,
      ready: namespaceReady,
      maxCachedWorkflows: config.FLTR_MAX_CACHED_WORKFLOWS,
      hasStackTraces: config.FLTR_WORKFLOW_STACK_TRACES ?? config.FLTR_ENV !== 'production',
      activities: {
        pool,
        ...sending,
        permits,
        changes,
        onAttempt: attemptReporter(options, wakeLines),
        onDeferred: metrics.deferred,
        onDisabled: metrics.disabled,
        onExpired: metrics.expired,
        onFirstAttempts: firstAttempts.sent,
        limits,
        scheduleSeconds: config.FLTR_RETRY_SCHEDULE_SECONDS,
        minEndedToDisable: config.FLTR_AUTO_DISABLE_MIN_DELIVERIES,
        wakeDispatcher,
        wakeStarts,
        signals,
        passOnSignal: ({ deliveryId, ...signal }) => signalOwner(signals, deliveryId, signal),
        retention: { payloadDays: config.FLTR_PAYLOAD_RETENTION_DAYS, days: config.FLTR_RETENTION_DAYS },
      },
      log,
    });
    stops.later('worker', worker);
    if (waitsForWorker) await worker.ready;
    startSchedules(options);
  }
  dispatcher = createDispatcher({
    ...signals,
    log,
    deliveriesPerWorkflow: config.FLTR_DELIVERIES_PER_WORKFLOW,
    firstAttempts,
    onQueued: wakeStarts,
  });
  reconciler = startReconciler({
    ...signals,
    log,
    limits,
    wakeDispatcher,
    giveWay: dispatcher.giveWay,
    metrics,
    touch: changes.touch,
  });
  lines = stops.later('lines', startAdvancingLines({ pool, log, changes, wakeDispatcher: dispatcher.wake }));
  stops.push(
    'dispatcher and reconciler',
    // Side by side, because each waits for its calls to Temporal, which may be away.
    async () => void (await Promise.all([dispatcher?.close(), reconciler?.close()])),
  );
  startLoops(options, wakeDispatcher);
  const expectScheduled = startScheduled(options, { wakeDispatcher, wakeLines });
  return { signals, dispatcher, wakeDispatcher, wakeLines, expectScheduled };
}

function startSchedules({ config, log, temporal, namespaceReady, stops }: Options): void {
  const wanted = schedulesOf(config.FLTR_AUTO_DISABLE_EVERY_SECONDS);
  const onError = (error: unknown) =>
    log.warn({ err: error }, 'the schedules could not be made; tried again');
  stops.later('schedules', keepSchedules(temporal, namespaceReady, wanted, onError));
}

/** Returns the function to call when deliveries for a time were committed. */
function startScheduled(
  { pool, log, changes, metrics, stops }: Options,
  wakes: { wakeDispatcher: () => void; wakeLines: () => void },
): (at: Date) => void {
  const scheduled = startScheduledLoops({ pool, log, ...wakes, touch: changes.touch, metrics });
  stops.later('scheduled deliveries', scheduled);
  return scheduled.expect;
}

/** Counts and logs attempts, and reports their changes on the stream. */
function attemptReporter({ metrics, log, changes }: Options, wakeLines: () => void) {
  const report = createAttemptReporter(metrics, log);
  type Made = Parameters<typeof report>[0];
  return (made: Made & { context: { isInLine: boolean } }) => {
    report(made);
    const { accountId, deliveryId, eventId, isInLine } = made.context;
    if (isInLine && made.row.outcome !== 'retry') wakeLines();
    changes.mark(accountId, ['deliveries'], [deliveryId, eventId]);
  };
}

/** The loops of every process beside deliveries. */
function startLoops({ pool, changes, temporal, log, stops }: Options, wakeDispatcher: () => void): void {
  stops.later('operations', startOperationReconciler({ pool, temporal, log }));
  stops.later('deletions of accounts', startDeletionReconciler({ pool, temporal, log }));
  stops.later('failure digests', startFailureDigests({ pool, log, wakeDispatcher, mark: changes.mark }));
  stops.later('health checks', startHealthChecks({ pool, log, wakeDispatcher, touch: changes.touch }));
}
