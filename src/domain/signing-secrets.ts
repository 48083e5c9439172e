const dueAfterMs = 90 * 24 * 60 * 60 * 1000;

type Secrets = { current: string; previous: string | null; previousUntil: Date | null; now: Date };
export type SigningSecrets = {
  /** For `X-FLTR-Signature`. */
  body: string;
  /** `webhook-signature` has an entry `v1` for each, the current one first. */
  standard: readonly string[];
  /** And an entry `v1a` for each of these ed25519 keys. Default: none. */
  keys?: readonly string[];
};
type SigningKeys = { current: string | null; previous: string | null; previousUntil: Date | null; now: Date };

/**
 * Which secrets sign an attempt. Until the overlap after a rotation ends, `X-FLTR-Signature` uses the previous one and
 * `webhook-signature` lists both. The secrets may still be sealed.
 *
 * @param secrets `previousUntil`: the first moment at which the previous one no longer signs
 * @example signingSecrets({ current: 'new', previous: 'old', previousUntil, now }) // { body: 'old', standard: ['new', 'old'] }
 */
export function signingSecrets({ current, previous, previousUntil, now }: Secrets): SigningSecrets {
  return previous !== null && isOverlap(previousUntil, now)
    ? { body: previous, standard: [current, previous] }
    : { body: current, standard: [current] };
}

/**
 * Which ed25519 keys sign an attempt, the current one first. They rotate with the secrets. The keys may still be sealed.
 *
 * @param keys `current`: null where the webhook has none, `previous`: null where none was replaced
 * @example signingKeys({ current: 'new', previous: 'old', previousUntil, now }) // ['new', 'old']
 */
export function signingKeys({ current, previous, previousUntil, now }: SigningKeys): string[] {
  if (current === null) return [];
  return previous !== null && isOverlap(previousUntil, now) ? [current, previous] : [current];
}

/**
 * Whether the previous secret still signs.
 *
 * @example isOverlap(new Date('2024-01-11T12:00:00Z'), new Date('2024-01-11T11:59:59Z')) // true
 */
export function isOverlap(previousUntil: Date | null, now: Date): previousUntil is Date {
  return previousUntil !== null && now < previousUntil;
}

/**
 * Whether a secret is older than 90 days, after which it is good practice to rotate it.
 *
 * @example isSecretDue(new Date('2024-01-10T12:00:00Z'), new Date('2024-04-09T12:00:00.001Z')) // true
 */
export function isSecretDue(createdAt: Date, now: Date): boolean {
  return now.getTime() - createdAt.getTime() > dueAfterMs;
}
