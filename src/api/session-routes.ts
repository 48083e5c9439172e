import type { IncomingHttpHeaders } from 'node:http';
import type { Express, Request, RequestHandler, Response } from 'express';
import { signInSchema, type Session } from '../contracts/session.ts';
import { findApiKey, findNamedKey, type NamedKey } from '../db/api-keys-table.ts';
import type { Deps } from '../deps.ts';
import { ApiError } from '../errors.ts';
import { digestOfKey } from '../security/api-keys.ts';
import { accountOf, requireKey } from './auth.ts';
import type { BodyMemory } from './body-memory.ts';
import { parseJson } from './parse-json.ts';
import { countFailures, type RateLimits } from './request-limits.ts';
import { createBodyReader, validate } from './request-body.ts';
import { sendResponse } from './send-response.ts';
import { openSession, sealSession, sessionCookie, sessionOfCookies } from './session-cookie.ts';

export const sessionPath = '/session';
const maxBodyBytes = 4096;

/**
 * Against CSRF: a browser sends the cookie with the requests of any page, but lets only a page of this service send this
 * header. It also says where the page comes from.
 *
 * @throws ApiError cross_origin_refused
 */
function requireOwnPage(headers: IncomingHttpHeaders): void {
  if (headers['x-fltr-dashboard'] !== '1')
    throw new ApiError(
      'cross_origin_refused',
      'A call with the session cookie needs the header "X-FLTR-Dashboard: 1".',
    );
  const { origin, host, 'sec-fetch-site': site } = headers;
  if (site !== undefined && site !== 'same-origin')
    throw new ApiError('cross_origin_refused', 'The session cookie is for pages of this service only.');
  if (origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host))
    throw new ApiError(
      'cross_origin_refused',
      "The page's origin is not the host in the Host header. A proxy in front of the service must forward Host.",
    );
}

type SessionOfKey = { key: NamedKey; expiresAt: Date };

/** The session of a request; undefined where it has none. @throws ApiError */
export async function sessionOf(
  { pool, secretBox, config }: Deps,
  headers: IncomingHttpHeaders,
): Promise<SessionOfKey | undefined> {
  const sealed = sessionOfCookies(headers.cookie, config.FLTR_ENV === 'production');
  if (sealed === undefined) return undefined;
  requireOwnPage(headers);
  const session = openSession(secretBox, sealed);
  const key = session && (await findNamedKey(pool, session.keyId, config.FLTR_ENV));
  if (!key) throw new ApiError('unauthorized', 'The session has ended. Sign in again.');
  return { key, expiresAt: session.expiresAt };
}

function toSession({ key, expiresAt }: SessionOfKey): Session {
  return {
    account_id: accountOf(key),
    account_name: key.accountName ?? '',
    key_id: key.id,
    key_name: key.name,
    scopes: key.scopes,
    expires_at: expiresAt.toISOString(),
  };
}

/** Sign-in and sign-out of the dashboard. The cookie stands for the key. */
export function addSessionRoutes(
  app: Express,
  deps: Deps,
  { limits, bodyMemory }: { limits: RateLimits; bodyMemory: BodyMemory },
): void {
  const { pool, secretBox, signIn, config } = deps;
  const isSecure = config.FLTR_ENV === 'production';
  const readBody = createBodyReader(maxBodyBytes);

  const readSignIn = async (request: Request, response: Response) => {
    const reservation = bodyMemory.open(sessionPath);
    try {
      return validate(signInSchema, parseJson(await readBody(request, response, reservation)));
    } finally {
      reservation.release();
    }
  };
  const keyFor = async (body: { key?: string | undefined; token?: string | undefined }) => {
    if (body.key !== undefined)
      return requireKey(await findApiKey(pool, digestOfKey(body.key), config.FLTR_ENV));
    const digest = (await signIn?.redeem(body.token ?? '')) ?? null;
    const key = digest && (await findApiKey(pool, digest, config.FLTR_ENV));
    if (!key)
      throw new ApiError(
        'unauthorized',
        'This sign-in link was used before, has expired, or belongs to another run of the service. Sign in with an API key instead.',
      );
    return key;
  };
  const respond = (response: Response, status: number, body?: Session, cookie?: string): void => {
    response.locals['isPrivate'] = true;
    sendResponse(response, {
      status,
      body: body && JSON.stringify(body),
      headers: cookie === undefined ? {} : { 'Set-Cookie': cookie },
    });
  };
  const handle =
    (run: RequestHandler): RequestHandler =>
    (request, response, next) =>
      countFailures(limits, request, response, async () => {
        response.locals['route'] = `${request.method} ${sessionPath}`;
        requireOwnPage(request.headers);
        await run(request, response, next);
      });

  app.post(
    sessionPath,
    handle(async (request, response) => {
      const found = await keyFor(await readSignIn(request, response));
      const { id } = found;
      await limits.api(response, found);
      const key = requireKey(await findNamedKey(pool, id, config.FLTR_ENV));
      const { sealed, expiresAt } = sealSession(secretBox, id);
      respond(response, 200, toSession({ key, expiresAt }), sessionCookie(sealed, isSecure));
    }),
  );
  app.get(
    sessionPath,
    handle(async (request, response) => {
      const session = await sessionOf(deps, request.headers);
      if (!session) throw new ApiError('unauthorized', 'Nobody is signed in.');
      await limits.api(response, session.key);
      respond(response, 200, toSession(session));
    }),
  );
  app.delete(
    sessionPath,
    handle((_request, response) => respond(response, 204, undefined, sessionCookie(null, isSecure))),
  );
}
