import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { createCallCounts, type CountCall } from './call-counter.ts';
import { openChanges } from './db/changes.ts';
import { createPublisher } from './db/publisher.ts';
import { readReadiness } from './db/readiness.ts';
import { readWaiting } from './db/waiting.ts';
import { watchBacklog } from './dispatch/backlog.ts';
import { createSending } from './create-sending.ts';
import { developmentKeyFor } from './development-secrets.ts';
import { createEventTypes } from './event-types/catalogue.ts';
import { readEventTypesFile } from './event-types/event-types-file.ts';
import { createMetrics } from './observability/metrics.ts';
import type { MetricValues } from './observability/metrics-sum.ts';
import { listen } from './listen.ts';
import type { startOutboxes } from './outbox/outboxes.ts';
import { pooledConnections, prepareDatabase } from './prepare-database.ts';
import { requirePorts } from './require-ports.ts';
import { digestOfKey } from './security/api-keys.ts';
import {
  connectionOptions,
  createTemporal,
  isTemporalReachable,
  prepareNamespace,
} from './temporal/client.ts';
import { resolveServers } from './resolve-servers.ts';
import { createSignInToken, printedLinkSeconds, signInUrl } from './sign-in-link.ts';
import { startApi, type Life } from './start-api.ts';
import { startDelivering } from './start-delivering.ts';
import { createStops } from './stops.ts';

export type Role = 'up' | 'api' | 'worker';
export type StartOptions = {
  config: Config;
  log: Logger;
  /** Takes a line for the person who waits, for every long step. */
  report: (line: string) => void;
  /** The service cannot continue. */
  onFatal: (error: Error) => void;
};
type Options = StartOptions & {
  role: Role;
  /** Absent: this process is the whole service. */
  supervisor?: Supervisor;
};

/** The shared state of the processes of one service, which their supervisor keeps. */
export type Supervisor = {
  countCall: CountCall;
  /** The metrics of all processes. */
  readMetrics(): Promise<string>;
  /** It has started Temporal: the start waits until deliveries are made. */
  hasTemporal: boolean;
};

/** One process of the service. */
export type ServiceApp = App & {
  /** As in `/readyz`. */
  isReady(): Promise<boolean>;
  readMetrics(): Promise<MetricValues>;
  /** Stops, while another process takes the connections; `stop` makes it end sooner. */
  retire(): Promise<void>;
};

/** The service, for its caller. */
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
  /** Ends all started parts at once. */
  kill(): void;
};

/** How long a start waits for Temporal. If the connection's settings are wrong, that is known by then. */
const temporalWaitMs = 5000;
/** Waiting rows that the metrics count at most. */
const mostCounted = 100_000;

/** The event types that do not come from the database. @throws StartError */
function readOwnTypes({ FLTR_EVENT_TYPES_FILE: path, FLTR_BUILT_IN_EVENT_TYPES: hasBuiltIn }: Config) {
  return { hasBuiltIn, ofFile: path === undefined ? [] : readEventTypesFile(path, hasBuiltIn) };
}

const hasRelay = (role: Role): boolean => role !== 'api';

/** Loaded only where it is needed: a worker does without the API's code otherwise. */
async function relayOutboxes(options: Parameters<typeof startOutboxes>[0]) {
  const outboxes = await import('./outbox/outboxes.ts');
  const relays = outboxes.startOutboxes(options);
  options.metrics.watchOutboxes(relays.reports);
  return relays;
}

