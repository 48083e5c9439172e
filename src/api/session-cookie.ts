import { UnopenableError, type SecretBox } from '../security/secret-box.ts';

const name = 'fltr_session';
const lifeSeconds = 43_200;
/** What the seal is bound to: no other sealed value opens as a session. */
const context = 'dashboard session';

type OpenSession = { keyId: string; expiresAt: Date };

/** A session of that key from now on, sealed. The key itself is not in it. */
export function sealSession(secretBox: SecretBox, keyId: string, lifeMs = lifeSeconds * 1000) {
  const expiresAt = new Date(Date.now() + lifeMs);
  return { sealed: secretBox.seal(`${keyId} ${expiresAt.getTime()}`, context), expiresAt };
}

/** Null for what is forged, altered, or expired. */
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

/** The session in a `Cookie` header. */
export function sessionOfCookies(cookies: string | undefined): string | undefined {
  return cookies
    ?.split(';')
    .map((cookie) => cookie.trim())
    .find((cookie) => cookie.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}

/** The `Set-Cookie` header. A sealed value of null takes the cookie away. */
export function sessionCookie(sealed: string | null, isSecure: boolean): string {
  const life = sealed === null ? 0 : lifeSeconds;
  return `${name}=${sealed ?? ''}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${life}${isSecure ? '; Secure' : ''}`;
}
