import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { AttemptFailure, classifyFailure, parserReason } from './attempt-failure.ts';
import { readBrokenHead } from './broken-head.ts';
import type { Progress } from './progress.ts';
import { createBodyKeeper } from './response-body.ts';
import { boundHeaders } from './response-headers.ts';
import type { Target } from './target.ts';

export type OutboundRequest = { url: Target; headers: Record<string, string>; body: Buffer | Uint8Array };
export type HttpResponse = {
  statusCode: number;
  headers: Record<string, string>;
  /** At most 16 KiB, as they came. */
  body: Buffer;
  /** The body had more, broke off, or was not there in time. */
  truncated: boolean;
};

type Listeners = {
  /** The request has its socket; nothing has been read from it yet. */
  onSocket: () => void;
  /** Status and headers are complete; with the value of `Keep-Alive`. */
  onHead: (keepAlive: string | undefined) => void;
  /** The bytes that have come of status and headers. */
  readHead: () => Buffer;
};

const maxHeaderBytes = 64 * 1024;
const maxInterimResponses = 32;

/**
 * One request and its final response, on a connected socket. Interim responses (1xx) are passed over. It has no time
 * limit of its own: it ends when `progress` does, with the part of the body that has come.
 *
 * Responses are parsed leniently, as browsers and curl do: folded headers, bare line feeds, `Content-Length` beside
 * `Transfer-Encoding`. The parser is called insecure because of servers that pass requests on. Here, a response affects only
 * its own delivery.
 *
 * `closing`: the receiver ends the connection after this response. Rejected with an `AttemptFailure` where it is not HTTP,
 * else with the error of node:http, net or tls; the socket's owner destroys it then.
 *
 * @example
 * const { response } = await exchange(agent, { url, headers, body }, progress, listeners);
 * response.statusCode; // 200
 */
export function exchange(
  socket: Socket,
  { url, headers, body }: OutboundRequest,
  progress: Progress,
  { onSocket, onHead, readHead }: Listeners,
): Promise<{ response: HttpResponse; closing: boolean }> {
  return new Promise((resolve, reject) => {
    const kept = createBodyKeeper();
    let interimCount = 0;
    let incoming: IncomingMessage | undefined;
    let brokeOff = false;
    let isDone = false;

    const sent = httpRequest({
      createConnection: () => socket,
      method: 'POST',
      path: url.pathname + url.search,
      headers: headerLines(url.host, headers, body.length),
      insecureHTTPParser: true,
      maxHeaderSize: maxHeaderBytes,
    });
    // Without an `Agent`, node:http would end the connection after the response.
    sent.shouldKeepAlive = true;

    const fail = (error: Error): void => {
      if (isDone) return;
      isDone = true;
      progress.onEnd = undefined;
      reject(error);
    };
    const refuse = (reason: string, { statusCode, headersDistinct }: Refused): void => {
      fail(
        new AttemptFailure('malformed_response', reason, {
          statusCode: statusCode ?? null,
          headers: boundHeaders(headersDistinct ?? {}),
        }),
      );
      sent.destroy();
    };
    const succeed = ({ statusCode = 0, headersDistinct }: IncomingMessage, truncated: boolean): void => {
      if (isDone) return;
      isDone = true;
      progress.onEnd = undefined;
      // The rest of a request whose response came first would be in the way of the next request.
      if (truncated || !sent.writableFinished) sent.destroy();
      const response = { statusCode, headers: boundHeaders(headersDistinct), body: kept.read(), truncated };
      resolve({ response, closing: !sent.shouldKeepAlive });
    };

    progress.onEnd = (reason) => (incoming === undefined ? fail(reason) : succeed(incoming, true));
    sent.once('socket', onSocket);
    sent.on('error', (error) => {
      if (incoming === undefined) fail(explain(error, interimCount, readHead));
      // The rest of the body that has come is still to be read.
      else brokeOff ||= !incoming.complete;
    });
    sent.on('information', (interim) => {
      interimCount += 1;
      if (interimCount > maxInterimResponses)
        refuse(`more than ${maxInterimResponses} interim responses`, interim);
    });
    sent.on('upgrade', (upgraded) => refuse('status 101: no other protocol was requested', upgraded));
    sent.on('response', (message) => {
      const { statusCode = 0, headersDistinct } = message;
      if (statusCode < 200) return refuse(`its status is ${statusCode}`, message);
      incoming = message;
      // Where the two disagree, it is uncertain where the next response begins (RFC 9112, 6.3).
      if (headersDistinct['content-length'] && headersDistinct['transfer-encoding'])
        sent.shouldKeepAlive = false;
      onHead(headersDistinct['keep-alive']?.[0]);
      message.on('data', (chunk: Buffer) => {
        if (!kept.keep(chunk)) succeed(message, true);
      });
      message.on('end', () => succeed(message, brokeOff));
      message.on('error', () => succeed(message, true));
    });
    sent.end(body);
  });
}

type Refused = { statusCode?: number | undefined; headersDistinct?: NodeJS.Dict<string[]> };

/** Names as the caller wrote them; the client's own three stand around them. */
function headerLines(host: string, headers: Record<string, string>, length: number): string[] {
  const lines = ['host', host, 'connection', 'keep-alive'];
  for (const name of Object.keys(headers)) lines.push(name, headers[name] ?? '');
  lines.push('content-length', String(length));
  return lines;
}

function explain(error: Error, interimCount: number, readHead: () => Buffer): Error {
  const reason = parserReason(error);
  if (reason !== undefined)
    return new AttemptFailure('malformed_response', reason, readBrokenHead(readHead()));
  if (interimCount === 0 || classifyFailure(error, 'response') !== 'connection_closed') return error;
  return new AttemptFailure('malformed_response', 'no final response follows the interim one');
}
