import { readFile } from 'node:fs/promises';
import {
  Client,
  Connection,
  defaultGrpcRetryOptions,
  isGrpcServiceError,
  makeGrpcRetryInterceptor,
  WorkflowExecutionAlreadyStartedError,
} from '@temporalio/client';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { StartError } from '../errors.ts';
import { every } from '../every.ts';
import { searchAttributes } from '../../workflows/contract.ts';

export type TemporalAddress = { address: string; tls: TlsSettings | boolean; apiKey?: string };
type TlsSettings = {
  serverNameOverride?: string;
  serverRootCACertificate?: Buffer;
  clientCertPair?: { crt: Buffer; key: Buffer };
};

/** The options of both kinds of connection, the client's and the worker's. */
export async function connectionOptions(config: Config, address: string): Promise<TemporalAddress> {
  const { TEMPORAL_API_KEY: apiKey, TEMPORAL_TLS_SERVER_NAME: serverName } = config;
  const ca = await readPem(config.TEMPORAL_TLS_SERVER_CA_CERT_PATH);
  const crt = await readPem(config.TEMPORAL_TLS_CLIENT_CERT_PATH);
  const key = await readPem(config.TEMPORAL_TLS_CLIENT_KEY_PATH);
  const details: TlsSettings = {
    ...(serverName === undefined ? {} : { serverNameOverride: serverName }),
    ...(ca ? { serverRootCACertificate: ca } : {}),
    ...(crt && key ? { clientCertPair: { crt, key } } : {}),
  };
  const hasDetails = Object.keys(details).length > 0;
  const tls = hasDetails ? details : config.TEMPORAL_TLS || apiKey !== undefined;
  return { address, tls, ...(apiKey === undefined ? {} : { apiKey }) };
}

