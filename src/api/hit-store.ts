import type { Store } from 'express-rate-limit';

type Hits = { totalHits: number; resetTime: Date };

/**
 * Counts each client's hits in a window that begins with its first one, for at most so many clients: one more, and
 * the one whose window began first is forgotten. A stranger with many addresses costs no more memory than that.
 */
export function createHitStore(windowMs: number, maxClients: number) {
  // In the order in which windows began, hence of their ends.
  const clients = new Map<string, Hits>();

  function get(client: string): Hits | undefined {
    const found = clients.get(client);
    return found && found.resetTime.getTime() > Date.now() ? { ...found } : undefined;
  }

  function forget(): void {
    const now = Date.now();
    for (const [client, { resetTime }] of clients) {
      if (clients.size <= maxClients && resetTime.getTime() > now) return;
      clients.delete(client);
    }
  }

  return {
    localKeys: true,
    get,
    increment(client: string): Hits {
      const found = get(client);
      if (!found) clients.delete(client);
      const hits = {
        totalHits: (found?.totalHits ?? 0) + 1,
        resetTime: found?.resetTime ?? new Date(Date.now() + windowMs),
      };
      clients.set(client, hits);
      forget();
      return { ...hits };
    },
    decrement(client: string): void {
      const found = clients.get(client);
      if (found && found.totalHits > 0) found.totalHits -= 1;
    },
    resetKey: (client: string): void => void clients.delete(client),
  } satisfies Store;
}
