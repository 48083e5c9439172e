import { insertSignInLink } from './db/sign-in-links-table.ts';
import type { Queryable } from './db/pool.ts';
import { digestOfKey, newLinkToken } from './security/api-keys.ts';

/** How long the link can be opened that a start in development prints. */
export const printedLinkSeconds = 86_400;

/** The token of a link that signs in with the key, once. Null: the key is unknown or was revoked. */
export async function createSignInToken(
  db: Queryable,
  keyDigest: Buffer,
  seconds: number,
): Promise<{ token: string; endsAt: Date } | null> {
  const token = newLinkToken();
  const endsAt = await insertSignInLink(db, { keyDigest, tokenDigest: digestOfKey(token), seconds });
  return endsAt && { token, endsAt };
}

/** Where a browser opens it. The fragment is sent to nobody. */
export const signInUrl = (origin: string, token: string): string => `${origin}/sign-in#token=${token}`;
