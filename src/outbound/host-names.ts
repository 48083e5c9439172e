import type { LookupAddress } from 'node:dns';
import { LRUCache } from 'lru-cache';
import { AttemptFailure } from './attempt-failure.ts';
import { createPlaces } from './places.ts';
import { untilEnded, type Progress } from './progress.ts';
import type { Lookup } from './resolver.ts';
import { SenderBusy } from './sender-busy.ts';

/** For whom an attempt is made. */
export type Client = { accountId: string; isTest: boolean };

/** Waits for what a lookup finds. Rejected with the lookup's own error, or with the reason when the attempt ends early. */
export type FindAddresses = (progress: Progress) => Promise<readonly LookupAddress[]>;

export type HostNames = {
  /**
   * Begins a lookup, unless the addresses are known or one is under way. It waits for one of the account's places before,
   * with `progress.phase` on `wait`. Rejected with `SenderBusy`, or with the reason when the attempt ends early.
   */
  prepare: (host: string, client: Client, progress: Progress) => Promise<FindAddresses>;
  /** Asks anew from now on; what has been found since then stays. */
  forget: (host: string, addresses: readonly LookupAddress[]) => void;
};

type Options = {
  lookup: Lookup;
  /** For how many milliseconds addresses are kept; 0: not at all. */
  keepMs: number;
  /** The longest lookup, in milliseconds: an attempt's whole time. */
  limitMs: number;
};

type Waiter = {
  isTest: boolean;
  resolve: (addresses: readonly LookupAddress[]) => void;
  reject: (error: unknown) => void;
};

const maxHosts = 1_000;
const maxFailedHosts = 10_000;
/** Lookups under way: an account's, and all. Each needs a socket, and two places of the name server's. */
const maxOfAccount = 32;
const maxOfAll = 1_000;
/** What takes longer than this many milliseconds is slow: most lookups take less than 100. */
const slowAfterMs = 1_000;
/** Less than the first wait of the default schedule (60 s), so that a delivery's own next attempt asks anew. */
const keepSlowFailuresMs = 15_000;

/**
 * Looks names up, and keeps the addresses for `keepMs`. Attempts to one host at the same time share one lookup. It ends
 * when the last of them has gone.
 *
 * What hangs does not delay others. An account has 32 lookups under way at most; what is more waits for these. Of the
 * attempts that wait for a lookup of more than a second all but the first come back later (`SenderBusy`), for each would
 * hold a place of its worker. A lookup that failed after more than a second is not repeated for 15 s: attempts in that time
 * fail at once, in the same way. They are told what they would have learned after the whole time limit, and are retried by
 * their schedule. Failures that came quickly are not kept: who mends a name is not made to wait.
 *
 * It judges nothing: addresses that were kept are judged again by whoever connects to them.
 *
 * @example
 * const names = createHostNames({ lookup: createResolver(), keepMs: 5_000, limitMs: 5_000 });
 * const find = await names.prepare('example.com', { accountId: 'acc_1', isTest: false }, progress);
 * await find(progress); // [{ address: '93.184.216.34', family: 4 }]
 */
export function createHostNames({ lookup, keepMs, limitMs }: Options): HostNames {
  const kept = new LRUCache<string, readonly LookupAddress[]>({ max: maxHosts, ttl: keepMs });
  const failed = new LRUCache<string, { error: unknown }>({ max: maxFailedHosts, ttl: keepSlowFailuresMs });
  const underWay = new Map<string, (client: Client) => FindAddresses>();
  const places = createPlaces(maxOfAll);
  const slowMs = Math.min(slowAfterMs, limitMs / 2);

  function start(host: string, accountId: string): (client: Client) => FindAddresses {
    const startedAt = performance.now();
    const running = lookup(host);
    const waiters = new Set<Waiter>();
    let isSlow = false;
    let settle: ((waiter: Waiter) => void) | undefined;

    const end = (addresses: readonly LookupAddress[], error?: unknown): void => {
      if (settle !== undefined) return;
      settle = ({ resolve, reject }) => (error === undefined ? resolve(addresses) : reject(error));
      underWay.delete(host);
      clearTimeout(slowTimer);
      clearTimeout(limitTimer);
      running.cancel();
      places.giveBack(accountId);
      if (addresses.length > 0 && keepMs > 0) kept.set(host, addresses);
      if (error !== undefined && performance.now() - startedAt >= slowMs) failed.set(host, { error });
      waiters.forEach(settle);
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
          // What stands in the hosts file is found before anybody waits for it.
          if (settle !== undefined) settle(waiter);
          else if (isSlow && !isTest && waiters.size > 0) reject(new SenderBusy());
          else waiters.add(waiter);
          return () => {
            waiters.delete(waiter);
            if (waiters.size === 0) end([], new AttemptFailure('timeout_dns'));
          };
        });
    };
    underWay.set(host, join);
    const slowTimer = setTimeout(onSlow, slowMs);
    const limitTimer = setTimeout(() => {
      // A busy event loop runs timers first: a response that is already here gets its turn.
      setImmediate(() => end([], new AttemptFailure('timeout_dns')));
    }, limitMs);
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
      if (!places.take(accountId, maxOfAccount)) {
        await places.wait(accountId, maxOfAccount, progress);
        const meanwhile = findKnown(host, client);
        if (meanwhile !== undefined) {
          places.giveBack(accountId);
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
