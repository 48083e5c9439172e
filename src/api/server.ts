import { createServer, type Server } from 'node:http';
import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import type { z } from 'zod';
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
import type { Route } from './route.ts';
import { routes } from './routes/index.ts';

const defaultMaxBodyBytes = 64 * 1024;

export function createApi(deps: Deps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(requestId, requestLog(deps), helmet());
  app.get('/healthz', (_request, response) => {
    response.json({ status: 'ok' });
  });
  app.get('/readyz', readiness(deps));
  app.get('/openapi.json', (_request, response) => {
    response.json(openApiDocument());
  });
  for (const route of routes) app[route.method](toExpressPath(route.path), ...handlers(deps, route));
  app.use(noSuchRoute);
  app.use(problemHandler(deps.log));
  return app;
}

/** An HTTP server whose every wait on a client has a limit. */
export function createHttpServer(app: Express): Server {
  return Object.assign(createServer({ maxHeaderSize: 16 * 1024 }, app), {
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 65_000,
  });
}

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

function handlers(deps: Deps, route: Route): RequestHandler[] {
  const authorize: RequestHandler = async (request, response, next) => {
    response.locals['route'] = `${route.method.toUpperCase()} ${route.path}`;
    const key = await authenticate(deps.pool, request.get('Authorization'));
    response.locals['keyId'] = key.id;
    response.locals['key'] = key;
    requireScope(key, route.scope);
    next();
  };
  const readBody = express.raw({ type: () => true, limit: route.maxBodyBytes ?? defaultMaxBodyBytes });
  const handle: RequestHandler = async (request, response) => {
    const id = request.params['id'];
    if (typeof id === 'string' && !idPattern.test(id))
      throw new ApiError('not_found', 'There is nothing under this id.');
    const rawBody = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const reply = await route.handle({
      deps,
      key: response.locals['key'] as Parameters<Route['handle']>[0]['key'],
      id: typeof id === 'string' ? id : '',
      query: route.query ? readQuery(route.query, request.query) : undefined,
      body: route.body ? validate(route.body, parseJson(rawBody)) : undefined,
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
  return [authorize, readBody, handle];
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

const noSuchRoute: RequestHandler = (request, response) => {
  const methods = routes
    .filter(({ path }) => new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(request.path))
    .map(({ method }) => method.toUpperCase());
  if (methods.length === 0) throw new ApiError('not_found', 'There is no such path. See /openapi.json.');
  response.set('Allow', methods.join(', '));
  throw new ApiError('method_not_allowed', `This path takes ${methods.join(', ')}.`);
};
