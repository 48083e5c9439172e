import type { AttemptErrorCode } from '../contracts/attempt-schema.ts';
import type { AddressGuard } from './address-guard.ts';
import { assertHeaders } from './assert-headers.ts';
import { AttemptFailure, classifyFailure, describeFailure } from './attempt-failure.ts';
import type { BrokenResponse } from './broken-head.ts';
import { createClientIdentities, type ClientCertificate } from './client-certificate.ts';
import { createConnectionPool, type Lease } from './connection-pool.ts';
import type { HttpResponse, OutboundRequest } from './exchange.ts';
import { createConnector } from './guarded-connector.ts';
import { startProgress, type Progress } from './progress.ts';
import { createResolver, type Lookup } from './resolver.ts';
import { SenderBusy } from './sender-busy.ts';
import { createTargets } from './target.ts';

export type SendRequest = {
  url: string;
  /** Whose attempt it is: connections and lookups are shared out by it. */
  accountId: string;
  /** A test event; `false` unless given. */
  isTest?: boolean | undefined;
  /**
   * Host, Content-Length and Connection are added here. A function makes them when the attempt begins, after it has waited
   * for capacity: a signature's time is that one.
   */
  headers: Record<string, string> | ((startedAt: Date) => Record<string, string>);
  body: Buffer | Uint8Array;
  /** Its time limit, in milliseconds; the sender's unless given. */
  timeoutMs?: number | undefined;
  clientCertificate?: ClientCertificate | undefined;
  signal?: AbortSignal | undefined;
};

type Failure = {
  kind: 'failed';
  code: AttemptErrorCode;
  /** More than the code, in words. */
  detail?: string | undefined;
  /** The readable part of a response that is not valid HTTP. */
  response?: BrokenResponse | undefined;
};
type Outcome = ({ kind: 'responded' } & HttpResponse) | Failure;
export type SendResult = { startedAt: Date; durationMs: number } & Outcome;

export type Sender = {
  /** The time limit of a request that has none of its own. */
  readonly timeoutMs: number;
  send: (request: SendRequest) => Promise<SendResult>;
  /** Waits for the requests under way (at most `timeoutMs`), then leaves no connection open. */
  close: () => Promise<void>;
};

export type SenderOptions = {
  guard: AddressGuard;
  timeoutMs: number;
  /** The longest time limit that a request may have; `timeoutMs` unless given. */
  longestMs?: number | undefined;
  /** Finds a host's addresses in place of the hosts file and the name servers. */
  lookup?: Lookup | undefined;
  /** `address:port` of the name servers; the system's unless given. */
  nameServers?: readonly string[] | undefined;
  /** For how many milliseconds a host's addresses are kept; 5,000 unless given. */
  keepNamesMs?: number | undefined;
  /** PEM certificates to trust instead of Node's own. */
  ca?: string | undefined;
  connectionsPerOrigin?: number | undefined;
  /** Most connections, over all origins, that stay open unused. */
  maxIdleConnections?: number | undefined;
};

/** The longest wait for a connection or a lookup, in milliseconds: meanwhile it occupies a slot of the worker. */
const maxWaitMs = 3_000;

/**
 * Makes the function that sends one webhook request and returns its result.
 *
 * `timeoutMs` (milliseconds; the request's, else the sender's) is one deadline for lookup, connect, TLS, request and the
 * arrival of the final response's status and headers; the phase in which it runs out decides the code. The response's body may
 * take the rest of it; at most 16 KiB of the body are kept. Redirects are not followed. Waiting until a connection or a lookup
 * may begin has nothing to do with the receiver: it comes before `startedAt`, and is no part of `durationMs`.
 *
 * One attempt is one request, with one exception: a request that crossed with the receiver's end of a kept connection is
 * sent once more, on a new connection and within the same deadline.
 *
 * `send` does not throw for faults of the network or the receiver. It throws `SenderBusy` where there was no capacity within
 * 3 s (nothing was sent), a `TypeError` for headers that may not be sent, node:tls' error for a certificate that cannot be
 * used, the error of `headers`, an `Error` after `close`, and the signal's reason when the caller aborts before the response.
 * Source: the contract's outcome of an attempt; RFC 9110 (1xx), RFC 9112 6.3 (when a connection is reusable).
 *
 * @example
 * const sender = createSender({ guard, timeoutMs: 5_000 });
 * const body = Buffer.from('{}');
 * const result = await sender.send({ url: 'https://example.com/webhooks', accountId: 'acc_1', headers: {}, body });
 * if (result.kind === 'responded') console.log(result.statusCode, result.headers['retry-after']);
 */