/** Starts the parts of a role in the order in which they need each other; stopping goes the other way. */
export async function startApp(options: Options): Promise<ServiceApp> {
  const { config, role, log, report, onFatal, supervisor } = options;
  let stopped: Promise<void> | null = null;
  const life: Life = { isReplaced: false, isStopping: false, hurry: Promise.withResolvers<void>() };
  const stops = createStops(log);
  try {
    const hasApi = role !== 'worker';
    if (!supervisor) await requirePorts(config, role);
    const ownTypes = readOwnTypes(config);
    const outboxes = hasRelay(role) ? config.FLTR_OUTBOX_URLS : [];
    const metrics = createMetrics(
      supervisor?.readMetrics,
      outboxes.map(({ name }) => name),
    );
    const servers = await resolveServers(config, role, { report, onFatal });
    const { embedded, databaseUrl, temporalAddress, temporalUiUrl } = servers;
    if (embedded) stops.push('embedded', embedded.stop);

    const { pool, secretBox } = await prepareDatabase(config, databaseUrl, log);
    stops.push('pool', () => pool.end());
    const changes = await openChanges({
      pool,
      databaseUrl,
      onError: (error) => log.warn({ err: error }, 'streams are interrupted; tried again'),
    });
    stops.later('changes', changes);
    // A worker needs none, and would end the API's where it keeps another one.
    const developmentKey = hasApi ? await developmentKeyFor(config, pool) : null;
    const keyDigest = developmentKey === null ? null : digestOfKey(developmentKey);
    const signIn =
      keyDigest && !supervisor ? await createSignInToken(pool, keyDigest, printedLinkSeconds) : null;

    const address = await connectionOptions(config, temporalAddress);
    const temporal = createTemporal(address, config.TEMPORAL_NAMESPACE);
    stops.later('temporal client', temporal.connection);
    const namespaceReady = stops.later('namespace', prepareNamespace(temporal, log));
    // It waits for Temporal without a limit. An error that waiting cannot fix ends the service.
    namespaceReady.done.catch(onFatal);
    const hasOwnTemporal = embedded?.temporalAddress !== undefined || supervisor?.hasTemporal === true;
    if (hasOwnTemporal) await namespaceReady.done;
    else if (supervisor) await Promise.race([namespaceReady.done, delay(temporalWaitMs)]);

    const sending = createSending(config, log, stops);
    const { signals, dispatcher, wakeDispatcher, wakeLines, expectScheduled } = await startDelivering({
      config,
      hasWorker: role !== 'api',
      log,
      pool,
      changes,
      sending: { ...sending, secretBox },
      metrics: metrics.delivery,
      address,
      temporal,
      namespaceReady: namespaceReady.done,
      waitsForWorker: hasOwnTemporal,
      stops,
    });

    const publisher = createPublisher(pool, {
      reserveOwners: dispatcher.reserve,
      onJoined: wakeLines,
      createsAccounts: config.FLTR_CREATE_ACCOUNTS === 'on_publish',
      onScheduled: expectScheduled,
      onAccepted: (accountId, id) => changes.mark(accountId, ['events', 'deliveries'], [id]),
    });
    const eventTypes = createEventTypes({ db: pool, ...ownTypes });
    const publishes = hasApi || outboxes.length > 0;
    const backlog = publishes
      ? stops.later('backlog', watchBacklog(pool, config.FLTR_MAX_BACKLOG, log))
      : null;
    metrics.watch({
      connections: pool,
      maxConnections: pooledConnections,
      readWaiting: () => readWaiting(pool, mostCounted),
      isTemporalReachable: () => isTemporalReachable(temporal),
      backlog: backlog && { count: backlog.count, max: config.FLTR_MAX_BACKLOG },
    });
    const relays =
      backlog && outboxes.length > 0
        ? await relayOutboxes({
            config,
            log,
            metrics,
            pool,
            publisher,
            eventTypes,
            changes,
            databaseUrl,
            wakeDispatcher,
            isFull: backlog.isFull,
          })
        : null;
    if (relays) stops.later('outboxes', relays);
    const readOutboxes = relays?.reports ?? (() => []);
    let apiUrl: string | null = null;
    if (!hasApi && config.FLTR_WORKER_PORT !== undefined) {
      const watched = {
        config,
        log,
        pool,
        temporal,
        metrics,
        readOutboxes,
        isStopping: () => life.isStopping,
      };
      const { createProbes } = await import('./api/server.ts');
      const probes = createProbes({ ...watched, needsTemporal: true });
      const wanted = { name: 'FLTR_WORKER_PORT', host: config.HOST, port: config.FLTR_WORKER_PORT } as const;
      stops.later('probes', await listen(probes, wanted));
    }
    if (hasApi && backlog) {
      apiUrl = await startApi({
        parts: {
          config,
          log,
          metrics,
          pool,
          secretBox,
          ...sending,
          temporal,
          publisher,
          eventTypes,
          wakeDispatcher,
          expectScheduled,
          signals,
          changes,
          backlog,
          readOutboxes,
          temporalUiUrl,
          countCall: supervisor?.countCall ?? createCallCounts(),
          isStopping: () => life.isStopping,
        },
        sharesPort: supervisor !== undefined,
        life,
        stops,
      });
    }
    return {
      apiUrl,
      databaseUrl,
      temporalAddress,
      temporalUiUrl,
      developmentKey,
      signInUrl: apiUrl && signIn && signInUrl(apiUrl, signIn.token),
      hasEmbedded: embedded !== null,
      isReady: async () => (await readReadiness(pool)) === 'ok',
      readMetrics: metrics.valuesOfProcess,
      stop() {
        life.isReplaced = false;
        life.hurry.resolve();
        return (stopped ??= stops.run());
      },
      retire() {
        life.isReplaced = true;
        return (stopped ??= stops.run());
      },
      kill: () => embedded?.kill(),
    };
  } catch (error) {
    await stops.run();
    throw error;
  }
}
