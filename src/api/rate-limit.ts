import type { Request, Response } from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { ApiError } from '../errors.ts';
import { createHitStore } from './hit-store.ts';

const windowMs = 60_000;
const maxClients = 100_000;
/** Calls a minute without a valid key that an address is told so of; more are told to wait. */
const failuresPerMinute = 300;

/** @throws ApiError rate_limited */
type Limit = (request: Request, response: Response) => Promise<void>;
/** Null: no limit. */
export type RateLimits = Record<'api' | 'publish' | 'failedAuthentication', Limit | null>;

/**
 * What one process counts: the calls of each key, publishing apart, and of each address those without a valid key. A
 * valid key is never refused for what others at its address did: behind a proxy, all share one.
 */
export function createRateLimits(config: Config, log: Logger): RateLimits {
  const keyOf = (_request: Request, response: Response) => String(response.locals['keyId']);
  const addressOf = ({ ip }: Request) => ipKeyGenerator(ip ?? '');
  return {
    api: limit('api', config.FLTR_API_REQUESTS_PER_MINUTE, keyOf, log),
    publish: limit('publish', config.FLTR_PUBLISH_REQUESTS_PER_MINUTE, keyOf, log),
    failedAuthentication: limit('failed-authentication', failuresPerMinute, addressOf, log),
  };
}

/** Runs a call; where it carried no valid key, it counts for its address. */
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

function limit(
  name: string,
  perMinute: number,
  clientOf: (request: Request, response: Response) => string,
  log: Logger,
): Limit | null {
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
        new ApiError('rate_limited', `The limit is ${perMinute} such calls a minute. Wait, then go on.`, {
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
