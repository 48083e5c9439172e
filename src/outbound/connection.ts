import type { Socket } from 'node:net';
import { AttemptFailure, classifyFailure } from './attempt-failure.ts';
import { exchange, type HttpResponse, type OutboundRequest } from './exchange.ts';
import { throwIfEnded, type Progress } from './progress.ts';

/** One socket to one origin, used by one attempt at a time. */
export type Connection = {
  readonly origin: string;
  /** Of the client certificate that it was opened with; empty: none. */
  readonly identityId: string;
  readonly isOpen: () => boolean;
  /**
   * Sends one request, resolves with the final response. Once its status and headers are here it is not rejected: an
   * attempt that ends early then cuts the body. A cut body or a failure ends the connection.
   */
  readonly request: (request: OutboundRequest, progress: Progress) => Promise<HttpResponse>;
  /**
   * Whether the last request met the end of the idle time before it: the receiver had given the kept connection up, and
   * that and the request crossed. Then the request may be sent once more, on an unused connection.
   */
  readonly endedIdle: () => boolean;
  readonly destroy: () => void;
  readonly onClose: (listener: () => void) => void;
};

// Receivers close idle connections after 5 s (Node) to 75 s (nginx). A time that a receiver names is used, up to 25 s.
const keepAliveMs = 4_000;
const keepAliveMaxMs = 25_000;
/** A connection is not used in the last second before the receiver closes it, so that a request still arrives in time. */
const keepAliveMarginMs = 1_000;
// Traffic must not keep a connection alive for ever: the name may point elsewhere by now.
const maxAgeMs = 60_000;
/** How long a busy process may need to notice that a connection was closed. */
const noticeMs = 250;
/** No receiver is farther away than this, there and back. */
const maxRoundTripMs = 1_000;

/**
 * Keeps a socket that is already connected and judged alive between requests. It never opens another one.
 *
 * A receiver may end an idle connection at the moment at which a request is on its way: it closes it, or it writes a 400
 * or a 408 and closes it. A close belongs to the idle time when it comes within about a round trip; later, the receiver
 * had the request and failed. A 400 or 408 that ends a kept connection may belong to either. Only a connection that was
 * never idle shows which, and sending a refused request again does no harm.
 * Source: RFC 9110, 15.5.9; RFC 9112, 9.3.1 and 9.5.
 */
export function createConnection(origin: string, socket: Socket, identityId = ''): Connection {
  const openedAt = performance.now();
  /** From a request to its response, the shortest: no round trip is longer. */
  let quickestMs = Infinity;
  let idleMs = keepAliveMs;
  let isUnderWay = false;
  let hasEndedIdle = false;
  /** The bytes of a response whose status and headers are not complete. */
  let head: Buffer[] | undefined;

  // Emitted by node:http after each response that leaves the connection open.
  socket.on('free', () => {
    socket.unref();
    if (idleMs > 0) socket.setTimeout(idleMs);
    else socket.destroy();
  });
  socket.on('timeout', () => {
    if (!isUnderWay) socket.destroy();
  });
  socket.on('error', () => {});

  const onData = (chunk: string | Buffer): void => {
    // Nobody requested it, and it would be read as the next response.
    if (!isUnderWay) socket.destroy();
    // Bytes, for the socket has no encoding.
    head?.push(chunk as Buffer);
  };
  const watch = (): void => {
    // Before the parser's, which is done with a chunk when it reports a fault.
    if (!socket.listeners('data').includes(onData)) socket.prependListener('data', onData);
  };

  async function request(outbound: OutboundRequest, progress: Progress): Promise<HttpResponse> {
    throwIfEnded(progress);
    progress.phase = 'response';
    const isReused = quickestMs < Infinity;
    const sentAt = performance.now();
    isUnderWay = true;
    hasEndedIdle = false;
    head = [];
    try {
      if (!socket.writable) throw new AttemptFailure('connection_closed');
      socket.ref();
      socket.setTimeout(0);
      const { response, closing } = await exchange(socket, outbound, progress, {
        onSocket: watch,
        onHead: (keepAlive) => {
          quickestMs = Math.min(quickestMs, performance.now() - sentAt);
          idleMs = idleTime(keepAlive);
          head = undefined;
        },
        readHead: () => Buffer.concat(head ?? []),
      });
      const { statusCode } = response;
      hasEndedIdle = isReused && closing && (statusCode === 408 || statusCode === 400);
      return response;
    } catch (error) {
      const waitedMs = performance.now() - sentAt;
      hasEndedIdle =
        isReused &&
        head?.length === 0 &&
        isClosed(error) &&
        waitedMs <= Math.min(maxRoundTripMs, quickestMs + noticeMs);
      socket.destroy();
      throw error;
    } finally {
      isUnderWay = false;
      head = undefined;
    }
  }

  return {
    origin,
    identityId,
    request,
    isOpen: () => socket.writable && performance.now() - openedAt < maxAgeMs,
    endedIdle: () => hasEndedIdle,
    destroy: () => void socket.destroy(),
    onClose: (listener) => void socket.once('close', listener),
  };
}

function isClosed(error: unknown): boolean {
  const code = classifyFailure(error, 'response');
  return code === 'connection_closed' || code === 'connection_reset';
}

/** How long a connection may stay unused, in milliseconds; 0: not at all. */
function idleTime(keepAlive: string | undefined): number {
  const seconds = /timeout=(\d+)/i.exec(keepAlive ?? '')?.[1];
  if (seconds === undefined) return keepAliveMs;
  return Math.max(0, Math.min(keepAliveMaxMs, Number(seconds) * 1_000 - keepAliveMarginMs));
}
