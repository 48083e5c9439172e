import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Received = { method: string; path: string; headers: IncomingHttpHeaders; body: Buffer; at: Date };
export type Receiver = { url: string; requests: Received[]; close(): Promise<void> };
type Respond = (request: Received, response: ServerResponse, all: Received[]) => void;

/** A real HTTP receiver on loopback that keeps its requests. Without `respond`, it responds with 200. */
export async function startReceiver(
  respond: Respond = (_request, response) => response.end('ok'),
): Promise<Receiver> {
  const requests: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const received = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks),
        at: new Date(),
      };
      requests.push(received);
      respond(received, response, requests);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    requests,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
