import { createServer, type Server } from 'node:http';
import express, { type Express, type Request, type RequestHandler, type Response } from 'express';
import type { Logger } from 'pino';
import type { Deps } from '../deps.ts';
import { newId } from '../domain/ids.ts';
import { ApiError } from '../errors.ts';
import type { Metrics } from '../observability/metrics.ts';
import { idPattern } from '../contracts/id.ts';
import { createBodyMemory } from './body-memory.ts';
import { dashboardRoutes } from './dashboard.ts';
import { addDocsRoutes, docsPath } from './docs.ts';
import { createHostCheck, requireSingleHeaders } from './host-check.ts';
import { handlerOf } from './handle-route.ts';
import { createKeyCache } from './key-cache.ts';
import { openApiText } from './openapi.ts';
import { jwksPath, jwkSets } from './public-keys.ts';
import { addProbes, probePaths, type ProbeDeps } from './probes.ts';
import { problemHandler } from './problem-details.ts';
import { createRateLimits } from './request-limits.ts';
import { isPublishing } from './route.ts';
import { toEventTypeInfo } from './routes/event-type-routes.ts';
import { routes } from './routes/route-table.ts';
import { sendResponse } from './send-response.ts';
import { addSessionRoutes, sessionPath, signInLinkPath } from './session-routes.ts';

const openPaths = [...probePaths, '/openapi.json', docsPath, jwksPath];

export { createEventWaits } from './event-waits.ts';
export { createStreams } from './streams.ts';

export function createApi(deps: Deps): Express {
  const app = newApp(deps);
  const shared = {
    limits: createRateLimits(deps.config, deps.countCall),
    keys: createKeyCache(deps.pool, deps.config.FLTR_ENV),
    bodyMemory: createBodyMemory(),
  };
  // Express tests one path after the other, so the routes that are called most come first.
  for (const route of [...routes.filter(isPublishing), ...routes.filter((route) => !isPublishing(route))]) {
    app[route.method](toExpressPath(route.path), handlerOf(deps, shared, route));
  }
  addProbes(app, { ...deps, needsTemporal: false });
  app.get('/openapi.json', async (_request, response) => {
    const { all } = await deps.eventTypes.current();
    sendResponse(response, {
      status: 200,
      body: openApiText({
        types: all.map(toEventTypeInfo),
        title: deps.config.FLTR_PRODUCT_NAME,
        now: new Date(),
      }),
    });
  });
  app.get(jwksPath, jwkSets(deps, shared.limits));
  addDocsRoutes(app, deps.config.FLTR_PRODUCT_NAME);
  addSessionRoutes(app, deps, shared);
  app.use(dashboardRoutes(deps.config));
  app.use(noSuchRoute);
  app.use(problemHandler(deps.log, deps.metrics.publish));
  return app;
}

/** The probes of a process without the API. */
export function createProbes(deps: ProbeDeps): Express {
  const app = newApp(deps);
  addProbes(app, deps);
  app.use(() => {
    throw new ApiError('not_found', `A worker has only ${probePaths.join(', ')}.`);
  });
  app.use(problemHandler(deps.log));
  return app;
}

const newApp = (deps: Parameters<typeof begin>[0]): Express =>
  express().disable('x-powered-by').disable('etag').use(begin(deps));

/** How long a client may take to send the headers, to send the request, and until its next request. */
const defaultWaits = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 65_000,
  // Without a byte in either direction. A test event may take as long as the longest attempt, 60 s.
  timeout: 120_000,
};

/** An HTTP server that limits every wait for a client, in milliseconds. */
export function createHttpServer(app: Express, waits: Partial<typeof defaultWaits> = {}): Server {
  const { timeout, ...others } = { ...defaultWaits, ...waits };
  // Node's default is to check for late requests every 30 s.
  const options = { ...others, maxHeaderSize: 16 * 1024, connectionsCheckingInterval: 1000 };
  return Object.assign(createServer(options, app), { timeout });
}

const toExpressPath = (path: string) => path.replaceAll(/\{(\w+)\}/g, ':$1');

/** Gives the request an id, counts it, and logs it in one line without its query, headers and body. */
function begin({ config, log, metrics }: Pick<Deps, 'config' | 'log' | 'metrics'>): RequestHandler {
  const requireOwnHost = createHostCheck(config);
  return (request, response, next) => {
    const given = request.headers['x-request-id'];
    response.locals['requestId'] = typeof given === 'string' && idPattern.test(given) ? given : newId('req');
    countOnClose(metrics, request, response);
    if (log.isLevelEnabled('debug')) logOnFinish(log, request, response);
    requireSingleHeaders(request);
    requireOwnHost(request);
    next();
  };
}

/** The method and the route's template. The path itself could be anything, also a secret. */
function routeOf(request: Request, response: Response): string | undefined {
  const { route } = response.locals as { route?: string };
  return route ?? (openPaths.includes(request.path) ? `${request.method} ${request.path}` : undefined);
}

function countOnClose({ http }: Metrics, request: Request, response: Response): void {
  const startedAt = performance.now();
  response.on('close', () => {
    const [called = '', route = ''] = (routeOf(request, response) ?? 'none other').split(' ');
    const method = called === 'HEAD' ? 'GET' : called;
    const status = response.writableFinished ? `${Math.floor(response.statusCode / 100)}xx` : 'aborted';
    const { streamsSince, waitedMs = 0 } = response.locals as { streamsSince?: number; waitedMs?: number };
    // A stream ends when its client goes away, so its duration is the time until it began.
    if (streamsSince === undefined)
      http.handled({ method, route, status }, performance.now() - startedAt - waitedMs);
    else http.handled({ method, route, status: '2xx' }, streamsSince - startedAt);
  });
}

function logOnFinish(log: Logger, request: Request, response: Response): void {
  const startedAt = performance.now();
  response.on('finish', () => {
    log.debug(
      {
        request_id: String(response.locals['requestId']),
        method: request.method,
        route: routeOf(request, response) ?? 'other',
        key: response.locals['keyId'] as string | undefined,
        status: response.statusCode,
        ms: Math.round(performance.now() - startedAt),
      },
      'request',
    );
  });
}

/** The methods of a path. Of a fixed path, its own, though it could be an external id as well. */
function methodsOf(requested: string): string[] {
  const all = [
    ...routes,
    ...openPaths.map((path) => ({ path, method: 'get' })),
    ...['get', 'post', 'delete'].map((method) => ({ path: sessionPath, method })),
    { path: signInLinkPath, method: 'post' },
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
  throw new ApiError('method_not_allowed', `This path supports ${methods.join(', ')}.`);
};
