import { randomBytes, timingSafeEqual } from 'node:crypto';
import { digestOfKey } from './api-keys.ts';

export type SignIn = {
  /** The digest of the key that the token stands for; null for another token, a used or an expired one. */
  redeem(given: string): Buffer | null | Promise<Buffer | null>;
};

const keepMs = 86_400_000;

/**
 * A token of 256 random bits that stands for a key, valid once, for `keepForMs` (milliseconds), in this process only.
 *
 * @example createSignIn(digestOfKey(key)).token // 43 characters
 */
export function createSignIn(keyDigest: Buffer, keepForMs = keepMs) {
  const token = randomBytes(32).toString('base64url');
  const digest = digestOfKey(token);
  const until = performance.now() + keepForMs;
  let isUsed = false;
  return {
    token,
    redeem(given: string): Buffer | null {
      if (isUsed || performance.now() >= until || !timingSafeEqual(digestOfKey(given), digest)) return null;
      isUsed = true;
      return keyDigest;
    },
  };
}
