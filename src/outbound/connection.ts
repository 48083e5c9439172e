import type { Socket } from 'node:net';
import { Client, type Dispatcher } from 'undici';
import { AttemptFailure } from './attempt-failure.ts';

export type OutboundRequest = { url: URL; headers: Record<string, string>; body: Buffer | Uint8Array };

/** One socket to one origin, used by one attempt at a time. */
export type Connection = {
  readonly origin: string;
  /** Whether it has carried an answer before: then the receiver may have closed it without our knowing. */
  readonly isReused: () => boolean;
  readonly isOpen: () => boolean;
  /** Whether the request under way has had any byte of an answer. */
  readonly hasAnswerBegun: () => boolean;
  /** Sends one request, resolves with the final answer's status and headers. */
  readonly request: (request: OutboundRequest) => Promise<Dispatcher.ResponseData>;
  readonly destroy: (reason?: Error) => void;
  readonly onClose: (listener: () => void) => void;
};

// Receivers close idle connections after 5 s (Node) to 75 s (nginx); one that says when is believed, to 25 s.
const keepAliveMs = 4_000;
const keepAliveMaxMs = 25_000;
// Traffic must not keep a connection alive for ever: the name may point elsewhere by now.
const maxAgeMs = 60_000;
const maxHeaderBytes = 16 * 1024;
const maxInterimAnswers = 32;

/**
 * Speaks HTTP/1.1 over a socket that is already connected and judged, through an undici `Client` that can
 * never open another one. It has no time limits of its own: its user's single deadline destroys it.
 */
export function createConnection(origin: string, socket: Socket): Connection {
  const openedAt = performance.now();
  let answers = 0;
  let interim = 0;
  let awaitsHead = false;
  let bytesBefore = 0;
  let isTaken = false;
  readContinueAsProcessing(socket, () => awaitsHead);

  const client = new Client(origin, {
    connect: (_options, done) => {
      // Not at once: undici would not notice a connection made before its `connect` returned.
      queueMicrotask(() => {
        if (isTaken) done(new AttemptFailure('connection_closed'), null);
        else done(null, socket);
        isTaken = true;
      });
    },
    pipelining: 1,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: keepAliveMaxMs,
    keepAliveTimeoutThreshold: 1_000,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: maxHeaderBytes,
  });

  function checkInterim({ statusCode }: { statusCode: number }): void {
    interim += 1;
    // 101 switches to a protocol nobody asked for; undici takes anything below 200 for interim.
    if (statusCode === 101 || statusCode < 100 || interim > maxInterimAnswers) {
      throw new AttemptFailure('malformed_answer');
    }
  }

  async function request({ url, headers, body }: OutboundRequest): Promise<Dispatcher.ResponseData> {
    bytesBefore = socket.bytesRead;
    interim = 0;
    awaitsHead = true;
    try {
      const answer = await client.request({
        path: url.pathname + url.search,
        method: 'POST',
        headers,
        body,
        onInfo: checkInterim,
        highWaterMark: 16 * 1024,
      });
      answers += 1;
      return answer;
    } catch (error) {
      throw interim > 0 && isClosedByPeer(error) ? new AttemptFailure('malformed_answer') : error;
    } finally {
      awaitsHead = false;
    }
  }

  return {
    origin,
    request,
    isReused: () => answers > 0,
    isOpen: () => !socket.destroyed && !client.destroyed && performance.now() - openedAt < maxAgeMs,
    hasAnswerBegun: () => socket.bytesRead > bytesBefore,
    destroy: (reason) => {
      void client.destroy(reason ?? null);
      socket.destroy();
    },
    onClose: (listener) => void socket.once('close', listener),
  };
}

/**
 * undici fails a request whose answer begins with a `100 Continue` that it did not ask for, though RFC 9110,
 * 15.2 wants it ignored. It does ignore `102 Processing`, so a 100 is handed to it as one.
 */
function readContinueAsProcessing(socket: Socket, awaitsHead: () => boolean): void {
  const read = socket.read.bind(socket) as (size?: number) => Buffer | null;
  socket.read = (size?: number): Buffer | null => {
    const chunk = read(size);
    if (chunk !== null && awaitsHead() && /^HTTP\/1\.[01] 100$/.test(chunk.toString('latin1', 0, 12))) {
      chunk.write('2', 11);
    }
    return chunk;
  };
}

function isClosedByPeer(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'UND_ERR_SOCKET';
}
