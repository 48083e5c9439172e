import type { LookupAddress } from 'node:dns';
import { LRUCache } from 'lru-cache';
import { AttemptFailure } from './attempt-failure.ts';
import { createFairLimit } from './fair-limit.ts';
import { untilEnded, type Progress } from './progress.ts';
import type { Lookup } from './resolver.ts';
import { SenderBusy } from './sender-busy.ts';

/** For whom an attempt is made. */
export type Client = { accountId: string; isTest: boolean };

/** Waits for the addresses that a lookup finds. Rejected with the lookup's own error, or with the reason when the attempt ends early. */
export type FindAddresses = (progress: Progress) => Promise<readonly LookupAddress[]>;

export type HostNames = {
  /**
   * Begins a lookup, unless the addresses are known or one is under way. Before, it waits while the account is at its limit,
   * with `progress.phase` on `wait`. Rejected with `SenderBusy`, or with the reason when the attempt ends early.
   */
  prepare: (host: string, client: Client, progress: Progress) => Promise<FindAddresses>;
  /** Forgets these addresses, so that the name is looked up again. Newer results stay. */
  forget: (host: string, addresses: readonly LookupAddress[]) => void;
};

type Options = {
  lookup: Lookup;
  /** For how many milliseconds addresses are kept; 0: not at all. */
  keepMs: number;
  /** An attempt's whole time, in milliseconds, unless it has a limit of its own. */
  limitMs: number;
  /** The longest lookup, in milliseconds: the whole time of the longest attempt; `limitMs` unless given. */
  longestMs?: number | undefined;
};

type Waiter = {
  isTest: boolean;
  resolve: (addresses: readonly LookupAddress[]) => void;
  reject: (error: unknown) => void;
};

const maxHosts = 1_000;
const maxFailedHosts = 10_000;
/** Lookups under way: an account's, and all. Each needs a socket, and two queries of the name server's. */
const maxOfAccount = 32;
const maxOfAll = 1_000;
/** A lookup that takes longer, in milliseconds, is slow: most take less than 100. */
const slowAfterMs = 1_000;
/** Less than the first wait of the default schedule (60 s), so that a delivery's own next attempt looks up anew. */
const keepSlowFailuresMs = 15_000;

/**
 * Looks names up, and keeps the addresses for `keepMs`. Attempts to one host at the same time share one lookup. It ends
 * when the last of them has gone.
 *
 * A lookup that hangs does not delay others. An account has 32 lookups under way at most; further ones wait for these. Of the
 * attempts that wait for a lookup of more than a second all but the first come back later (`SenderBusy`), for each would
 * occupy a slot of its worker. A lookup that failed after more than a second is not repeated for 15 s: attempts in that time
 * fail at once, with the error that they would get after the whole time limit, and are retried by their schedule. Failures
 * that came quickly are not kept: a corrected name works at once.
 *
 * It judges nothing: kept addresses are judged again when a connection is opened.
 *
 * @example
 * const names = createHostNames({ lookup: createResolver(), keepMs: 5_000, limitMs: 5_000 });
 * const find = await names.prepare('example.com', { accountId: 'acc_1', isTest: false }, progress);
 * await find(progress); // [{ address: '93.184.216.34', family: 4 }]
 */
export function createHostNames({ lookup, keepMs, limitMs, longestMs = limitMs }: Options): HostNames {
  const kept = new LRUCache<string, readonly LookupAddress[]>({ max: maxHosts, ttl: keepMs });
  const failed = new LRUCache<string, { error: unknown }>({ max: maxFailedHosts, ttl: keepSlowFailuresMs });
  const underWay = new Map<string, (client: Client) => FindAddresses>();
  const limit = createFairLimit(maxOfAll);
  const slowMs = Math.min(slowAfterMs, limitMs / 2);

  function start(host: string, accountId: string): (client: Client) => FindAddresses {
    const startedAt = performance.now();
    const running = lookup(host);
    const waiters = new Set<Waiter>();
    let isSlow = false;
    let finish: ((waiter: Waiter) => void) | undefined;

    // An attempt with a short limit of its own shows nothing to the others.
    const end = (addresses: readonly LookupAddress[], error?: unknown, failedAfterMs = slowMs): void => {
      if (finish !== undefined) return;
      finish = ({ resolve, reject }) => (error === undefined ? resolve(addresses) : reject(error));
      underWay.delete(host);
      clearTimeout(slowTimer);
      clearTimeout(limitTimer);
      running.cancel();
      limit.release(accountId);
      if (addresses.length > 0 && keepMs > 0) kept.set(host, addresses);
      if (error !== undefined && performance.now() - startedAt >= failedAfterMs) failed.set(host, { error });
      waiters.forEach(finish);
    };
    const onSlow = (): void => {
      isSlow = true;
      for (const waiter of [...waiters].slice(1)) {
        if (waiter.isTest) continue;
        waiters.delete(waiter);
        waiter.reject(new SenderBusy());
      }
    };
    const join = ({ isTest }: Client): FindAddresses => {
      return (progress) =>
        untilEnded(progress, (resolve, reject) => {
          const waiter = { isTest, resolve, reject };
          // A name in the hosts file is found before anybody waits for it.
          if (finish !== undefined) finish(waiter);
          else if (isSlow && !isTest && waiters.size > 0) reject(new SenderBusy());
          else waiters.add(waiter);
          return () => {
            waiters.delete(waiter);
            if (waiters.size === 0) end([], new AttemptFailure('timeout_dns'), 0.9 * limitMs);
          };
        });
    };
    underWay.set(host, join);
    const slowTimer = setTimeout(onSlow, slowMs);
    const limitTimer = setTimeout(() => {
      // A busy event loop runs timers first: a response that is already here is handled first.
      setImmediate(() => end([], new AttemptFailure('timeout_dns')));
    }, longestMs);
    running.addresses.then(end, (error: unknown) => end([], error));
    return join;
  }

  function findKnown(host: string, client: Client): FindAddresses | undefined {
    const addresses = kept.get(host);
    if (addresses !== undefined) return () => Promise.resolve(addresses);
    const failure = failed.get(host);
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- it is the error that a lookup ended with
    if (failure !== undefined) return () => Promise.reject(failure.error);
    return underWay.get(host)?.(client);
  }

  return {
    async prepare(host, client, progress) {
      const known = findKnown(host, client);
      if (known !== undefined) return known;
      const { accountId } = client;
      if (!limit.tryAcquire(accountId, maxOfAccount)) {
        await limit.acquire(accountId, maxOfAccount, progress);
        const meanwhile = findKnown(host, client);
        if (meanwhile !== undefined) {
          limit.release(accountId);
          return meanwhile;
        }
      }
      return start(host, accountId)(client);
    },
    forget: (host, addresses) => {
      if (kept.peek(host) === addresses) kept.delete(host);
    },
  };
}