export function createSender(options: SenderOptions): Sender {
  const { guard, timeoutMs, longestMs, nameServers, keepNamesMs, ca } = options;
  const { lookup = createResolver({ nameServers }) } = options;
  const { connectionsPerOrigin = 16, maxIdleConnections = 512 } = options;
  const connect = createConnector({ guard, timeoutMs, longestMs, lookup, keepNamesMs, ca });
  const pool = createConnectionPool({ connect, connectionsPerOrigin, maxIdleConnections });
  const findTarget = createTargets(guard);
  const identify = createClientIdentities(ca);
  const underWay = new Set<Promise<unknown>>();
  let isClosed = false;

  async function attempt(request: SendRequest): Promise<SendResult> {
    const { url: text, accountId, isTest = false, headers, body, clientCertificate, signal } = request;
    const url = findTarget(text);
    if (url === undefined) {
      return { kind: 'failed', code: 'blocked_address', startedAt: new Date(), durationMs: 0 };
    }
    const { progress, end, restart, stop } = startProgress(maxWaitMs);
    const onAbort = (): void => end(signal?.reason as Error);
    signal?.addEventListener('abort', onAbort, { once: true });
    let lease: Lease | undefined;
    try {
      const identity = clientCertificate && identify(clientCertificate);
      lease = await pool.acquire(url, { accountId, isTest, identity }, progress);
      const startedAt = new Date();
      const start = performance.now();
      restart(request.timeoutMs ?? timeoutMs);
      const made = typeof headers === 'function' ? headers(startedAt) : headers;
      assertHeaders(made);
      const outbound = { url, headers: made, body };
      const outcome = await exchange(lease, outbound, progress, identity !== undefined);
      if (outcome.kind === 'failed') signal?.throwIfAborted();
      return { ...outcome, startedAt, durationMs: Math.round(performance.now() - start) };
    } catch (error) {
      signal?.throwIfAborted();
      throw progress.ended === undefined ? error : new SenderBusy();
    } finally {
      lease?.release();
      stop();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async function send(request: SendRequest): Promise<SendResult> {
    if (isClosed) throw new Error('This sender is closed.');
    request.signal?.throwIfAborted();
    const running = attempt(request);
    underWay.add(running);
    return running.finally(() => underWay.delete(running));
  }

  async function close(): Promise<void> {
    isClosed = true;
    await Promise.allSettled(underWay);
    pool.close();
  }

  return { timeoutMs, send, close };
}

/** Returns the result of the request. Throws where this process had no capacity or the caller gave up. */
async function exchange(
  lease: Lease,
  request: OutboundRequest,
  progress: Progress,
  sentCertificate: boolean,
): Promise<Outcome> {
  try {
    return { ...(await requestOnce(lease, request, progress)), kind: 'responded' };
  } catch (error) {
    const { phase, ended } = progress;
    if (error instanceof SenderBusy || phase === 'wait') throw error;
    if (ended !== undefined) return { kind: 'failed', code: `timeout_${phase}` };
    const known = error instanceof AttemptFailure ? error : undefined;
    return {
      kind: 'failed',
      code: classifyFailure(error, phase),
      detail: describeFailure(error, sentCertificate),
      response: known?.response,
    };
  }
}

async function requestOnce(
  lease: Lease,
  request: OutboundRequest,
  progress: Progress,
): Promise<HttpResponse> {
  const connection = await lease.connect();
  try {
    const response = await connection.request(request, progress);
    if (progress.ended !== undefined || !connection.endedIdle()) return response;
  } catch (error) {
    if (progress.ended !== undefined || !connection.endedIdle()) throw error;
  }
  const fresh = await lease.connectAnew();
  return fresh.request(request, progress);
}
