import { hash, randomBytes } from 'node:crypto';

export { accountScopes, scopes, type Scope } from '../contracts/key.ts';

/**
 * A new API key of 256 random bits. It is shown once; only its digest is stored.
 *
 * @example newApiKey() // 'fltr_Zx…', 48 characters
 */
export function newApiKey(): string {
  return `fltr_${randomBytes(32).toString('base64url')}`;
}

/** The token of a portal link: 256 random bits, in 43 characters that need no escape in a URL. */
export function newLinkToken(): string {
  return randomBytes(32).toString('base64url');
}

/** How the token of a portal session begins. No key begins so: a key has no full stop. */
export const portalTokenPrefix = 'portal.';

/**
 * The token of a portal session: 256 random bits. Only its digest is stored.
 *
 * @example newPortalToken() // 'portal.Zx…', 50 characters
 */
export function newPortalToken(): string {
  return `${portalTokenPrefix}${randomBytes(32).toString('base64url')}`;
}

/** SHA-256 of the whole key: 32 bytes. A slow hash is for guessable passwords; a key has 256 random bits. */
export function digestOfKey(key: string): Buffer {
  return Buffer.from(hash('sha256', key), 'hex');
}

/**
 * The first characters, by which a person recognizes a key: 9, or 4 of a development key that was chosen by hand and may be
 * short.
 *
 * @example hintOfKey('fltr_Zx8a…') // 'fltr_Zx8a…'
 */
export function hintOfKey(key: string): string {
  return `${key.slice(0, key.startsWith('fltr_') ? 9 : 4)}…`;
}
