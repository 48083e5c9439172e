import { LRUCache } from 'lru-cache';

/** A webhook that is sent to again and again costs one decryption a minute; one that is not leaves no secret in memory. */
const keepMs = 60_000;
const maxSecrets = 1000;

export type OpenedSecrets = {
  /** @throws what the given `open` throws; that is not remembered */
  open(sealed: string, context: string): string;
  /** How many are in memory. */
  count(): number;
};

/**
 * Remembers what sealed texts hold: at most 1,000, each for `keepForMs` (milliseconds) since it was opened, used or
 * not, and for the context it was sealed with only. A secret that is rotated or sealed anew has another sealed text, so
 * whoever reads that for every attempt is never given an old one.
 *
 * @example createOpenedSecrets(secretBox.open).open(sealed, 'wh_1') // 'whsec_…'
 */
export function createOpenedSecrets(
  open: (sealed: string, context: string) => string,
  keepForMs = keepMs,
): OpenedSecrets {
  // Purged by timers, not at the next use: a secret that nobody needs again must leave the memory as well.
  const opened = new LRUCache<string, string>({ max: maxSecrets, ttl: keepForMs, ttlAutopurge: true });
  return {
    open(sealed, context) {
      // The seal binds it to its context: with another one it has to fail as it would without this memory.
      const key = `${context} ${sealed}`;
      const known = opened.get(key);
      if (known !== undefined) return known;
      const plain = open(sealed, context);
      opened.set(key, plain);
      return plain;
    },
    count: () => opened.size,
  };
}
