import type { Socket } from 'node:net';
import { Client } from 'undici';
import { createBodyKeeper } from './answer-body.ts';
import { boundHeaders } from './answer-headers.ts';
import { AttemptFailure } from './attempt-failure.ts';
import { throwIfEnded, type Progress } from './progress.ts';
import type { Target } from './target.ts';

export type OutboundRequest = { url: Target; headers: Record<string, string>; body: Buffer | Uint8Array };
export type Answer = {
  statusCode: number;
  headers: Record<string, string>;
  /** At most 16 KiB, as they came. */
  body: Buffer;
  /** The body had more, broke off, or was not there in time. */
  truncated: boolean;
};

/** One socket to one origin, used by one attempt at a time. */
export type Connection = {
  readonly origin: string;
  /** Whether it has carried an answer before: then the receiver may have closed it without our knowing. */
  readonly isReused: () => boolean;
  readonly isOpen: () => boolean;
  /** Whether the request under way has had any byte of an answer. */
  readonly hasAnswerBegun: () => boolean;
  /**
   * Sends one request, resolves with the final answer. Once its status and headers are here it is not rejected: an
   * attempt that ends early then cuts the body. Whatever is cut or fails ends the connection.
   */
  readonly request: (request: OutboundRequest, progress: Progress) => Promise<Answer>;
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
const noBody = Buffer.alloc(0);

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

  function destroy(reason?: Error): void {
    void client.destroy(reason ?? null);
    socket.destroy();
  }

  function checkInterim(statusCode: number): void {
    interim += 1;
    // 101 switches to a protocol nobody asked for; undici takes anything below 200 for interim.
    if (statusCode === 101 || statusCode < 100 || interim > maxInterimAnswers) {
      throw new AttemptFailure('malformed_answer');
    }
  }

  function request({ url, headers, body }: OutboundRequest, progress: Progress): Promise<Answer> {
    return new Promise((resolve, reject) => {
      throwIfEnded(progress);
      progress.phase = 'answer';
      bytesBefore = socket.bytesRead;
      interim = 0;
      awaitsHead = true;
      const kept = createBodyKeeper();
      let answer: Answer | undefined;
      let isSettled = false;

      const settle = (error: Error | undefined, truncated: boolean): void => {
        if (isSettled) return;
        isSettled = true;
        awaitsHead = false;
        progress.onEnd = undefined;
        if (answer === undefined) {
          reject(interim > 0 && isClosedByPeer(error) ? new AttemptFailure('malformed_answer') : error);
        } else {
          answer.body = kept.read();
          answer.truncated = truncated;
          resolve(answer);
        }
        if (answer === undefined || truncated) destroy(error);
      };

      progress.onEnd = (reason) => settle(reason, true);
      // `dispatch`, because what `request` adds is a stream for each body.
      client.dispatch(
        { path: url.pathname + url.search, method: 'POST', headers, body },
        {
          // By this one undici knows handlers of the present kind.
          onRequestStart: () => {},
          onResponseStart: (_controller, statusCode, answerHeaders) => {
            if (statusCode < 200) return checkInterim(statusCode);
            awaitsHead = false;
            answers += 1;
            answer = { statusCode, headers: boundHeaders(answerHeaders), body: noBody, truncated: true };
          },
          onResponseData: (_controller, chunk) => {
            if (!kept.keep(chunk)) settle(undefined, true);
          },
          onResponseEnd: () => settle(undefined, false),
          onResponseError: (_controller, error) => settle(error, true),
        },
      );
    });
  }

  return {
    origin,
    request,
    isReused: () => answers > 0,
    isOpen: () => !socket.destroyed && !client.destroyed && performance.now() - openedAt < maxAgeMs,
    hasAnswerBegun: () => socket.bytesRead > bytesBefore,
    destroy,
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
    // The cheap look first: few answers have a `1` there.
    if (chunk?.[9] === 0x31 && awaitsHead() && /^HTTP\/1\.[01] 100$/.test(chunk.toString('latin1', 0, 12))) {
      chunk.write('2', 11);
    }
    return chunk;
  };
}

function isClosedByPeer(error: Error | undefined): boolean {
  return error instanceof Error && 'code' in error && error.code === 'UND_ERR_SOCKET';
}
