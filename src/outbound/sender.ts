import type { LookupFunction } from 'node:net';
import type { AttemptErrorCode } from '../contracts/attempt.ts';
import type { AddressGuard } from './address-guard.ts';
import { classifyFailure } from './attempt-failure.ts';
import type { Answer, Connection, OutboundRequest } from './connection.ts';
import { createConnectionPool } from './connection-pool.ts';
import { createConnector } from './guarded-connector.ts';
import { startProgress, type Progress } from './progress.ts';
import { createTargets } from './target.ts';

export type SendRequest = {
  url: string;
  /** Ready made; Host, Content-Length and Connection are added here. */
  headers: Record<string, string>;
  body: Buffer | Uint8Array;
  signal?: AbortSignal | undefined;
};

export type SendResult = { startedAt: Date; durationMs: number } & (
  ({ kind: 'answered' } & Answer) | { kind: 'failed'; code: AttemptErrorCode }
);

export type Sender = {
  send: (request: SendRequest) => Promise<SendResult>;
  /** Waits for what is under way (at most `timeoutMs`), then leaves no connection open. */
  close: () => Promise<void>;
};

export type SenderOptions = {
  guard: AddressGuard;
  timeoutMs: number;
  /** Finds a host's addresses; node:dns `lookup` unless given. */
  lookup?: LookupFunction | undefined;
  /** For how many milliseconds a host's addresses are kept; 5,000 unless given. */
  keepNamesMs?: number | undefined;
  /** PEM certificates to trust instead of Node's own. */
  ca?: string | undefined;
  connectionsPerOrigin?: number | undefined;
  /** Most connections, over all origins, that stay open unused. */
  maxIdleConnections?: number | undefined;
};

const reservedHeaders = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'keep-alive']);

/**
 * Makes the function that sends one webhook request and says what came of it.
 *
 * `timeoutMs` (milliseconds) is one deadline for waiting for a connection, look-up, connect, TLS, request and
 * the arrival of the final answer's status and headers; the phase in which it runs out decides the code. What
 * is left of it goes to the answer's body, of which at most 16 KiB are kept. Redirects are not followed.
 *
 * `send` does not throw for what the network or the receiver does. It throws a `TypeError` for headers that
 * may not be sent, an `Error` after `close`, and the signal's reason when the caller aborts before the answer.
 * Source: the contract's outcome of an attempt; RFC 9110 (1xx), RFC 9112 6.3 (when a connection is reusable).
 *
 * @example
 * const sender = createSender({ guard, timeoutMs: 5_000 });
 * const result = await sender.send({ url: 'https://example.com/hook', headers: {}, body: Buffer.from('{}') });
 * if (result.kind === 'answered') console.log(result.statusCode, result.headers['retry-after']);
 */
export function createSender(options: SenderOptions): Sender {
  const { guard, timeoutMs, lookup, keepNamesMs, ca } = options;
  const { connectionsPerOrigin = 16, maxIdleConnections = 512 } = options;
  const connect = createConnector({ guard, timeoutMs, lookup, keepNamesMs, ca });
  const pool = createConnectionPool({ connect, connectionsPerOrigin, maxIdleConnections });
  const findTarget = createTargets(guard);
  const underWay = new Set<Promise<unknown>>();
  let isClosed = false;

  async function exchange(request: OutboundRequest, progress: Progress, fresh: boolean): Promise<Answer> {
    const connection = await pool.acquire(request.url, progress, fresh);
    try {
      return await connection.request(request, progress);
    } catch (error) {
      connection.destroy();
      if (fresh || progress.ended !== undefined || !diedIdle(connection, error)) throw error;
    } finally {
      pool.release(connection);
    }
    return exchange(request, progress, true);
  }

  async function attempt({ url: text, headers, body, signal }: SendRequest): Promise<Outcome> {
    const url = findTarget(text);
    if (url === undefined) return { kind: 'failed', code: 'blocked_address' };
    const { progress, end, stop } = startProgress(timeoutMs);
    const onAbort = (): void => end(signal?.reason as Error);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return { ...(await exchange({ url, headers, body }, progress, false)), kind: 'answered' };
    } catch (error) {
      signal?.throwIfAborted();
      const isLate = progress.ended !== undefined;
      return {
        kind: 'failed',
        code: isLate ? `timeout_${progress.phase}` : classifyFailure(error, progress.phase),
      };
    } finally {
      stop();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async function send(request: SendRequest): Promise<SendResult> {
    if (isClosed) throw new Error('This sender is closed.');
    assertHeaders(request.headers);
    request.signal?.throwIfAborted();
    const startedAt = new Date();
    const start = performance.now();
    const running = attempt(request);
    underWay.add(running);
    try {
      const outcome = await running;
      return { ...outcome, startedAt, durationMs: Math.round(performance.now() - start) };
    } finally {
      underWay.delete(running);
    }
  }

  async function close(): Promise<void> {
    isClosed = true;
    await Promise.allSettled(underWay);
    pool.close();
  }

  return { send, close };
}

type Outcome = SendResult extends infer R
  ? R extends unknown
    ? Omit<R, 'startedAt' | 'durationMs'>
    : never
  : never;

/** Whether the receiver had closed this connection before it saw the request: then sending again is safe. */
function diedIdle(connection: Connection, error: unknown): boolean {
  if (!connection.isReused() || connection.hasAnswerBegun()) return false;
  const code = classifyFailure(error, 'answer');
  return code === 'connection_closed' || code === 'connection_reset';
}

function assertHeaders(headers: Record<string, string>): void {
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/i.test(name) || reservedHeaders.has(name.toLowerCase())) {
      throw new TypeError(`"${name}" is not a header that a caller may set`);
    }
    // A line break in a value would add headers, or a whole request, of somebody else's choice.
    if (!/^[\u0020-\u007e\u00a0-\u00ff]*$/.test(value)) {
      throw new TypeError(`the value of header ${name} has a character that may not be sent`);
    }
  }
}
