import { createConnection, type Connection } from './connection.ts';
import type { Connector } from './guarded-connector.ts';
import { untilEnded, type Progress } from './progress.ts';
import type { Target } from './target.ts';

type ConnectionPool = {
  /**
   * A connection to the URL's origin for this attempt alone: an idle one, else a new one, else whichever
   * comes free first. `fresh` asks for one that carried nothing yet, and gives up all idle ones to get it.
   */
  acquire: (url: Target, progress: Progress, fresh: boolean) => Promise<Connection>;
  /** Gives a connection back; one that may be used again stays open for a while. */
  release: (connection: Connection) => void;
  /** Ends idle connections; those in use end when they are released. */
  close: () => void;
  /** Origins with a connection or a waiter, idle connections. */
  stats: () => { origins: number; idle: number };
};

/** What a waiter gets: a connection, or leave to open one. */
type Grant = Connection | 'open';
type Origin = { slots: number; idle: Connection[]; waiting: ((grant: Grant) => void)[] };

type ConnectionPoolOptions = {
  connect: Connector;
  connectionsPerOrigin: number;
  maxIdleConnections: number;
};

/**
 * Keeps connections alive between attempts. undici's own `Pool` is not used because it tells neither which
 * connection a request travels on nor whether that one is reused, and because a request that waits in it
 * cannot be withdrawn: after its deadline it would still open connections.
 *
 * An origin is forgotten with its last connection, and idle connections end after seconds, so what is
 * kept for origins no longer used goes away by itself; `maxIdleConnections` bounds it in the meantime.
 */
export function createConnectionPool({
  connect,
  connectionsPerOrigin,
  maxIdleConnections,
}: ConnectionPoolOptions): ConnectionPool {
  const origins = new Map<string, Origin>();
  // In the order in which they became idle.
  const allIdle = new Set<Connection>();
  let isClosed = false;

  function freeSlot(key: string): void {
    const origin = origins.get(key);
    if (origin === undefined) return;
    const next = origin.waiting.shift();
    if (next !== undefined) return next('open');
    origin.slots -= 1;
    if (origin.slots === 0) origins.delete(key);
  }

  function endIdle(connection: Connection): void {
    // Already gone from the set: it was taken, or ended before.
    if (!allIdle.delete(connection)) return;
    const origin = origins.get(connection.origin);
    if (origin !== undefined) origin.idle = origin.idle.filter((each) => each !== connection);
    connection.destroy();
    freeSlot(connection.origin);
  }

  function takeIdle(origin: Origin): Connection | undefined {
    // The one used last is the one least likely to have been closed.
    const connection = origin.idle.pop();
    if (connection !== undefined) allIdle.delete(connection);
    return connection;
  }

  async function open(url: Target, progress: Progress): Promise<Connection> {
    try {
      const connection = createConnection(url.origin, await connect(url, progress));
      connection.onClose(() => endIdle(connection));
      return connection;
    } catch (error) {
      freeSlot(url.origin);
      throw error;
    }
  }

  function waitForGrant(origin: Origin, progress: Progress): Promise<Grant> {
    return untilEnded(progress, (resolve) => {
      origin.waiting.push(resolve);
      return () => {
        origin.waiting = origin.waiting.filter((each) => each !== resolve);
      };
    });
  }

  async function acquire(url: Target, progress: Progress, fresh: boolean): Promise<Connection> {
    const key = url.origin;
    if (fresh) origins.get(key)?.idle.forEach(endIdle);
    const origin = origins.get(key) ?? { slots: 0, idle: [], waiting: [] };
    origins.set(key, origin);
    let grant: Grant | undefined = takeIdle(origin);
    if (grant === undefined && origin.slots < connectionsPerOrigin) {
      origin.slots += 1;
      grant = 'open';
    }
    progress.phase = 'connect';
    grant ??= await waitForGrant(origin, progress);
    if (grant === 'open') return open(url, progress);
    if (!fresh) return grant;
    grant.destroy();
    return open(url, progress);
  }

  function release(connection: Connection): void {
    const origin = origins.get(connection.origin);
    if (origin === undefined || isClosed || !connection.isOpen()) {
      connection.destroy();
      return freeSlot(connection.origin);
    }
    const next = origin.waiting.shift();
    if (next !== undefined) return next(connection);
    origin.idle.push(connection);
    allIdle.add(connection);
    for (const oldest of allIdle) {
      if (allIdle.size <= maxIdleConnections) break;
      endIdle(oldest);
    }
  }

  return {
    acquire,
    release,
    close: () => {
      isClosed = true;
      allIdle.forEach(endIdle);
    },
    stats: () => ({ origins: origins.size, idle: allIdle.size }),
  };
}
