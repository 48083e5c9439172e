import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { childEnvironment, type Config } from './config.ts';
import { createCallCounts, type CountCall } from './call-counter.ts';
import { createPublisher } from './db/publisher.ts';
import { readReadiness } from './db/readiness.ts';
import { readWaiting } from './db/waiting.ts';
import { createPermits } from './delivery/permits.ts';
import { grantMs } from './domain/hourly-cap.ts';
import type { Deps } from './deps.ts';
import { watchBacklog } from './dispatch/backlog.ts';
import { createDispatcher, type Dispatcher } from './dispatch/dispatcher.ts';
import { createFirstAttempts } from './dispatch/first-attempts.ts';
import { startReconciler, type Reconciler } from './dispatch/reconcile.ts';
import { startFailureDigests } from './dispatch/failure-digests.ts';
import { startRecoveryReconciler } from './dispatch/recovery-workflow.ts';
import { signalOwner, type SignalDeps } from './dispatch/signal.ts';
import { developmentKeyFor } from './development-secrets.ts';
import { startEmbedded, type Embedded } from './embedded/embedded.ts';
import { StartError } from './errors.ts';
import { createMetrics } from './observability/metrics.ts';
import type { MetricValues } from './observability/metrics-sum.ts';
import { createAttemptReporter } from './observability/attempt-reporter.ts';
import { listen } from './listen.ts';
import { createAddressGuard } from './outbound/address-guard.ts';
import { createSender } from './outbound/sender.ts';
import { maxConnections, prepareDatabase } from './prepare-database.ts';
import { portOf, requirePorts } from './require-ports.ts';
import { digestOfKey } from './security/api-keys.ts';
import { createSignIn } from './security/sign-in.ts';
import {
  connectionOptions,
  createTemporal,
  isTemporalReachable,
  prepareNamespace,
} from './temporal/client.ts';
import { keepSchedules, schedulesOf } from './temporal/schedules.ts';
import type { RunningWorker } from './temporal/worker.ts';
import { maxConcurrentAttempts } from './temporal/worker-tuning.ts';
import { createStops } from './stops.ts';
import { searchAttributes } from '../workflows/contract.ts';

export type Role = 'up' | 'api' | 'worker';
type Options = {
  config: Config;
  role: Role;
  log: Logger;
  /** Takes a line for the person who waits, for every long step. */
  report: (line: string) => void;
  /** The service cannot go on. */
  onFatal: (error: Error) => void;
  /** Absent: this process is the whole service. */
  supervisor?: Supervisor;
};

/** What the processes of one service have in common; their supervisor keeps it. */
export type Supervisor = {
  countCall: CountCall;
  /** Whether it is the token of the sign-in link, which is valid once. */
  redeem(token: string): Promise<boolean>;
  /** The metrics of all processes. */
  readMetrics(): Promise<string>;
  /** It has started Temporal: the start waits until deliveries are made. */
  hasTemporal: boolean;
};

/** One process of the service. */
export type ServiceApp = App & {
  /** As `/readyz` says. */
  isReady(): Promise<boolean>;
  readMetrics(): Promise<MetricValues>;
  /** Stops, while another process takes the connections; `stop` makes it end sooner. */
  retire(): Promise<void>;
};

/** The service, as whoever started it sees it. */
export type App = {
  apiUrl: string | null;
  databaseUrl: string;
  temporalAddress: string;
  temporalUiUrl: string | null;
  /** Development only. */
  developmentKey: string | null;
  /** Signs the dashboard in, once; development only. */
  signInUrl: string | null;
  /** Whether it keeps anything in the data folder: else that may be read-only. */
  hasEmbedded: boolean;
  stop(): Promise<void>;
  /** Ends what was started, at once. */
  kill(): void;
};

/** How long a start waits for Temporal. If the connection's settings are wrong, that is known by then. */
const temporalWaitMs = 5000;
/** Of a connection, where several processes share the port: afterwards another process may take its requests. */
const maxAgeMs = 60_000;
/** Rows of what waits that the metrics look at. */
const mostCounted = 100_000;

