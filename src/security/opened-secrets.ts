import { LRUCache } from 'lru-cache';

/** A busy webhook costs one decryption a minute; an idle one leaves no secret in memory. */
const keepMs = 60_000;
const maxSecrets = 1000;

/**
 * Caches opened secrets: at most 1,000, each for `keepForMs` (milliseconds) after it was opened, whether it is used or not, and
 * only for the context it was sealed with. A rotated or reencrypted secret has another sealed text, so a caller that reads
 * that for every attempt never gets an old one.
 *
 * @example createOpenedSecrets(secretBox.open).open(sealed, 'wh_1') // 'whsec_…'
 */
export function createOpenedSecrets(open: (sealed: string, context: string) => string, keepForMs = keepMs) {
  // Purged by timers, not at the next use: a secret that nobody needs again must leave the memory as well.
  const opened = new LRUCache<string, string>({ max: maxSecrets, ttl: keepForMs, ttlAutopurge: true });
  return {
    /** @throws the error of the given `open`, which is not cached */
    open(sealed: string, context: string): string {
      // With another context it has to fail, as it would without the cache.
      const key = `${context} ${sealed}`;
      const known = opened.get(key);
      if (known !== undefined) return known;
      const plain = open(sealed, context);
      opened.set(key, plain);
      return plain;
    },
    /** How many are in memory. */
    count: () => opened.size,
  };
}
