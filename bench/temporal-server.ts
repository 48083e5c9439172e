import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import proto from '@temporalio/proto';
import { pino } from 'pino';
import { choosePort } from '../src/embedded/free-port.ts';
import { logSizeBytes, logTail } from '../src/embedded/log-file.ts';
import { readStateFile, writeStateFile } from '../src/embedded/state-file.ts';
import { startChild, type Child } from '../src/embedded/supervise.ts';
import { temporalEnv } from '../src/embedded/temporal.ts';
import {
  createTemporal,
  isNotFound,
  prepareNamespace,
  within,
  type Temporal,
} from '../src/temporal/client.ts';
import { searchAttributes } from '../workflows/contract.ts';
import { prepareDatabases, runVisibilityFile } from './temporal-schema.ts';
import {
  services,
  temporalSettings,
  writeServerConfig,
  type ServicePorts,
} from './temporal-server-config.ts';
import { findServerPrograms } from './temporal-server-programs.ts';

export type TemporalServer = {
  address: string;
  pid: number;
  exited: Promise<unknown>;
  stop(): Promise<void>;
  kill(): void;
};

type Options = {
  /** Configuration, log and the ports of the last start. */
  dataDir: string;
  /** Superuser's, of a PostgreSQL that may get Temporal's two databases. */
  databaseUrl: string;
  env: NodeJS.ProcessEnv;
  report: (line: string) => void;
  /** Made with 24 hours of retention; default `default`. */
  namespace?: string;
  /** Without the indexes that nobody filters on (docs/temporal/visibility-lean.sql); default true. */
  leanVisibility?: boolean;
};

const HOST = '127.0.0.1';
const READY_TIMEOUT_MS = 120_000;
const STOP_GRACE_MS = 20_000;
const RETENTION_SECONDS = 86_400;

/**
 * Temporal's real server, all four services in one process, on PostgreSQL, as docker-compose.yml runs it, without
 * containers. It ends with this process. A start in the same folder takes the last start's ports when they are free.
 */
export async function startTemporalServer(options: Options): Promise<TemporalServer> {
  const { databaseUrl, env, report, namespace = 'default', leanVisibility = true } = options;
  const folder = join(resolve(options.dataDir), 'temporal-server');
  const logFile = join(folder, 'server.log');
  const portsFile = join(folder, 'ports.json');
  const { server, sqlTool } = await findServerPrograms({ env, report });
  const childEnv = temporalEnv(env, folder);
  await prepareDatabases({ sqlTool, databaseUrl, env: childEnv });

  const deadline = Date.now() + READY_TIMEOUT_MS;
  for (;;) {
    const ports = await choosePorts(readStateFile(portsFile));
    const logStart = logSizeBytes(logFile);
    const child = startChild({
      name: 'temporal-server',
      command: server,
      args: writeServerConfig(folder, databaseUrl, ports),
      cwd: folder,
      env: { ...childEnv, GOGC: temporalSettings.GOGC, GOMEMLIMIT: temporalSettings.GOMEMLIMIT },
      logFile,
      stopSignal: 'SIGTERM',
    });
    const address = `${HOST}:${ports.frontend.grpc}`;
    const failure = await waitUntilReady(child, address, namespace, deadline);
    if (failure === undefined) {
      writeStateFile(portsFile, ports);
      if (leanVisibility) await dropUnusedIndexes(address, namespace, databaseUrl);
      const { pid, exited } = child;
      return { address, pid, exited, stop: () => child.stop(STOP_GRACE_MS), kill: () => child.kill() };
    }
    await child.stop(STOP_GRACE_MS);
    const printed = logTail(logFile, logStart, 1000);
    // Another program was faster at one of the ports.
    if (/address already in use/i.test(printed) && Date.now() < deadline) continue;
    // Its lines end with stacks of some thousand characters.
    const tail = printed
      .split('\n')
      .slice(-10)
      .map((line) => line.slice(0, 400));
    throw new Error(
      `Temporal's server did not start: ${failure}. The end of ${logFile}:\n${tail.join('\n')}`,
    );
  }
}

async function choosePorts(last: Record<string, unknown> | undefined): Promise<ServicePorts> {
  const taken: number[] = [];
  const choose = async (remembered: unknown): Promise<number> => {
    const port = await choosePort(HOST, typeof remembered === 'number' ? [remembered] : [], taken);
    taken.push(port);
    return port;
  };
  const ports: Partial<ServicePorts> = {};
  for (const service of services) {
    const before = last?.[service] as Partial<ServicePorts['worker']> | undefined;
    ports[service] = { grpc: await choose(before?.grpc), membership: await choose(before?.membership) };
  }
  return ports as ServicePorts;
}

/** undefined when every service responds and the namespace is ready for use, else the fault. */
async function waitUntilReady(
  child: Child,
  address: string,
  namespace: string,
  deadline: number,
): Promise<string | undefined> {
  let hasEnded = false;
  void child.exited.then(() => (hasEnded = true));
  const temporal = createTemporal({ address, tls: false }, namespace);
  let last = 'it did not respond in time';
  try {
    while (Date.now() < deadline) {
      if (hasEnded) return 'it ended at once';
      try {
        await makeNamespace(temporal);
        await callEveryService(temporal);
        return undefined;
      } catch (error) {
        last = error instanceof Error ? error.message : String(error);
      }
      await delay(200);
    }
    return last;
  } finally {
    await temporal.connection.close();
  }
}

async function makeNamespace(temporal: Temporal): Promise<void> {
  const { connection, namespace } = temporal;
  const { workflowService } = connection;
  try {
    await within(temporal, 5000, () => workflowService.describeNamespace({ namespace }));
  } catch (error) {
    if (!isNotFound(error)) throw error;
    const workflowExecutionRetentionPeriod = { seconds: RETENTION_SECONDS as never };
    await within(temporal, 10_000, () =>
      workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod }),
    );
  }
  const preparing = prepareNamespace(temporal, pino({ level: 'silent' }));
  const isPrepared = await Promise.race([
    preparing.done.then(() => true),
    delay(15_000, false, { ref: false }),
  ]);
  await preparing.close();
  if (!isPrepared) throw new Error('it did not take the search attributes in time');
}

/** The columns of our attributes are read from the namespace, which chooses them at random. */
async function dropUnusedIndexes(address: string, namespace: string, databaseUrl: string): Promise<void> {
  const temporal = createTemporal({ address, tls: false }, namespace);
  try {
    const { config } = await within(temporal, 5000, () =>
      temporal.connection.workflowService.describeNamespace({ namespace }),
    );
    const columns = Object.keys(config?.customSearchAttributeAliases ?? {});
    await runVisibilityFile('lean', databaseUrl, { columns });
  } finally {
    await temporal.connection.close();
  }
}

/** The frontend responds before the others do: a start or a list right then would still fail. */
async function callEveryService(temporal: Temporal): Promise<void> {
  const { connection, namespace } = temporal;
  const { workflowService } = connection;
  const query = Object.keys(searchAttributes)
    .map((name) => `${name} = 'none'`)
    .join(' or ');
  await within(temporal, 5000, () =>
    workflowService.listWorkflowExecutions({ namespace, query, pageSize: 1 }),
  );
  await within(temporal, 5000, () =>
    workflowService.describeTaskQueue({
      namespace,
      taskQueue: { name: 'none' },
      taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    }),
  );
  try {
    await within(temporal, 5000, () =>
      workflowService.describeWorkflowExecution({ namespace, execution: { workflowId: 'none' } }),
    );
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
