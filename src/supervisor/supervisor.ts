import type { Logger } from 'pino';
import type { App, StartOptions } from '../app.ts';
import { createCallCounts, type CallWindow, type CountedCall } from '../call-counter.ts';
import type { Config } from '../config.ts';
import { readConnectionLimit } from '../db/connection-limit.ts';
import { developmentKeyFor } from '../development-secrets.ts';
import type { Embedded } from '../embedded/embedded.ts';
import { choosePort } from '../embedded/free-port.ts';
import { connectionsOf, prepareDatabase } from '../prepare-database.ts';
import { requirePorts } from '../require-ports.ts';
import { resolveServers } from '../resolve-servers.ts';
import { digestOfKey } from '../security/api-keys.ts';
import { createSignInToken, printedLinkSeconds, signInUrl } from '../sign-in-link.ts';
import { connectionsFor, processesWithin } from './process-count.ts';
import { startProcessGroup, type ProcessGroup } from './process-group.ts';

type Options = StartOptions & {
  /** How many processes; fewer where PostgreSQL has too few connections for the default. */
  processes: number;
};

export type SupervisedApp = App & {
  /** Replaces one process after the other. */
  restart(): Promise<void>;
};

/** The calls that a service process may make. */
export type SupervisorCalls = {
  countCall(call: CountedCall): CallWindow;
  readMetrics(): Promise<string>;
  /** The process cannot continue, and neither can the others. */
  fail(message: string): void;
};

/**
 * Runs the service as several processes that share a port. This one serves nothing itself: it has the data folder and the
 * embedded servers, checks the settings and servers, starts the processes, and starts them again when they end. It keeps their
 * shared state: the counts of calls and the sum of the metrics.
 */
export async function startSupervisor(options: Options): Promise<SupervisedApp> {
  const { config, log, report, onFatal } = options;
  await requirePorts(config, 'up', options.processes);
  let embedded: Embedded | null = null;
  let group: ProcessGroup | null = null;
  const stop = async (): Promise<void> => {
    await group?.stop();
    await embedded?.stop();
  };
  try {
    const postgresConnections = connectionsFor(options.processes, connectionsOf(config));
    const servers = await resolveServers(config, 'up', { report, onFatal, postgresConnections });
    const { databaseUrl, temporalAddress, temporalUiUrl } = servers;
    ({ embedded } = servers);
    const { developmentKey, signInToken, connections } = await checkDatabase(config, databaseUrl, log);
    const calls: Omit<SupervisorCalls, 'readMetrics' | 'fail'> = {
      countCall: createCallCounts(),
    };
    group = await startProcessGroup({
      count: fitting(options, connections),
      start: {
        // One port for all of them, also for one that is started later.
        port: config.PORT === 0 ? await choosePort(config.HOST, []) : config.PORT,
        databaseUrl,
        temporalAddress,
        temporalUiUrl,
        hasTemporal: embedded?.temporalAddress !== undefined,
      },
      calls,
      drainMs: config.FLTR_DRAIN_SECONDS * 1000,
      log,
      onFatal,
    });
    const { apiUrl, restart, kill } = group;
    return {
      apiUrl,
      databaseUrl,
      temporalAddress,
      temporalUiUrl,
      developmentKey,
      signInUrl: apiUrl && signInToken && signInUrl(apiUrl, signInToken),
      hasEmbedded: embedded !== null,
      restart,
      stop,
      kill() {
        kill();
        embedded?.kill();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Migrates the database and checks it, once for all processes. */
async function checkDatabase(config: Config, databaseUrl: string, log: Logger) {
  const { pool } = await prepareDatabase(config, databaseUrl, log);
  try {
    const developmentKey = await developmentKeyFor(config, pool);
    const signIn =
      developmentKey === null
        ? null
        : await createSignInToken(pool, digestOfKey(developmentKey), printedLinkSeconds);
    return {
      developmentKey,
      signInToken: signIn?.token ?? null,
      connections: await readConnectionLimit(pool),
    };
  } finally {
    await pool.end();
  }
}

/** As many processes as the settings say; of the default number, those that PostgreSQL has connections for. */
function fitting({ config, processes, report }: Options, connections: number): number {
  const perProcess = connectionsOf(config);
  if (connectionsFor(processes, perProcess) <= connections) return processes;
  const fewer = Math.min(processes, processesWithin(connections, perProcess));
  const isDefault = config.FLTR_PROCESSES === undefined;
  report(
    `PostgreSQL allows ${connections} connections (max_connections), and ${processes} processes may need ${connectionsFor(processes, perProcess)}. ` +
      (isDefault ? `So ${fewer} are started.` : 'Raise it, or lower FLTR_PROCESSES.'),
  );
  return isDefault ? fewer : processes;
}
