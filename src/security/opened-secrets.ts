type Opened = { plain: string; context: string; until: number };

/** A webhook that is sent to again and again costs one opening a minute; one that is not leaves no secret in memory. */
const keepMs = 60_000;
/** More webhooks than one process sends to in a minute with profit: beyond it the oldest is opened again. */
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
  // In the order in which they were opened, which is that in which they expire.
  const opened = new Map<string, Opened>();
  let timer: NodeJS.Timeout | undefined;

  // A timer, not a look at the next use: a secret that nobody asks for again has to go as well.
  const forgetExpired = (): void => {
    timer = undefined;
    const now = performance.now();
    for (const [sealed, { until }] of opened) {
      if (until > now) {
        timer = setTimeout(forgetExpired, Math.ceil(until - now)).unref();
        return;
      }
      opened.delete(sealed);
    }
  };

  const remember = (sealed: string, entry: Opened): void => {
    opened.delete(sealed);
    opened.set(sealed, entry);
    const oldest = opened.keys().next();
    if (opened.size > maxSecrets && !oldest.done) opened.delete(oldest.value);
    if (timer === undefined) forgetExpired();
  };

  return {
    open(sealed, context) {
      const found = opened.get(sealed);
      // The seal binds it to its context: for another one it has to fail as it would without this memory.
      if (found?.context === context && performance.now() < found.until) return found.plain;
      const plain = open(sealed, context);
      remember(sealed, { plain, context, until: performance.now() + keepForMs });
      return plain;
    },
    count: () => opened.size,
  };
}
