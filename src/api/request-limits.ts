import type { Request, Response } from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { ApiError } from '../errors.ts';
import { createHitStore } from './hit-store.ts';

const windowMs = 60_000;
const maxClients = 100_000;
/** Calls a minute without a valid key that one address may make. */
const failuresPerMinute = 300;
/** An account's limit, as a multiple of that of one key: an account can make keys, so their limit alone bounds nothing. */
const accountFactor = 10;
/** Each is a request to a URL that the account chose, which no other limit counts. */
export const testEventsPerMinute = 60;

/** @throws ApiError rate_limited */
type Limit = (request: Request, response: Response) => Promise<void>;
/** Null: no limit. */
export type RateLimits = Record<'api' | 'publish' | 'testEvents' | 'failedAuthentication', Limit | null>;

/** Sets who a call counts for. A service key has no account, and counts by itself. */
export function countFor(response: Response, key: { id: string; accountId: string | null }): void {
  response.locals['keyId'] = key.id;
  response.locals['accountId'] = key.accountId ?? key.id;
}

/**
 * What one process counts: the calls of each key and of each account, publishing separately, an account's test events, and
 * the calls without a valid key of each address. A valid key is never refused because of its address: behind a proxy, all
 * clients share one.
 */
export function createRateLimits(config: Config, log: Logger): RateLimits {
  const keyOf = (_request: Request, response: Response) => String(response.locals['keyId']);
  const accountOf = (_request: Request, response: Response) => String(response.locals['accountId']);
  const addressOf = ({ ip }: Request) => ipKeyGenerator(ip ?? '');
  const ofKeys = (name: string, perMinute: number): Limit | null => {
    const ofKey = limit({ name, perMinute, what: 'such calls for a key', clientOf: keyOf, log });
    const ofAccount = limit({
      name: `${name}-account`,
      perMinute: perMinute * accountFactor,
      what: 'such calls for an account, with all its keys',
      clientOf: accountOf,
      log,
    });
    return (
      ofKey &&
      (async (request, response) => {
        // A call that the key's limit refuses does not count for the account, so one faulty program does not block the others.
        await ofKey(request, response);
        await ofAccount?.(request, response);
      })
    );
  };
  return {
    api: ofKeys('api', config.FLTR_API_REQUESTS_PER_MINUTE),
    publish: ofKeys('publish', config.FLTR_PUBLISH_REQUESTS_PER_MINUTE),
    testEvents: limit({
      name: 'test-events',
      perMinute: testEventsPerMinute,
      what: 'test events for an account',
      clientOf: accountOf,
      log,
    }),
    failedAuthentication: limit({
      name: 'failed-authentication',
      perMinute: failuresPerMinute,
      what: 'calls without a valid key for an address',
      clientOf: addressOf,
      log,
    }),
  };
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
      await failedAuthentication?.(request, response);
    throw error;
  }
}

type LimitOptions = {
  name: string;
  perMinute: number;
  /** What is counted, and for whom. */
  what: string;
  clientOf: (request: Request, response: Response) => string;
  log: Logger;
};

function limit({ name, perMinute, what, clientOf, log }: LimitOptions): Limit | null {
  if (perMinute === 0) return null;
  const store = createHitStore(windowMs, maxClients);
  const middleware = rateLimit({
    windowMs,
    limit: perMinute,
    identifier: name,
    keyGenerator: clientOf,
    store,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    logger: log,
    handler: (request, response, next) => {
      const fullAt = store.get(clientOf(request, response))?.resetTime.getTime() ?? 0;
      next(
        new ApiError('rate_limited', `The limit is ${perMinute} ${what} a minute. Wait, then go on.`, {
          retryAfterSeconds: Math.max(1, Math.ceil((fullAt - Date.now()) / 1000)),
        }),
      );
    },
  });
  return (request, response) =>
    new Promise((resolve, reject) => {
      void middleware(request, response, (error?: unknown) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
}
