import type { IncomingHttpHeaders } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import { accountHeader, idPattern } from '../contracts/id.ts';
import { traceparentPattern } from '../contracts/trace-context.ts';
import type { ApiKey } from '../db/api-keys-table.ts';
import type { Deps } from '../deps.ts';
import { ApiError } from '../errors.ts';
import { actFor, authenticate, requireAccount, requireScope } from './auth.ts';
import type { Topic } from '../contracts/change.ts';
import type { BodyMemory } from './body-memory.ts';
import type { Caller, KeyCache } from './key-cache.ts';
import { parseJson } from './parse-json.ts';
import { requirePortalAccess } from './portal-access.ts';
import { fault, validationError } from './problem-details.ts';
import { countFailures, type RateLimits } from './request-limits.ts';
import { createBodyReader, validate } from './request-body.ts';
import { hasPortalToken, sessionOf } from './request-session.ts';
import { isOfAccount, isPublishing, namesWebhook, type Reply, type Route } from './route.ts';
import { createPageSender, linesType } from './send-pages.ts';
import { sendResponse } from './send-response.ts';
import { webhookIdOf } from './webhook-id.ts';

const defaultMaxBodyBytes = 64 * 1024;

type Shared = { limits: RateLimits; keys: KeyCache; bodyMemory: BodyMemory };

/**
 * Handles a route: authentication, rate limit, request, response. One function rather than a middleware for each step, because
 * Express's work between two of them costs more than the steps.
 */
export function handlerOf(deps: Deps, { limits, keys, bodyMemory }: Shared, route: Route): RequestHandler {
  const name = `${route.method.toUpperCase()} ${route.path}`;
  const limit = isPublishing(route) ? limits.publish : limits.api;
  const changedTopics = route.method === 'get' || isPublishing(route) ? undefined : topicsOfTag[route.tag];
  const sendPages = createPageSender(deps.log);
  const readBody = createBodyReader(route.maxBodyBytes ?? defaultMaxBodyBytes);

  const identify = createIdentify(deps, keys, route);
  /** Checks the caller of a long call again, as at its beginning. */
  const confirmAgain = async (request: Request): Promise<void> => {
    const { key } = await identify(request);
    requirePortalAccess(key, route);
    requireScope(key, route.scope);
    await requireAccount(deps.pool, key);
  };
  /** The body of the request is in memory until this ends. */
  const handle = async (request: Request, response: Response, { key, confirm }: Caller): Promise<Reply> => {
    const reservation = bodyMemory.open(key.accountId ?? key.id);
    try {
      const rawBody = await readBody(request, response, reservation);
      const id = await idOf(route, deps, key, request);
      const reply = await route.handle({
        deps,
        key,
        confirmKey: confirm,
        id,
        query: route.query ? validate(route.query, request.query, '#query') : undefined,
        body: route.body ? validate(route.body, readBodyOf(route, rawBody)) : undefined,
        rawBody,
        idempotencyKey: route.takesIdempotencyKey ? readIdempotencyKey(request) : undefined,
        requestId: String(response.locals['requestId']),
        wantsLines: route.line !== undefined && wantsLines(request),
        host: request.headers.host,
        traceparent: readTraceparent(request),
      });
      if (changedTopics && reply.status < 400 && key.accountId !== null)
        deps.changes.mark(key.accountId, changedTopics, idsOf(id, reply.body));
      return reply;
    } finally {
      reservation.release();
    }
  };
  const respond = async (request: Request, response: Response, { key, confirm }: Caller): Promise<void> => {
    response.locals['isPrivate'] = true;
    requirePortalAccess(key, route);
    requireScope(key, route.scope);
    // Publishing checks it with the statement that writes the events.
    const mayLackAccount = isPublishing(route) || (route.mayLackAccount === true && key.accountId === null);
    if (isOfAccount(route) && !mayLackAccount) await requireAccount(deps.pool, key);
    if (route.isTestEvent) await limits.testEvents(response, key);
    const reply = await handle(request, response, { key, confirm });
    const { status, body, json, isReplay, pages, streamOf } = reply.later
      ? await waitFor(response, reply.later)
      : reply;
    if (streamOf !== undefined && request.method === 'GET')
      return deps.streams.open(response, streamOf, () => confirmAgain(request));
    if (pages) return await sendPages(response, key.accountId ?? key.id, pages);
    sendResponse(response, {
      status,
      body: json ?? (body === undefined ? undefined : JSON.stringify(body)),
      headers: isReplay ? { 'Idempotent-Replayed': 'true' } : {},
    });
  };

  return (request, response) => {
    response.locals['route'] = name;
    response.locals['isPublishing'] = isPublishing(route);
    return countFailures(limits, request, response, async () => {
      const caller = await identify(request);
      await limit(response, caller.key);
      try {
        await respond(request, response, caller);
      } catch (error) {
        // A caller whose key was revoked learns nothing else.
        if (error instanceof ApiError && error.status < 500) await caller.confirm();
        throw error;
      }
    });
  };
}

