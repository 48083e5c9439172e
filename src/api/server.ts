import { createServer, type Server } from 'node:http';
import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import type { z } from 'zod';
import type { ApiKey } from '../db/api-keys.ts';
import { isMigrated } from '../db/migrate.ts';
import type { Deps } from '../deps.ts';
import { newId } from '../domain/ids.ts';
import { ApiError } from '../errors.ts';
import { isTemporalReachable } from '../temporal/client.ts';
import { idPattern } from '../contracts/id.ts';
import { authenticate, requireScope } from './auth.ts';
import { openApiDocument } from './openapi.ts';
import { problemHandler, toFieldErrors, validationError } from './problem.ts';
import { parseJson, validate } from './request-body.ts';
import { createRateLimits, type RateLimits } from './rate-limit.ts';
import type { Route } from './route.ts';
import { routes } from './routes/index.ts';

const openPaths = ['/healthz', '/readyz', '/openapi.json'];
const defaultMaxBodyBytes = 64 * 1024;

export function createApi(deps: Deps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(requestId, requestLog(deps), securityHeaders);
  app.get('/healthz', (_request, response) => {
    response.json({ status: 'ok' });
  });
  app.get('/readyz', readiness(deps));
  app.get('/openapi.json', (_request, response) => {
    response.json(openApiDocument());
  });
  const limits = createRateLimits(deps.config, deps.log);
  for (const route of routes) app[route.method](toExpressPath(route.path), ...handlers(deps, limits, route));
  app.use(noSuchRoute);
  app.use(problemHandler(deps.log));
  return app;
}

/** How long a client may take: for a request's headers, for all of it, until the next one, to take an answer. */
const defaultWaits = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 65_000,
  // No byte either way; a call may itself take as long as the longest attempt, 60 s.
  timeout: 120_000,
};

/** An HTTP server whose every wait on a client has a limit, in milliseconds. */
export function createHttpServer(app: Express, waits: Partial<typeof defaultWaits> = {}): Server {
  const { timeout, ...others } = { ...defaultWaits, ...waits };
  // Node looks every 30 s whether a request is late, unless told otherwise.
  const options = { ...others, maxHeaderSize: 16 * 1024, connectionsCheckingInterval: 1000 };
  return Object.assign(createServer(options, app), { timeout });
}

/** No answer here is a page: a browser that is shown one loads nothing, and shows it in no frame. */
const securityHeaders = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
  },
  xFrameOptions: { action: 'deny' },
  // TLS is the proxy's: this says what holds for this host, and nothing for the hosts below it.
  strictTransportSecurity: { includeSubDomains: false },
});

const toExpressPath = (path: string) => path.replaceAll(/\{(\w+)\}/g, ':$1');

const requestId: RequestHandler = (request, response, next) => {
  const given = request.get('X-Request-Id');
  const id = given !== undefined && idPattern.test(given) ? given : newId('req');
  response.locals['requestId'] = id;
  response.set('X-Request-Id', id);
  next();
};

/** One line a request: which call, how it ended, how long it took. Never its query, headers or body. */
function requestLog({ log }: Deps): RequestHandler {
  return (request, response, next) => {
    const startedAt = performance.now();
    response.on('finish', () => {
      log.debug(
        {
          request_id: String(response.locals['requestId']),
          method: request.method,
          route: String(response.locals['route'] ?? request.path),
          key: response.locals['keyId'] as string | undefined,
          status: response.statusCode,
          ms: Math.round(performance.now() - startedAt),
        },
        'request',
      );
    });
    next();
  };
}

function readiness({ pool, temporal }: Deps): RequestHandler {
  return async (_request, response) => {
    const [isDatabaseReady, isTemporalReady] = await Promise.all([
      isMigrated(pool).catch(() => false),
      isTemporalReachable(temporal),
    ]);
    // Without Temporal events are still accepted, so the service stays in rotation.
    response.status(isDatabaseReady ? 200 : 503).json({
      status: isDatabaseReady ? 'ready' : 'not ready',
      checks: {
        postgresql: isDatabaseReady ? 'ok' : 'unavailable',
        temporal: isTemporalReady ? 'ok' : 'unavailable',
      },
    });
  };
}

