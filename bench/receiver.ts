import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { nowMs } from './clock.ts';
import { serveCalls } from './remote.ts';

/**
 * The load's target, a process of its own. The first letter of the path is the manner: `healthy` responds with
 * 200 at once, `failing` with 503 to an event's first request and then with 200, `hanging` never.
 */
export type Manner = 'healthy' | 'failing' | 'hanging';

/** The requests of each event: `firstAt` when the first one's body was complete, `deliveredAt` that of the one that got a 200. */
export type Arrivals = {
  ids: string[];
  counts: Uint32Array;
  firstAt: Float64Array;
  /** NaN: not delivered. */
  deliveredAt: Float64Array;
};

type Arrival = { count: number; firstAt: number; deliveredAt: number };

let arrivals = new Map<string, Arrival>();
let delivered = 0;
let requests = 0;

function receive(request: IncomingMessage, response: ServerResponse): void {
  request.resume().on('end', () => {
    const at = nowMs();
    const id = String(request.headers['webhook-id']);
    let arrival = arrivals.get(id);
    if (!arrival) {
      arrival = { count: 0, firstAt: at, deliveredAt: NaN };
      arrivals.set(id, arrival);
    }
    arrival.count += 1;
    requests += 1;
    const letter = request.url?.[1];
    if (letter === 'x') return;
    if (letter === 'f' && arrival.count === 1) {
      response.statusCode = 503;
    } else if (Number.isNaN(arrival.deliveredAt)) {
      arrival.deliveredAt = at;
      delivered += 1;
    }
    response.end();
  });
}

const calls = {
  /** Returns its origin. */
  async listen(): Promise<string> {
    // The sender closes the connections.
    const server = createServer({ keepAliveTimeout: 120_000, requestTimeout: 0 }, receive);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  },
  /** Forgets all requests. */
  reset(): void {
    arrivals = new Map();
    delivered = 0;
    requests = 0;
  },
  progress: () => ({ delivered, requests }),
  take(): Arrivals {
    const list = [...arrivals.values()];
    return {
      ids: [...arrivals.keys()],
      counts: Uint32Array.from(list, ({ count }) => count),
      firstAt: Float64Array.from(list, ({ firstAt }) => firstAt),
      deliveredAt: Float64Array.from(list, ({ deliveredAt }) => deliveredAt),
    };
  },
};
export type ReceiverCalls = typeof calls;

export const pathOf: Record<Manner, string> = { healthy: '/h', failing: '/f', hanging: '/x' };

if (process.argv[1] === import.meta.filename) serveCalls(calls);
