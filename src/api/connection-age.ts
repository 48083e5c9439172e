import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Ends connections with the header `Connection: close` on a response. The client then opens another one, so no request is
 * lost.
 *
 * @param maxAgeMs a connection that is older ends with its next response; by default, none does
 */
export function limitConnections(server: Server, maxAgeMs = Infinity): { endEach(): void } {
  const openedAt = new WeakMap<Socket, number>();
  let isEnding = false;
  server.on('connection', (socket: Socket) => openedAt.set(socket, performance.now()));
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    const isOld = performance.now() - (openedAt.get(socket) ?? 0) > maxAgeMs;
    if (isEnding || isOld) response.shouldKeepAlive = false;
  });
  return {
    /** From now on, each with its next response. */
    endEach() {
      isEnding = true;
    },
  };
}
