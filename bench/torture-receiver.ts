import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const manners = ['healthy', 'failing', 'slow', 'resetting', 'refusing'] as const;
export type Manner = (typeof manners)[number];

/** What a webhook's requests must have, or that a failing receiver responds with one 429 and `Retry-After`. */
export type Demand = 'nothing' | 'bearer' | 'oauth2' | 'patience';
export const bearerToken = 'torture';

export type TortureReceiver = {
  url(manner: Manner, webhook: number, demand: Demand): string;
  /** Gives access tokens that are accepted for a few seconds only, so each is refused while the service still keeps it. */
  tokenUrl: string;
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

/** For how long an access token is accepted. */
const tokenMs = 5000;

/** Responds as the path says: at once; with 503 twice, then with 200; after a second; with one reset, then with 200; or with 404. */
export async function startTortureReceiver(): Promise<TortureReceiver> {
  const requests = new Map<string, number>();
  const attempts = new Set<string>();
  const firstRequests = new Map<number, string[]>();
  const overlaps: TortureReceiver['overlaps'] = [];
  const underWay = new Map<string, Set<{ event: string }>>();
  const tokens = new Map<string, number>();
  let lastAt = Date.now();
  const isAllowed = (demand: string, authorization = ''): boolean => {
    const token = authorization.replace('Bearer ', '');
    if (demand === 'bearer') return token === bearerToken;
    return demand !== 'oauth2' || (tokens.get(token) ?? 0) > Date.now() - tokenMs;
  };
  const giveToken = (response: ServerResponse): void => {
    const token = randomUUID();
    tokens.set(token, Date.now());
    response.end(JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: 3600 }));
  };
  const server: Server = createServer((request, response) => {
    request.resume().on('end', () => {
      const [, manner = '', webhook = '', demand = ''] = request.url?.split('/') ?? [];
      if (manner === 'token') return giveToken(response);
      attempts.add(String(request.headers['x-fltr-delivery']));
      if (!isAllowed(demand, request.headers.authorization)) return void response.writeHead(401).end();
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
      lastAt = Date.now();
      if (manner === 'resetting' && count === 1) request.socket.resetAndDestroy();
      else if (manner === 'slow') setTimeout(() => response.end(), 1000);
      else if (manner === 'refusing') response.writeHead(404).end();
      else if (manner === 'failing' && demand === 'patience' && count === 1)
        response.writeHead(429, { 'retry-after': '1' }).end();
      else if (manner === 'failing' && demand !== 'patience' && count <= 2) response.writeHead(503).end();
      else response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: (manner, webhook, demand) => `http://127.0.0.1:${port}/${manner}/${webhook}/${demand}`,
    tokenUrl: `http://127.0.0.1:${port}/token`,
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
