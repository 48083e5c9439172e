import type { IncomingHttpHeaders } from 'node:http';
import type { PortalView } from '../contracts/portal-link.ts';
import type { Session } from '../contracts/session.ts';
import { findAccount } from '../db/accounts.ts';
import { findNamedKey, type NamedKey } from '../db/api-keys-table.ts';
import { findPortalSession } from '../db/portal-links-table.ts';
import type { Deps } from '../deps.ts';
import { ApiError } from '../errors.ts';
import { digestOfKey, portalTokenPrefix } from '../security/api-keys.ts';
import { actFor, digestOfAuthorization, requireAccount } from './auth.ts';
import { openSession, sessionOfCookies } from './session-cookie.ts';

/**
 * Against CSRF: a browser sends the cookie with the requests of any page, but lets only a page of this service send this
 * header. `Origin` and `Sec-Fetch-Site` must name this service, too.
 *
 * @throws ApiError cross_origin_refused
 */
export function requireOwnPage(headers: IncomingHttpHeaders): void {
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

export type RequestSession = { key: NamedKey; expiresAt: Date; portal: PortalView | null };

const sessionEnded = () => new ApiError('unauthorized', 'The session has ended. Sign in again.');

/** Whether the header has the token of a portal session, which no other page can send. */
export const hasPortalToken = ({ authorization }: IncomingHttpHeaders): boolean =>
  authorization !== undefined && /^Bearer +portal\./i.test(authorization);

/** The session of a request, by its cookie or the token of a portal; undefined where it has none. @throws ApiError */
export async function sessionOf(
  deps: Deps,
  headers: IncomingHttpHeaders,
): Promise<RequestSession | undefined> {
  const { pool, secretBox, config } = deps;
  if (hasPortalToken(headers)) return portalSession(deps, digestOfAuthorization(headers.authorization));
  if (headers.authorization !== undefined) return undefined;
  const value = sessionOfCookies(headers.cookie, config.FLTR_ENV === 'production');
  if (value === undefined) return undefined;
  requireOwnPage(headers);
  if (value.startsWith(portalTokenPrefix)) return portalSession(deps, digestOfKey(value));
  const session = openSession(secretBox, value);
  const key = session && (await findNamedKey(pool, session.keyId, config.FLTR_ENV));
  if (!key) throw sessionEnded();
  return { key, expiresAt: session.expiresAt, portal: null };
}

/** @throws ApiError unauthorized */
export async function portalSession({ pool, config }: Deps, digest: Buffer): Promise<RequestSession> {
  const found = await findPortalSession(pool, digest, config.FLTR_ENV);
  if (!found) throw sessionEnded();
  const { key, endsAt, accent, mode, returnUrl } = found;
  const settings = {
    header_prefix: config.FLTR_HEADER_PREFIX,
    signatures: config.FLTR_SIGNATURES,
    hold_hours: config.FLTR_HOLD_HOURS,
  };
  return { key, expiresAt: endsAt, portal: { accent, mode, return_url: returnUrl, settings } };
}

/**
 * A session as its page sees it. `header`: the account that a service key is to act for.
 *
 * @throws ApiError service_key_required, or not_found for an unknown account
 */
export async function toSession(
  { pool, config }: Pick<Deps, 'pool' | 'config'>,
  { key, expiresAt, portal }: RequestSession,
  header: string | string[] | undefined,
): Promise<Session> {
  const acting = actFor(key, header);
  if (acting.isActing) await requireAccount(pool, acting);
  const account =
    acting.isActing && acting.accountId !== null ? await findAccount(pool, acting.accountId) : null;
  return {
    account_id: acting.accountId,
    account_name: account?.name ?? key.accountName,
    is_service_key: key.accountId === null,
    key_id: key.id,
    key_name: key.name,
    scopes: key.scopes,
    expires_at: expiresAt.toISOString(),
    public_url: config.FLTR_PUBLIC_URL ?? null,
    portal,
  };
}