function handlers(deps: Deps, limits: RateLimits, route: Route): RequestHandler[] {
  const identify: RequestHandler = async (request, response, next) => {
    response.locals['route'] = `${route.method.toUpperCase()} ${route.path}`;
    try {
      const key = await authenticate(deps.pool, request.get('Authorization'));
      response.locals['keyId'] = key.id;
      response.locals['key'] = key;
      next();
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'unauthorized') throw error;
      await limits.failedAuthentication(request, response, (limited) => next(limited ?? error));
    }
  };
  const authorize: RequestHandler = (_request, response, next) => {
    // What a key may read is nobody else's, and may hold a secret.
    response.set('Cache-Control', 'no-store');
    requireScope(response.locals['key'] as ApiKey, route.scope);
    next();
  };
  const limit = route.scope === 'events:write' ? limits.publish : limits.api;
  const readBody = express.raw({ type: () => true, limit: route.maxBodyBytes ?? defaultMaxBodyBytes });
  const handle: RequestHandler = async (request, response) => {
    const id = request.params['id'];
    if (typeof id === 'string' && !idPattern.test(id))
      throw new ApiError('not_found', 'There is nothing under this id.');
    const rawBody = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const reply = await route.handle({
      deps,
      key: response.locals['key'] as ApiKey,
      id: typeof id === 'string' ? id : '',
      query: route.query ? readQuery(route.query, request.query) : undefined,
      body: route.body ? validate(route.body, readBodyOf(route, rawBody)) : undefined,
      rawBody,
      idempotencyKey: route.takesIdempotencyKey
        ? readIdempotencyKey(request.get('Idempotency-Key'))
        : undefined,
    });
    response.status(reply.status).set(reply.headers ?? {});
    if (reply.isReplay) response.set('Idempotent-Replayed', 'true');
    if (reply.body === undefined) response.end();
    else response.json(reply.body);
  };
  return [identify, limit, authorize, readBody, handle];
}

function readBodyOf({ bodyMayBeEmpty }: Route, rawBody: Buffer): unknown {
  return bodyMayBeEmpty && rawBody.length === 0 ? {} : parseJson(rawBody);
}

function readQuery(schema: z.ZodType, query: unknown): unknown {
  const parsed = schema.safeParse(query);
  if (parsed.success) return parsed.data;
  throw validationError(
    toFieldErrors(parsed.error).map(({ pointer, message }) => ({ pointer: `#query${pointer}`, message })),
  );
}

function readIdempotencyKey(value: string | undefined): string | undefined {
  if (value === undefined || /^[\x21-\x7e]{1,255}$/.test(value)) return value;
  throw validationError([
    { pointer: '#header/Idempotency-Key', message: 'must be 1 to 255 visible ASCII characters' },
  ]);
}

/** The methods that the OpenAPI document lists for a path; where a fixed path and one with a parameter match, the fixed one's. */
function methodsOf(requested: string): string[] {
  const all = [...routes, ...openPaths.map((path) => ({ path, method: 'get' }))];
  const fixed = all.filter(({ path }) => path === requested);
  const matching = all.filter(({ path }) =>
    new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(requested),
  );
  return (fixed.length > 0 ? fixed : matching).map(({ method }) => method.toUpperCase());
}

const noSuchRoute: RequestHandler = (request, response) => {
  const methods = methodsOf(request.path);
  if (methods.length === 0) throw new ApiError('not_found', 'There is no such path. See /openapi.json.');
  response.set('Allow', methods.join(', '));
  throw new ApiError('method_not_allowed', `This path takes ${methods.join(', ')}.`);
};