/** Until its client goes away, if it does. The time is not one that the response took. */
async function waitFor(response: Response, later: NonNullable<Reply['later']>): Promise<Reply> {
  const gone = new AbortController();
  const abort = () => gone.abort();
  response.on('close', abort);
  if (response.destroyed) abort();
  const startedAt = performance.now();
  const reply = await later(gone.signal);
  response.off('close', abort);
  response.locals['waitedMs'] = performance.now() - startedAt;
  return reply;
}

/** The caller of a request. @throws ApiError */
function createIdentify(deps: Deps, keys: KeyCache, route: Route): (request: Request) => Promise<Caller> {
  const identifyKey = async (headers: IncomingHttpHeaders): Promise<Caller> => {
    // A stored response is sent without a statement that checks the key.
    if (isPublishing(route) && headers['idempotency-key'] === undefined) {
      return keys.identify(headers.authorization, route.scope);
    }
    const key = await authenticate(deps.pool, headers.authorization, deps.config.FLTR_ENV);
    return { key, confirm: () => Promise.resolve() };
  };
  const identifyCaller = async (headers: IncomingHttpHeaders): Promise<Caller> => {
    if (headers.authorization === undefined ? headers.cookie !== undefined : hasPortalToken(headers)) {
      const session = await sessionOf(deps, headers);
      if (session) return { key: session.key, confirm: () => Promise.resolve() };
    }
    return identifyKey(headers);
  };
  return async ({ headers }: Request): Promise<Caller> => {
    const caller = await identifyCaller(headers);
    if (caller.key.portal === undefined) deps.keyUses.add(caller.key.id);
    if (!isOfAccount(route)) return caller;
    return { ...caller, key: actFor(caller.key, headers[accountHeader.toLowerCase()]) };
  };
}

/** The topics that calls may change, by their tag. Publishing marks its own changes. */
const topicsOfTag: Partial<Record<string, readonly Topic[]>> = {
  Webhooks: ['webhooks', 'deliveries'],
  Events: ['events', 'deliveries'],
  Deliveries: ['deliveries', 'operations'],
  Recoveries: ['operations', 'deliveries'],
  Operations: ['operations', 'deliveries'],
};

/** The ids of the changed objects, from the path or the response; null: not known. */
function idsOf(id: string, body: unknown): string[] | null {
  if (id !== '') return [id];
  if (typeof body !== 'object' || !body) return null;
  const ownId = 'id' in body ? body.id : 'webhook_id' in body ? body.webhook_id : null;
  return typeof ownId === 'string' ? [ownId] : null;
}

/** The `{id}` or `{name}` of the path, where there is one. @throws ApiError not_found */
async function idOf(route: Route, deps: Deps, key: ApiKey, { params }: Request): Promise<string> {
  const { id } = params;
  if (typeof id !== 'string') return [params['name']].flat()[0] ?? '';
  if (route.idMayBeNew) return id;
  if (namesWebhook(route)) return webhookIdOf(deps, key, id);
  if (!idPattern.test(id)) throw new ApiError('not_found', 'Nothing has this id.');
  return id;
}

function readBodyOf({ bodyMayBeEmpty, parse = parseJson }: Route, rawBody: Buffer): unknown {
  return bodyMayBeEmpty && rawBody.length === 0 ? {} : parse(rawBody);
}

/** A HEAD request gets no body, so no list is read for it. */
const wantsLines = (request: Request): boolean =>
  request.method === 'GET' && request.accepts(['application/json', linesType]) === linesType;

function readTraceparent({ headers: { traceparent } }: Request): string | null {
  return typeof traceparent === 'string' && traceparentPattern.test(traceparent) ? traceparent : null;
}

function readIdempotencyKey(request: Request): string | undefined {
  const value = request.get('Idempotency-Key');
  if (value === undefined || /^[\x21-\x7e]{1,255}$/.test(value)) return value;
  throw validationError([fault('#header/Idempotency-Key', 'must be 1 to 255 visible ASCII characters')]);
}
