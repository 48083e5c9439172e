import { LRUCache } from 'lru-cache';

/** A client's calls since its window began, and when the window ends (milliseconds since 1970). */
export type CallWindow = { calls: number; endsAt: number };

const windowMs = 60_000;
const maxClients = 100_000;

/**
 * Counts each client's calls in a window that begins with its first one, for at most so many clients: one more, and the one
 * whose window began first is forgotten. A stranger with many addresses costs no more memory than that.
 */
export function createCallCounter(windowMs: number, maxClients: number) {
  // `max` in place of `maxSize` would reserve the memory for all of them at once.
  const windows = new LRUCache<string, CallWindow>({
    maxSize: maxClients,
    sizeCalculation: () => 1,
  });
  return (client: string): CallWindow => {
    // `get` would change the order, which is that in which windows began.
    let window = windows.peek(client);
    if (window === undefined || window.endsAt <= Date.now()) {
      window = { calls: 0, endsAt: Date.now() + windowMs };
      windows.set(client, window);
    }
    window.calls += 1;
    // As it is now: it may be read after the next call.
    return { ...window };
  };
}

/** A call of a client, and the limit that it counts for: so many calls a minute. */
export type CountedCall = { limit: string; client: string; perMinute: number };
export type CountCall = (call: CountedCall) => CallWindow | Promise<CallWindow>;

/** Counts the calls of each limit, a minute long, in this process. */
export function createCallCounts(): (call: CountedCall) => CallWindow {
  const counters = new Map<string, ReturnType<typeof createCallCounter>>();
  return ({ limit, client }) => {
    const count = counters.get(limit) ?? createCallCounter(windowMs, maxClients);
    counters.set(limit, count);
    return count(client);
  };
}
