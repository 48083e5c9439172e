import type { Express, Request, RequestHandler, Response } from 'express';
import { accountHeader } from '../contracts/id.ts';
import { signInSchema, type OpenedSession, type SignIn, type SignInLink } from '../contracts/session.ts';
import { findApiKey, findNamedKey, type ApiKey } from '../db/api-keys-table.ts';
import { redeemSignInLink } from '../db/sign-in-links-table.ts';
import { withTransaction } from '../db/pool.ts';
import { endPortalLink } from '../db/portal-links-table.ts';
import type { Deps } from '../deps.ts';
import { ApiError } from '../errors.ts';
import { digestOfKey } from '../security/api-keys.ts';
import { createSignInToken, signInUrl } from '../sign-in-link.ts';
import { accountOf, audit, digestOfAuthorization, requireKey } from './auth.ts';
import type { BodyMemory } from './body-memory.ts';
import { openPortal } from './open-portal.ts';
import { parseJson } from './parse-json.ts';
import { publicOrigin } from './public-origin.ts';
import { countFailures, type RateLimits } from './request-limits.ts';
import { createBodyReader, validate } from './request-body.ts';
import { hasPortalToken, requireOwnPage, sessionOf, toSession } from './request-session.ts';
import { sendResponse } from './send-response.ts';
import { sealSession, sessionCookie } from './session-cookie.ts';

export const sessionPath = '/session';
export const signInLinkPath = `${sessionPath}/link`;
const maxBodyBytes = 4096;
const accountHeaderOf = ({ headers }: Request) => headers[accountHeader.toLowerCase()];
const linkSeconds = 600;

/** Sign-in and sign-out of the dashboard. The cookie names the key or the portal link. */
export function addSessionRoutes(
  app: Express,
  deps: Deps,
  { limits, bodyMemory }: { limits: RateLimits; bodyMemory: BodyMemory },
): void {
  const { pool, secretBox, config } = deps;
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
  const respond = (
    response: Response,
    status: number,
    body?: OpenedSession | SignInLink,
    cookie?: string,
  ): void => {
    response.locals['isPrivate'] = true;
    sendResponse(response, {
      status,
      body: body && JSON.stringify(body),
      headers: cookie === undefined ? {} : { 'Set-Cookie': cookie },
    });
  };
  const enterPortal = async (response: Response, body: SignIn): Promise<void> => {
    const { token, session } = await openPortal(deps, body.portal_token ?? '');
    await limits.api(response, session.key);
    const shown = await toSession(deps, session, undefined);
    if (body.in_frame) respond(response, 200, { ...shown, session_token: token });
    else respond(response, 200, shown, sessionCookie(token, isSecure));
  };
  const handle =
    (run: RequestHandler): RequestHandler =>
    (request, response, next) =>
      countFailures(limits, request, response, async () => {
        response.locals['route'] = `${request.method} ${sessionPath}`;
        if (!hasPortalToken(request.headers)) requireOwnPage(request.headers);
        await run(request, response, next);
      });

  app.post(
    sessionPath,
    handle(async (request, response) => {
      const body = await readSignIn(request, response);
      if (body.portal_token !== undefined) return enterPortal(response, body);
      const found = await keyFor(deps, body);
      const { id } = found;
      await limits.api(response, found);
      const key = requireKey(await findNamedKey(pool, id, config.FLTR_ENV));
      const { sealed, expiresAt } = sealSession(secretBox, id);
      const session = await toSession(deps, { key, expiresAt, portal: null }, accountHeaderOf(request));
      respond(response, 200, session, sessionCookie(sealed, isSecure));
    }),
  );
  app.get(
    sessionPath,
    handle(async (request, response) => {
      const session = await sessionOf(deps, request.headers);
      if (!session) throw new ApiError('unauthorized', 'Nobody is signed in.');
      await limits.api(response, session.key);
      respond(response, 200, await toSession(deps, session, accountHeaderOf(request)));
    }),
  );
  app.post(signInLinkPath, createLinkRoute(deps, limits));
  app.delete(
    sessionPath,
    handle(async (request, response) => {
      await endPortalSession(deps, request);
      respond(response, 204, undefined, sessionCookie(null, isSecure));
    }),
  );
}

/** A link that signs in. With a key alone: no session makes one that outlives it. */
function createLinkRoute(deps: Deps, limits: RateLimits): RequestHandler {
  const { pool, config } = deps;
  return (request, response) =>
    countFailures(limits, request, response, async () => {
      response.locals['route'] = `POST ${signInLinkPath}`;
      response.locals['isPrivate'] = true;
      const digest = digestOfAuthorization(request.headers.authorization);
      const key = requireKey(await findApiKey(pool, digest, config.FLTR_ENV));
      await limits.api(response, key);
      const origin = publicOrigin(config, request.headers.host);
      const link = await withTransaction(pool, async (client) => {
        await audit(client, key, 'sign_in_link.created', key.id);
        return createSignInToken(client, digest, linkSeconds);
      });
      if (!link) throw new ApiError('unauthorized', 'This API key was revoked.');
      const body: SignInLink = {
        url: signInUrl(origin, link.token),
        expires_at: link.endsAt.toISOString(),
      };
      sendResponse(response, { status: 201, body: JSON.stringify(body), headers: {} });
    });
}

/** The key that signs in. @throws ApiError unauthorized */
async function keyFor({ pool, config }: Deps, body: SignIn): Promise<ApiKey> {
  if (body.key !== undefined)
    return requireKey(await findApiKey(pool, digestOfKey(body.key), config.FLTR_ENV));
  const keyId = await redeemSignInLink(pool, digestOfKey(body.token ?? ''));
  const key = keyId && (await findNamedKey(pool, keyId, config.FLTR_ENV));
  if (!key)
    throw new ApiError(
      'unauthorized',
      'This sign-in link was used before or has expired. `fltr-webhooks open` prints another one. Or sign in with an API key instead.',
    );
  return key;
}

/** A portal's session ends in the database, not only in the browser. Signing out does nothing to one that has ended. */
async function endPortalSession(deps: Deps, { headers }: Request): Promise<void> {
  const session = await sessionOf(deps, headers).catch((error: unknown) => {
    if (error instanceof ApiError) return undefined;
    throw error;
  });
  if (!session?.key.portal) return;
  const { key } = session;
  await endPortalLink(deps.pool, key.id, { accountId: accountOf(key) });
  await audit(deps.pool, key, 'portal_link.ended', key.id);
}
