import { createServer, type Server } from 'node:http';
import express, { type Express, type Request, type RequestHandler, type Response } from 'express';
import type { Logger } from 'pino';
import type { Deps } from '../deps.ts';
import { newId } from '../domain/ids.ts';
import { ApiError } from '../errors.ts';
import type { Metrics } from '../observability/metrics.ts';
import { idPattern } from '../contracts/id.ts';
import { sendAnswer } from './answer.ts';
import { createBodyRoom } from './body-room.ts';
import { dashboardRoutes } from './dashboard.ts';
import { addDocsRoutes, docsPath } from './docs.ts';
import { createHostCheck, requireSingleHeaders } from './host-check.ts';
import { handlerOf } from './handle-route.ts';
import { createKeyCache } from './key-cache.ts';
import { openApiText } from './openapi.ts';
import { addProbes, probePaths, type ProbeDeps } from './probes.ts';
import { problemHandler } from './problem.ts';
import { createRateLimits } from './rate-limit.ts';
import { isPublishing } from './route.ts';
import { routes } from './routes/index.ts';
import { addSessionRoutes, sessionPath } from './session.ts';

const openPaths = [...probePaths, '/openapi.json', docsPath];

export function createApi(deps: Deps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(begin(deps));
  const shared = {
    limits: createRateLimits(deps.config, deps.log),
    keys: createKeyCache(deps.pool, deps.config.FLTR_ENV),
    room: createBodyRoom(),
  };
  // Express tries one path after the other: what is called most comes first. A fixed path before one with a parameter.
  for (const route of [...routes.filter(isPublishing), ...routes.filter((route) => !isPublishing(route))]) {
    app[route.method](toExpressPath(route.path), handlerOf(deps, shared, route));
  }
  addProbes(app, { ...deps, needsTemporal: false });
  app.get('/openapi.json', (_request, response) =>
    sendAnswer(response, { status: 200, body: openApiText(new Date()) }),
  );
  addDocsRoutes(app);
  addSessionRoutes(app, deps, shared);
  app.use(dashboardRoutes());
  app.use(noSuchRoute);
  app.use(problemHandler(deps.log, deps.metrics.publish));
  return app;
}

/** What a process answers that has no API: how it is, and its metrics. */
export function createProbes(deps: ProbeDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(begin(deps));
  addProbes(app, deps);
  app.use(() => {
    throw new ApiError('not_found', `A worker answers ${probePaths.join(', ')} only.`);
  });
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

/**
 * Names the request, counts it, and logs it in one line: which call, how it ended, how long it took. Never query, headers
 * or body.
 */
function begin({ config, log, metrics }: Pick<Deps, 'config' | 'log' | 'metrics'>): RequestHandler {
  const requireOwnHost = createHostCheck(config);
  return (request, response, next) => {
    const given = request.headers['x-request-id'];
    response.locals['requestId'] = typeof given === 'string' && idPattern.test(given) ? given : newId('req');
    countWhenAnswered(metrics, request, response);
    if (log.isLevelEnabled('debug')) logWhenAnswered(log, request, response);
    requireSingleHeaders(request);
    requireOwnHost(request);
    next();
  };
}

/** The method and the route's template: a path as it was called could be anything, a secret among it. */
function routeOf(request: Request, response: Response): string | undefined {
  const { route } = response.locals as { route?: string };
  return route ?? (openPaths.includes(request.path) ? `${request.method} ${request.path}` : undefined);
}

function countWhenAnswered({ http }: Metrics, request: Request, response: Response): void {
  const startedAt = performance.now();
  response.on('close', () => {
    const [called = '', route = ''] = (routeOf(request, response) ?? 'none other').split(' ');
    const method = called === 'HEAD' ? 'GET' : called;
    const status = response.writableFinished ? `${Math.floor(response.statusCode / 100)}xx` : 'aborted';
    http.answered({ method, route, status }, performance.now() - startedAt);
  });
}

function logWhenAnswered(log: Logger, request: Request, response: Response): void {
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
