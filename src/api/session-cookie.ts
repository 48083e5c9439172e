import { ApiError } from '../errors.ts';
import { UnopenableError, type SecretBox } from '../security/secret-box.ts';

/** A browser accepts a `__Host-` cookie only from this host and over TLS, so no other site can set it. */
const nameOf = (isSecure: boolean) => (isSecure ? '__Host-fltr_session' : 'fltr_session');
const lifeSeconds = 43_200;
/** The seal is bound to it: no other sealed value opens as a session. */
const context = 'dashboard session';

type OpenSession = { keyId: string; expiresAt: Date };

/** A sealed session for a key, which it does not contain. */
export function sealSession(secretBox: SecretBox, keyId: string, lifeMs = lifeSeconds * 1000) {
  const expiresAt = new Date(Date.now() + lifeMs);
  return { sealed: secretBox.seal(`${keyId} ${expiresAt.getTime()}`, context), expiresAt };
}

/** Null if the cookie is forged, altered or expired. */
export function openSession(secretBox: SecretBox, sealed: string): OpenSession | null {
  try {
    const [keyId = '', until] = secretBox.open(sealed, context).split(' ');
    const expiresAt = new Date(Number(until));
    return expiresAt.getTime() > Date.now() ? { keyId, expiresAt } : null;
  } catch (error) {
    if (error instanceof UnopenableError) return null;
    throw error;
  }
}

/**
 * The session in a `Cookie` header. Of two, one was set by somebody else, and the request does not show which.
 *
 * @throws ApiError bad_request
 */
export function sessionOfCookies(cookies: string | undefined, isSecure: boolean): string | undefined {
  const start = `${nameOf(isSecure)}=`;
  const found = (cookies ?? '')
    .split(';')
    .map((cookie) => cookie.trim())
    .filter((cookie) => cookie.startsWith(start));
  if (found.length > 1) {
    throw new ApiError(
      'bad_request',
      "The request has two session cookies. Remove this site's cookies from the browser, then sign in again.",
    );
  }
  return found[0]?.slice(start.length);
}

/** The `Set-Cookie` header. Null removes the cookie. */
export function sessionCookie(sealed: string | null, isSecure: boolean): string {
  const life = sealed === null ? 0 : lifeSeconds;
  return `${nameOf(isSecure)}=${sealed ?? ''}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${life}${isSecure ? '; Secure' : ''}`;
}