async function readPem(path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path);
  } catch (error) {
    throw new StartError(
      `A TEMPORAL_TLS_… file cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** A client, and the connection that it uses. */
export type Caller = {
  client: Client;
  connection: { withDeadline<T>(deadline: number | Date, call: () => Promise<T>): Promise<T> };
  /** Whether a worker of this process polls on the connection: Temporal may give it a workflow as soon as it starts it. */
  isWorkers: boolean;
};
export type Temporal = Caller & {
  connection: Connection;
  namespace: string;
  /** Why the last call did not get through; null: it did. */
  lastFault(): string | null;
};

/** After a long outage, gRPC's own limit would be two minutes. */
const maxReconnectMs = 5000;

/** A client that connects when it is first used: publishing works while Temporal is away. */
export function createTemporal(options: TemporalAddress, namespace: string): Temporal {
  let lastFault: string | null = null;
  const isMutual = typeof options.tls === 'object' && options.tls.clientCertPair !== undefined;
  const retry = defaultGrpcRetryOptions();
  // A call is retried until its time is up, and its error has no other reason: the cause, such as a certificate, is known here
  // only.
  const retryableDecider: typeof retry.retryableDecider = (attempt, status) => {
    const code: number = status.code;
    if (code !== DEADLINE_EXCEEDED) lastFault = code === UNAVAILABLE ? status.details : null;
    // A server that refuses a client certificate hangs up without a reason.
    if (lastFault?.includes('Failed to connect') && isMutual)
      lastFault += 'Is the client certificate refused?';
    return retry.retryableDecider(attempt, status);
  };
  const interceptors = [makeGrpcRetryInterceptor({ ...retry, retryableDecider })];
  const channelArgs = { 'grpc.max_reconnect_backoff_ms': maxReconnectMs };
  const connection = Connection.lazy({ ...options, channelArgs, connectTimeout: 5000, interceptors });
  return {
    connection,
    namespace,
    client: new Client({ connection, namespace }),
    isWorkers: false,
    lastFault: () => lastFault,
  };
}

/** One call, with a limit in time. */
export function within<T>(
  { connection }: Pick<Caller, 'connection'>,
  milliseconds: number,
  call: () => Promise<T>,
): Promise<T> {
  return connection.withDeadline(Date.now() + milliseconds, call);
}

const UNAVAILABLE = 14;
const DEADLINE_EXCEEDED = 4;
const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;
const RESOURCE_EXHAUSTED = 8;
const INVALID_ARGUMENT = 3;
const PERMISSION_DENIED = 7;
const UNAUTHENTICATED = 16;

function grpcCode(error: unknown): number | null {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (isGrpcServiceError(at)) return at.code;
  }
  return null;
}

/** Whether Temporal cannot be reached, is overloaded, or refuses our credentials. */
export function isTemporalUnavailable(error: unknown): boolean {
  const code = grpcCode(error);
  if (code === UNAVAILABLE || code === DEADLINE_EXCEEDED || code === RESOURCE_EXHAUSTED) return true;
  if (code === UNAUTHENTICATED || code === PERMISSION_DENIED) return true;
  // The worker's connection gives a call whose time is over no code of its own.
  for (let at: unknown = error; at instanceof Error; at = at.cause)
    if (/Failed to connect before the deadline|Channel has been shut down|Timeout expired/i.test(at.message))
      return true;
  return false;
}

/** The result of a call, or `fallback` where it fails in the expected way. */
export async function withFallback<Result, Fallback>(
  isExpected: (error: unknown) => boolean,
  fallback: Fallback,
  call: () => Promise<Result>,
): Promise<Result | Fallback> {
  try {
    return await call();
  } catch (error) {
    if (isExpected(error)) return fallback;
    throw error;
  }
}

export const isAlreadyStarted = (error: unknown): boolean =>
  error instanceof WorkflowExecutionAlreadyStartedError;

export const isNotFound = (error: unknown): boolean =>
  grpcCode(error) === NOT_FOUND || (error instanceof Error && error.name === 'WorkflowNotFoundError');

/**
 * Adds our search attributes to the namespace; existing ones stay. Safe from several processes at once.
 *
 * @throws StartError with the commands to run where the server does not let us
 */
async function ensureSearchAttributes(temporal: Temporal): Promise<void> {
  const { connection, namespace } = temporal;
  const { customAttributes } = await within(temporal, 10_000, () =>
    connection.operatorService.listSearchAttributes({ namespace }),
  );
  const types = { Keyword: 2, KeywordList: 7 } as const;
  const missing = Object.entries(searchAttributes).filter(([name]) => !(name in customAttributes));
  if (missing.length === 0) return;
  try {
    await within(temporal, 10_000, () =>
      connection.operatorService.addSearchAttributes({
        namespace,
        searchAttributes: Object.fromEntries(missing.map(([name, type]) => [name, types[type]])),
      }),
    );
  } catch (error) {
    if (grpcCode(error) === ALREADY_EXISTS || grpcCode(error) === INVALID_ARGUMENT) {
      const again = await within(temporal, 10_000, () =>
        connection.operatorService.listSearchAttributes({ namespace }),
      );
      if (missing.every(([name]) => name in again.customAttributes)) return;
    }
    const commands = missing.map(
      ([name, type]) =>
        `  temporal operator search-attribute create --namespace ${namespace} --name ${name} --type ${type}`,
    );
    throw new StartError(
      `Temporal did not accept the search attributes (${error instanceof Error ? error.message : String(error)}). Create them:\n${commands.join('\n')}`,
    );
  }
}

export async function isTemporalReachable(temporal: Temporal): Promise<boolean> {
  try {
    await within(temporal, 2000, () =>
      temporal.connection.workflowService.describeNamespace({ namespace: temporal.namespace }),
    );
    return true;
  } catch {
    return false;
  }
}

/** For the operator: the fault, and the setting that may be wrong. */
function sayWhy(error: unknown, { lastFault, namespace }: Temporal): string {
  const code = grpcCode(error);
  const fault = lastFault() ?? (error instanceof Error ? error.message : String(error));
  if (code === UNAUTHENTICATED || code === PERMISSION_DENIED)
    return `Temporal does not let us in (${fault}): check TEMPORAL_API_KEY and TEMPORAL_NAMESPACE`;
  if (/certificate|self-signed|altname|\b(?:ssl|tls)\b/i.test(fault))
    return `the TLS connection to Temporal fails (${fault}): check TEMPORAL_TLS_…`;
  if (code === NOT_FOUND)
    return `Temporal does not have the namespace "${namespace}" (${fault}): check TEMPORAL_NAMESPACE, or create it with \`temporal operator namespace create ${namespace}\``;
  return `Temporal cannot be reached (${fault}): it may still be starting, else check TEMPORAL_ADDRESS`;
}

/**
 * Prepares the namespace as soon as Temporal is there; `done` resolves then, or fails with the advice for the operator.
 */
export function prepareNamespace(temporal: Temporal, log: Logger) {
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  const { close } = every(
    2000,
    async () => {
      try {
        resolve(await ensureSearchAttributes(temporal));
      } catch (error) {
        if (!(error instanceof StartError)) throw error;
        reject(error);
      }
      return 'done';
    },
    (error) => log.warn({ err: error }, `${sayWhy(error, temporal)}; publishing works, deliveries wait`),
    { maxPauseMs: 2000 },
  );
  return { done, close };
}
