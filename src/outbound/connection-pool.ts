import { createConnection, type Connection } from './connection.ts';
import { createFairLimit, type FairLimit } from './fair-limit.ts';
import type { Caller, Connector, OpenConnection } from './guarded-connector.ts';
import type { Progress } from './progress.ts';
import type { Target } from './target.ts';

/** The right to one connection, for one attempt alone. */
export type Lease = {
  /** An idle connection, else a new one. */
  connect: () => Promise<Connection>;
  /** An unused one, in place of the first. Gives up all idle ones of its origin, which may be dead as well. */
  connectAnew: () => Promise<Connection>;
  /** Ends the lease; a connection that may be used again stays open for a while. */
  release: () => void;
};

type ConnectionPool = {
  /**
   * Waits, with `progress.phase` on `wait`, until the caller may have a connection to the URL's origin. Rejected with
   * `SenderBusy`, or with the reason when the attempt ends early.
   */
  acquire: (url: Target, caller: Caller, progress: Progress) => Promise<Lease>;
  /** Ends idle connections; those in use end when they are released. */
  close: () => void;
  /** Origins with a connection or a waiter, idle connections. */
  stats: () => { origins: number; idle: number };
};

type Origin = { limit: FairLimit; idle: Connection[] };

type ConnectionPoolOptions = {
  connect: Connector;
  connectionsPerOrigin: number;
  maxIdleConnections: number;
};

/** Of one account's test events to one origin: they are made by hand, and nothing else limits how many are under way. */
const maxOfTests = 4;

/**
 * Keeps connections alive between attempts. It does not use the `Agent` of node:http, which shares its sockets out to nobody
 * in particular; a request that waits in it would open a connection after its deadline.
 *
 * Many accounts may have receivers at one origin. An account has half of its connections at most, its test events a few
 * beside these, and one that becomes free goes to who has the fewest: an account whose receivers hang leaves half to others.
 *
 * A connection is used again only with the client certificate that it was opened with.
 *
 * An origin is forgotten with its last connection, and idle connections end after seconds, so no origin
 * is kept for long without use; `maxIdleConnections` limits their number in the meantime.
 *
 * @example
 * const lease = await pool.acquire(url, { accountId: 'acc_1', isTest: false }, progress);
 * try {
 *   await (await lease.connect()).request({ url, headers, body }, progress);
 * } finally {
 *   lease.release();
 * }
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

  function forgetIfUnused(key: string): void {
    const origin = origins.get(key);
    if (origin?.limit.isUnused() && origin.idle.length === 0) origins.delete(key);
  }

  function endIdle(connection: Connection): void {
    // Not in the set: it is in use, or ended before.
    if (!allIdle.delete(connection)) return;
    const origin = origins.get(connection.origin);
    if (origin !== undefined) origin.idle = origin.idle.filter((each) => each !== connection);
    connection.destroy();
    forgetIfUnused(connection.origin);
  }

  function takeIdle({ idle }: Origin, identityId: string): Connection | undefined {
    // The one used last is the one least likely to have been closed.
    const index = idle.findLastIndex((each) => each.identityId === identityId);
    const [connection] = index === -1 ? [] : idle.splice(index, 1);
    if (connection !== undefined) allIdle.delete(connection);
    return connection;
  }

  function putBack(origin: Origin, connection: Connection): void {
    if (isClosed || !connection.isOpen()) return connection.destroy();
    origin.idle.push(connection);
    allIdle.add(connection);
    for (const oldest of allIdle) {
      if (allIdle.size <= maxIdleConnections) break;
      endIdle(oldest);
    }
  }

  async function acquire(url: Target, caller: Caller, progress: Progress): Promise<Lease> {
    const key = url.origin;
    const origin = origins.get(key) ?? { limit: createFairLimit(connectionsPerOrigin), idle: [] };
    origins.set(key, origin);
    const { limit } = origin;
    const half = Math.ceil(connectionsPerOrigin / 2);
    const [holder, most] = caller.isTest
      ? [`test ${caller.accountId}`, Math.min(maxOfTests, half)]
      : [caller.accountId, half];
    await limit.acquire(holder, most, progress);

    const identityId = caller.identity?.id ?? '';
    let connection = takeIdle(origin, identityId);
    const release = (): void => {
      // First of all, for the next one uses it.
      if (connection !== undefined) putBack(origin, connection);
      limit.release(holder);
      forgetIfUnused(key);
    };
    const prepare = () => connect(url, caller, progress);
    const openWith = async (open: OpenConnection): Promise<Connection> => {
      const opened = createConnection(key, await open(), identityId);
      opened.onClose(() => endIdle(opened));
      connection = opened;
      return opened;
    };
    try {
      const open = connection === undefined ? await prepare() : undefined;
      return {
        connect: async () => connection ?? openWith(open ?? (await prepare())),
        connectAnew: async () => {
          connection?.destroy();
          connection = undefined;
          origin.idle.forEach(endIdle);
          return openWith(await prepare());
        },
        release,
      };
    } catch (error) {
      release();
      throw error;
    }
  }

  return {
    acquire,
    close: () => {
      isClosed = true;
      allIdle.forEach(endIdle);
    },
    stats: () => ({ origins: origins.size, idle: allIdle.size }),
  };
}
