import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export const manners = ['healthy', 'failing', 'slow', 'resetting', 'refusing'] as const;
export type Manner = (typeof manners)[number];

export type TortureReceiver = {
  url(manner: Manner, webhook: number): string;
  /** Requests that came, by `event id` and webhook. */
  requests: Map<string, number>;
  /** Attempts that came: a request that the sender repeats at once, on a fresh connection, is the same attempt. */
  attempts: Set<string>;
  /** When the last one came, ms since 1970. */
  lastAt(): number;
  close(): Promise<void>;
};

/** Responds as the path says: at once; with 503 twice, then with 200; after a second; with one reset, then with 200; or with 404. */
export async function startTortureReceiver(): Promise<TortureReceiver> {
  const requests = new Map<string, number>();
  const attempts = new Set<string>();
  let lastAt = Date.now();
  const server: Server = createServer((request, response) => {
    request.resume().on('end', () => {
      const [, manner = '', webhook = ''] = request.url?.split('/') ?? [];
      const key = `${String(request.headers['webhook-id'])} ${webhook}`;
      const count = (requests.get(key) ?? 0) + 1;
      requests.set(key, count);
      attempts.add(String(request.headers['x-fltr-delivery']));
      lastAt = Date.now();
      if (manner === 'resetting' && count === 1) request.socket.resetAndDestroy();
      else if (manner === 'slow') setTimeout(() => response.end(), 1000);
      else
        response
          .writeHead(manner === 'refusing' ? 404 : manner === 'failing' && count <= 2 ? 503 : 200)
          .end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: (manner, webhook) => `http://127.0.0.1:${port}/${manner}/${webhook}`,
    requests,
    attempts,
    lastAt: () => lastAt,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
