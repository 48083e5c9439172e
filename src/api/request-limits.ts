import { createHash } from 'node:crypto';
import type { Request, Response } from 'express';
import ipaddr from 'ipaddr.js';
import { LRUCache } from 'lru-cache';
import type { Config } from '../config.ts';
import type { ApiKey } from '../db/api-keys-table.ts';
import { ApiError } from '../errors.ts';
import { parseIp } from '../outbound/judge-ip.ts';

const windowMs = 60_000;
const maxClients = 100_000;
/** Calls a minute without a valid key that one address may make. */
const failuresPerMinute = 300;
/** An account's limit, as a multiple of that of one key: an account can make keys, so their limit alone bounds nothing. */
const accountFactor = 10;
/** Each is a request to a URL that the account chose, which no other limit counts. */
const testEventsPerMinute = 60;

type Key = Pick<ApiKey, 'id' | 'accountId'>;
export type RateLimits = ReturnType<typeof createRateLimits>;

/**
 * What one process counts: the calls of each key and of each account, publishing separately, an account's test events, and
 * the calls without a valid key of each address. A valid key is never refused because of its address: behind a proxy, all
 * clients share one.
 *
 * @returns functions that throw ApiError rate_limited
 */
export function createRateLimits(config: Config) {
  const ofKeys = (name: string, perMinute: number) => {
    const ofKey = createLimit(name, perMinute, 'such calls for a key');
    const what = 'such calls for an account, with all its keys';
    const ofAccount = createLimit(`${name}-account`, perMinute * accountFactor, what);
    return (response: Response, key: Key): void => {
      response.locals['keyId'] = key.id;
      // A call that the key's limit refuses does not count for the account, so one faulty program does not block the others.
      ofKey(response, key.id);
      ofAccount(response, ownerOf(key));
    };
  };
  const testEvents = createLimit('test-events', testEventsPerMinute, 'test events for an account');
  const failed = 'calls without a valid key for an address';
  const failures = createLimit('failed-authentication', failuresPerMinute, failed);
  return {
    api: ofKeys('api', config.FLTR_API_REQUESTS_PER_MINUTE),
    publish: ofKeys('publish', config.FLTR_PUBLISH_REQUESTS_PER_MINUTE),
    testEvents: (response: Response, key: Key) => testEvents(response, ownerOf(key)),
    failedAuthentication: ({ ip = '' }: Request, response: Response) => failures(response, networkOf(ip)),
  };
}

/** A service key has no account, and counts by itself. */
const ownerOf = ({ id, accountId }: Key): string => accountId ?? id;

/** What an address counts for. A client often has all IPv6 addresses of a network. */
function networkOf(ip: string): string {
  const address = parseIp(ip.replace(/%.*/, ''));
  if (address?.kind() !== 'ipv6') return String(address ?? ip);
  return `${String(ipaddr.IPv6.networkAddressFromCIDR(`${String(address)}/56`))}/56`;
}

/** Runs a call. Without a valid key, it counts for its address. */
export async function countFailures(
  { failedAuthentication }: RateLimits,
  request: Request,
  response: Response,
  run: () => Promise<void>,
): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (error instanceof ApiError && error.code === 'unauthorized') failedAuthentication(request, response);
    throw error;
  }
}

/**
 * Counts a client's calls, and refuses more than so many a minute; 0: no limit. The headers are those of the IETF's draft
 * "RateLimit header fields for HTTP", version 8. `what` is counted, and for whom.
 */
function createLimit(name: string, perMinute: number, what: string) {
  const count = createCallCounter(windowMs, maxClients);
  return (response: Response, client: string): void => {
    if (perMinute === 0) return;
    const { calls, endsAt } = count(client);
    const seconds = Math.max(1, Math.ceil((endsAt - Date.now()) / 1000));
    const digest = createHash('sha256').update(client).digest('hex').slice(0, 12);
    const partition = Buffer.from(digest).toString('base64');
    response.append('RateLimit', `"${name}"; r=${Math.max(0, perMinute - calls)}; t=${seconds}`);
    response.append('RateLimit-Policy', `"${name}"; q=${perMinute}; w=${windowMs / 1000}; pk=:${partition}:`);
    if (calls <= perMinute) return;
    const detail = `The limit is ${perMinute} ${what} a minute. Wait, then go on.`;
    throw new ApiError('rate_limited', detail, { retryAfterSeconds: seconds });
  };
}

/**
 * Counts each client's calls in a window that begins with its first one, for at most so many clients: one more, and the one
 * whose window began first is forgotten. A stranger with many addresses costs no more memory than that.
 */
export function createCallCounter(windowMs: number, maxClients: number) {
  // `max` in place of `maxSize` would reserve the memory for all of them at once.
  const windows = new LRUCache<string, { calls: number; endsAt: number }>({
    maxSize: maxClients,
    sizeCalculation: () => 1,
  });
  return (client: string) => {
    // `get` would change the order, which is that in which windows began.
    let window = windows.peek(client);
    if (window === undefined || window.endsAt <= Date.now()) {
      window = { calls: 0, endsAt: Date.now() + windowMs };
      windows.set(client, window);
    }
    window.calls += 1;
    return window;
  };
}
