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
  /** The events of each webhook in the order of their first requests. */
  firstRequests: Map<number, string[]>;
  /** Each request that came while one of another event with the same order key was under way at its webhook. */
  overlaps: { webhook: number; event: string }[];
  /** When the last one came, ms since 1970. */
  lastAt(): number;
  close(): Promise<void>;
};

/** Null: the event was published through an outbox, without an order key. */
const publisherOf = (event: string): string | null => /^evt_(\d+)_\d+$/.exec(event)?.[1] ?? null;

/**
 * Requests to an ordered webhook that came too early: beside one of another event of their line, or before an event of their line that
 * was accepted earlier.
 */
export function countOutOfOrder(
  { firstRequests, overlaps }: Pick<TortureReceiver, 'firstRequests' | 'overlaps'>,
  webhook: number,
): number {
  let count = overlaps.filter((each) => each.webhook === webhook && publisherOf(each.event) !== null).length;
  const highest = new Map<string, number>();
  for (const event of firstRequests.get(webhook) ?? []) {
    const publisher = publisherOf(event);
    if (publisher === null) continue;
    const number = Number(event.split('_')[2]);
    if (number < (highest.get(publisher) ?? -1)) count += 1;
    else highest.set(publisher, number);
  }
  return count;
}

/** Responds as the path says: at once; with 503 twice, then with 200; after a second; with one reset, then with 200; or with 404. */
export async function startTortureReceiver(): Promise<TortureReceiver> {
  const requests = new Map<string, number>();
  const attempts = new Set<string>();
  const firstRequests = new Map<number, string[]>();
  const overlaps: TortureReceiver['overlaps'] = [];
  const underWay = new Map<string, Set<{ event: string }>>();
  let lastAt = Date.now();
  const server: Server = createServer((request, response) => {
    request.resume().on('end', () => {
      const [, manner = '', webhook = ''] = request.url?.split('/') ?? [];
      const event = String(request.headers['webhook-id']);
      const key = `${event} ${webhook}`;
      const count = (requests.get(key) ?? 0) + 1;
      const number = Number(webhook);
      if (count === 1) firstRequests.set(number, [...(firstRequests.get(number) ?? []), event]);
      const line = `${webhook} ${publisherOf(event)}`;
      const others = underWay.get(line) ?? new Set();
      underWay.set(line, others);
      if ([...others].some((other) => other.event !== event)) overlaps.push({ webhook: number, event });
      const now = { event };
      others.add(now);
      response.on('close', () => others.delete(now));
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
    firstRequests,
    overlaps,
    lastAt: () => lastAt,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
