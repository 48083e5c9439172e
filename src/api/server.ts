import { createServer, type Server } from 'node:http';
import express, { type Express, type Request, type RequestHandler, type Response } from 'express';
import type { Logger } from 'pino';
import { isMigrated } from '../db/migrate.ts';
import type { Deps } from '../deps.ts';
import { newId } from '../domain/ids.ts';
import { ApiError } from '../errors.ts';
import { isTemporalReachable } from '../temporal/client.ts';
import { idPattern } from '../contracts/id.ts';
import { sendJson } from './answer.ts';
import { dashboardRoutes } from './dashboard.ts';
import { handlerOf } from './handle-route.ts';
import { createKeyCache } from './key-cache.ts';
import { openApiDocument } from './openapi.ts';
import { problemHandler } from './problem.ts';
import { createRateLimits } from './rate-limit.ts';
import { isPublishing } from './route.ts';
import { routes } from './routes/index.ts';
import { addSessionRoutes, sessionPath } from './session.ts';

const openPaths = ['/healthz', '/readyz', '/openapi.json'];

export function createApi(deps: Deps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(begin(deps));
  const shared = { limits: createRateLimits(deps.config, deps.log), keys: createKeyCache(deps.pool) };
  // Express tries one path after the other: what is called most comes first. A fixed path before one with a parameter.
  for (const route of [...routes.filter(isPublishing), ...routes.filter((route) => !isPublishing(route))]) {
    app[route.method](toExpressPath(route.path), handlerOf(deps, shared, route));
  }
  app.get('/healthz', (_request, response) => sendJson(response, 200, { status: 'ok' }));
  app.get('/readyz', readiness(deps));
  app.get('/openapi.json', (_request, response) => sendJson(response, 200, openApiDocument()));
  addSessionRoutes(app, deps, shared.limits);
  app.use(dashboardRoutes());
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

const toExpressPath = (path: string) => path.replaceAll(/\{(\w+)\}/g, ':$1');

/** Names the request, and logs it in one line: which call, how it ended, how long it took. Never query, headers or body. */
function begin({ log }: Deps): RequestHandler {
  return (request, response, next) => {
    const given = request.headers['x-request-id'];
    response.locals['requestId'] = typeof given === 'string' && idPattern.test(given) ? given : newId('req');
    if (log.isLevelEnabled('debug')) logWhenAnswered(log, request, response);
    next();
  };
}

function logWhenAnswered(log: Logger, request: Request, response: Response): void {
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
}

function readiness({ pool, temporal, isStopping }: Deps): RequestHandler {
  return async (_request, response) => {
    const [isDatabaseReady, isTemporalReady] = await Promise.all([
      isMigrated(pool).catch(() => false),
      isTemporalReachable(temporal),
    ]);
    // Without Temporal events are still accepted, so the service stays in rotation.
    const isReady = isDatabaseReady && !isStopping();
    sendJson(response, isReady ? 200 : 503, {
      status: isReady ? 'ready' : isStopping() ? 'stopping' : 'not ready',
      checks: {
        postgresql: isDatabaseReady ? 'ok' : 'unavailable',
        temporal: isTemporalReady ? 'ok' : 'unavailable',
      },
    });
  };
}

/** The methods that the OpenAPI document lists for a path; where a fixed path and one with a parameter match, the fixed one's. */
function methodsOf(requested: string): string[] {
  const all = [
    ...routes,
    ...openPaths.map((path) => ({ path, method: 'get' })),
    ...['get', 'post', 'delete'].map((method) => ({ path: sessionPath, method })),
  ];
  const fixed = all.filter(({ path }) => path === requested);
  const matching = all.filter(({ path }) =>
    new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(requested),
  );
  return (fixed.length > 0 ? fixed : matching).map(({ method }) => method.toUpperCase());
}

const noSuchRoute: RequestHandler = (request, response) => {
  const methods = methodsOf(request.path);
  if (methods.length === 0) throw new ApiError('not_found', 'There is no such path. See /openapi.json.');
  response.setHeader('Allow', methods.join(', '));
  throw new ApiError('method_not_allowed', `This path takes ${methods.join(', ')}.`);
};
