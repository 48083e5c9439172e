import { createHash } from 'node:crypto';
import type { Request, Response } from 'express';
import ipaddr from 'ipaddr.js';
import type { CountCall } from '../call-counter.ts';
import type { Config } from '../config.ts';
import type { ApiKey } from '../db/api-keys-table.ts';
import { ApiError } from '../errors.ts';
import { parseIp } from '../outbound/judge-ip.ts';

/** Calls a minute without a valid key that one address may make. */
const failuresPerMinute = 300;
/** An account's limit, as a multiple of that of one key: an account can make keys, so their limit alone bounds nothing. */
const accountFactor = 10;
/** Each is a request to a URL that the account chose, which no other limit counts. */
const testEventsPerMinute = 60;

type Key = Pick<ApiKey, 'id' | 'accountId'>;
export type RateLimits = ReturnType<typeof createRateLimits>;

/**
 * Counts the calls of each key and of each account, publishing separately, the test events of each account, and the calls
 * without a valid key of each address. A valid key is never refused because of its address: behind a proxy, all clients
 * share one.
 *
 * @returns functions that throw ApiError rate_limited
 */
export function createRateLimits(config: Config, count: CountCall) {
  const ofKeys = (name: string, perMinute: number) => {
    const ofKey = createLimit(count, name, perMinute, 'such calls for a key');
    const counted = 'such calls for an account, with all its keys';
    const ofAccount = createLimit(count, `${name}-account`, perMinute * accountFactor, counted);
    return async (response: Response, key: Key): Promise<void> => {
      response.locals['keyId'] = key.id;
      // A call that the key's limit refuses does not count for the account, so one faulty program does not block the others.
      await ofKey(response, key.id);
      await ofAccount(response, ownerOf(key));
    };
  };
  const testEvents = createLimit(count, 'test-events', testEventsPerMinute, 'test events for an account');
  const failed = 'calls without a valid key for an address';
  const failures = createLimit(count, 'failed-authentication', failuresPerMinute, failed);
  return {
    api: ofKeys('api', config.FLTR_API_REQUESTS_PER_MINUTE),
    publish: ofKeys('publish', config.FLTR_PUBLISH_REQUESTS_PER_MINUTE),
    testEvents: (response: Response, key: Key) => testEvents(response, ownerOf(key)),
    failedAuthentication: ({ ip = '' }: Request, response: Response) => failures(response, networkOf(ip)),
  };
}

/** A service key has no account, and counts by itself. */
const ownerOf = ({ id, accountId }: Key): string => accountId ?? id;

/** The address or network whose calls are counted together. A client often has all IPv6 addresses of a network. */
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
    if (error instanceof ApiError && error.code === 'unauthorized')
      await failedAuthentication(request, response);
    throw error;
  }
}

/**
 * Counts a client's calls, and refuses more than so many a minute; 0: no limit. The headers are those of the IETF's draft
 * "RateLimit header fields for HTTP", version 8. `counted` names the calls and whose they are.
 */
function createLimit(count: CountCall, name: string, perMinute: number, counted: string) {
  return async (response: Response, client: string): Promise<void> => {
    if (perMinute === 0) return;
    const { calls, endsAt } = await count({ limit: name, client, perMinute });
    const seconds = Math.max(1, Math.ceil((endsAt - Date.now()) / 1000));
    const digest = createHash('sha256').update(client).digest('hex').slice(0, 12);
    const partition = Buffer.from(digest).toString('base64');
    response.append('RateLimit', `"${name}"; r=${Math.max(0, perMinute - calls)}; t=${seconds}`);
    response.append('RateLimit-Policy', `"${name}"; q=${perMinute}; w=60; pk=:${partition}:`);
    if (calls <= perMinute) return;
    const detail = `The limit is ${perMinute} ${counted} a minute. Wait, then continue.`;
    throw new ApiError('rate_limited', detail, { retryAfterSeconds: seconds });
  };
}
