import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Ends connections with a response that says so, `Connection: close`: the client then opens another one, and no request is
 * lost. From `maxAgeMs` on each connection ends so, absent: none does.
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