/** Starts the parts of a role in the order in which they need each other; stopping goes the other way. */
export async function startApp(options: Options): Promise<ServiceApp> {
  const { config, role, log, report, onFatal, supervisor } = options;
  let embedded: Embedded | null = null;
  let stopped: Promise<void> | null = null;
  let isReplaced = false;
  const hurry = Promise.withResolvers<void>();
  const { stops, stopLater, stop } = createStops(log);
  try {
    const hasApi = role !== 'worker';
    if (!supervisor) await requirePorts(config, role);
    const metrics = createMetrics(supervisor?.readMetrics);
    const needsPostgres = config.DATABASE_URL === undefined;
    const needsTemporal = config.TEMPORAL_ADDRESS === undefined;
    if (role === 'up' && (needsPostgres || needsTemporal)) {
      embedded = await startEmbedded({
        dataDir: resolve(config.FLTR_DATA_DIR),
        env: childEnvironment(),
        needsPostgres,
        needsTemporal,
        namespace: config.TEMPORAL_NAMESPACE,
        searchAttributes,
        report,
        onFatal,
      });
      stops.push({ name: 'embedded', stop: embedded.stop });
    }
    const databaseUrl = config.DATABASE_URL ?? embedded?.databaseUrl;
    const temporalAddress = config.TEMPORAL_ADDRESS ?? embedded?.temporalAddress;
    if (!databaseUrl || !temporalAddress) {
      throw new StartError(
        `\`${role}\` needs DATABASE_URL and TEMPORAL_ADDRESS. \`up\` starts both by itself where they are not set.`,
      );
    }
    const temporalUiUrl = config.TEMPORAL_UI_URL ?? embedded?.temporalUiUrl ?? null;

    const { pool, secretBox } = await prepareDatabase(config, databaseUrl, log);
    stops.push({ name: 'pool', stop: () => pool.end() });
    // A worker needs none, and would end the API's where it keeps another one.
    const developmentKey = hasApi ? await developmentKeyFor(config, pool) : null;
    const keyDigest = developmentKey === null ? null : digestOfKey(developmentKey);
    const ownSignIn = keyDigest && !supervisor ? createSignIn(keyDigest) : null;
    const redeem = async (token: string) => ((await supervisor?.redeem(token)) ? keyDigest : null);

    const address = await connectionOptions(config, temporalAddress);
    const temporal = createTemporal(address, config.TEMPORAL_NAMESPACE);
    stopLater('temporal client', temporal.connection);
    const namespaceReady = stopLater('namespace', prepareNamespace(temporal, log));
    // It waits for Temporal as long as it takes; what it cannot mend by waiting ends the service.
    namespaceReady.done.catch(onFatal);
    const hasOwnTemporal = embedded?.temporalAddress !== undefined || supervisor?.hasTemporal === true;
    if (hasOwnTemporal) await namespaceReady.done;
    else if (supervisor) await Promise.race([namespaceReady.done, delay(temporalWaitMs)]);

    const guard = createAddressGuard({
      production: config.FLTR_ENV === 'production',
      allowedCidrs: config.FLTR_ALLOWED_CIDRS,
    });
    // An account may have half of an origin's connections: as many as attempts can be under way.
    const sender = createSender({
      guard,
      timeoutMs: config.FLTR_ATTEMPT_TIMEOUT_MS,
      connectionsPerOrigin: 2 * maxConcurrentAttempts,
    });
    stopLater('sender', sender);

    const scheduleSeconds = config.FLTR_RETRY_SCHEDULE_SECONDS;
    const permits = createPermits();
    const firstAttempts = createFirstAttempts();
    const limits = {
      cap: config.FLTR_DELIVERIES_PER_HOUR,
      grantMs: grantMs(config.FLTR_ATTEMPT_TIMEOUT_MS),
    };
    let worker: RunningWorker | null = null;
    let dispatcher: Dispatcher | null = null;
    let reconciler: Reconciler | null = null;
    const wakeDispatcher = () => dispatcher?.wake();
    const wakeStarts = () => reconciler?.wakeStarts();
    const signals: SignalDeps = {
      pool,
      temporal: () => worker?.caller() ?? temporal,
      scheduleSeconds,
      mayShare: permits.mayShare,
      onStarted: metrics.delivery.started,
    };
    if (role !== 'api') {
      // Loaded here, as the API below, because it takes a third of a second.
      const { installRuntime, startWorker } = await import('./temporal/worker.ts');
      installRuntime(log, config.FLTR_TEMPORAL_METRICS_ADDRESS?.text);
      worker = startWorker({
        address,
        namespace: config.TEMPORAL_NAMESPACE,
        ready: namespaceReady.done,
        maxCachedWorkflows: config.FLTR_MAX_CACHED_WORKFLOWS,
        hasStackTraces: config.FLTR_WORKFLOW_STACK_TRACES ?? config.FLTR_ENV !== 'production',
        activities: {
          pool,
          sender,
          secretBox,
          permits,
          onAttempt: createAttemptReporter(metrics.delivery, log),
          onDeferred: metrics.delivery.deferred,
          onDisabled: metrics.delivery.disabled,
          onFirstAttempts: firstAttempts.made,
          limits,
          minEndedToDisable: config.FLTR_AUTO_DISABLE_MIN_DELIVERIES,
          wakeDispatcher,
          wakeStarts,
          passOnSignal: ({ deliveryId, ...signal }) => signalOwner(signals, deliveryId, signal),
          retention: { payloadDays: config.FLTR_PAYLOAD_RETENTION_DAYS, days: config.FLTR_RETENTION_DAYS },
        },
        log,
      });
      stopLater('worker', worker);
      if (hasOwnTemporal) await worker.ready;
      const wanted = schedulesOf(config.FLTR_AUTO_DISABLE_EVERY_SECONDS);
      const onError = (error: unknown) =>
        log.warn({ err: error }, 'the schedules could not be made; tried again');
      stopLater('schedules', keepSchedules(temporal, namespaceReady.done, wanted, onError));
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
      wakeDispatcher: dispatcher.wake,
      metrics: metrics.delivery,
    });
    stops.push({
      name: 'dispatcher and reconciler',
      // Side by side, because each waits for its calls to Temporal, which may be away.
      stop: async () => void (await Promise.all([dispatcher?.close(), reconciler?.close()])),
    });
    stopLater('recoveries', startRecoveryReconciler({ pool, temporal, log }));
    stopLater('failure digests', startFailureDigests({ pool, log, wakeDispatcher }));

    const backlog = hasApi ? stopLater('backlog', watchBacklog(pool, config.FLTR_MAX_BACKLOG, log)) : null;
    metrics.watch({
      connections: pool,
      maxConnections,
      readWaiting: () => readWaiting(pool, mostCounted),
      isTemporalReachable: () => isTemporalReachable(temporal),
      backlog: backlog && { count: backlog.count, max: config.FLTR_MAX_BACKLOG },
    });
    let apiUrl: string | null = null;
    let isStopping = false;
    if (!hasApi && config.FLTR_WORKER_PORT !== undefined) {
      const watched = { config, log, pool, temporal, metrics, isStopping: () => isStopping };
      const { createProbes } = await import('./api/server.ts');
      const probes = createProbes({ ...watched, needsTemporal: true });
      const wanted = { name: 'FLTR_WORKER_PORT', host: config.HOST, port: config.FLTR_WORKER_PORT } as const;
      stopLater('probes', await listen(probes, wanted));
    }
    if (backlog) {
      const { createApi } = await import('./api/server.ts');
      const deps: Deps = {
        config,
        log,
        metrics,
        pool,
        secretBox,
        guard,
        sender,
        temporal,
        publisher: createPublisher(pool, dispatcher.reserve),
        wakeDispatcher,
        signals,
        backlog,
        temporalUiUrl,
        signIn: supervisor ? { redeem } : ownSignIn,
        countCall: supervisor?.countCall ?? createCallCounts(),
        isStopping: () => isStopping,
      };
      const wanted = { name: 'PORT', host: config.HOST, port: config.PORT } as const;
      const server = await listen(createApi(deps), { ...wanted, ...(supervisor && { maxAgeMs }) });
      stops.push({
        name: 'api',
        async stop() {
          if (isReplaced) await Promise.race([server.drain(), hurry.promise]);
          isStopping = !isReplaced;
          // Load balancers that ask whether it is ready send their requests elsewhere by then.
          if (isStopping) await delay(config.FLTR_DRAIN_SECONDS * 1000);
          await server.close();
        },
      });
      apiUrl = `http://${portOf({ host: config.HOST, port: server.port }, 1).text}`;
    }
    return {
      apiUrl,
      databaseUrl,
      temporalAddress,
      temporalUiUrl,
      developmentKey,
      signInUrl: apiUrl && ownSignIn && `${apiUrl}/sign-in#token=${ownSignIn.token}`,
      hasEmbedded: embedded !== null,
      isReady: async () => (await readReadiness(pool)) === 'ok',
      readMetrics: metrics.valuesOfProcess,
      stop() {
        isReplaced = false;
        hurry.resolve();
        return (stopped ??= stop());
      },
      retire() {
        isReplaced = true;
        return (stopped ??= stop());
      },
      kill: () => embedded?.kill(),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
