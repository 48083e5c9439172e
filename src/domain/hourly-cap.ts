/** The rolling window of the cap. */
export const windowMs = 3_600_000;

/** How long after its number was given out an attempt may still have been sent, had its worker died with it. */
const lostAttemptMs = 60_000;

/** How soon to look again where the attempt before in the lane is under way. */
const lookAgainMs = 2000;

/**
 * What is known of the attempt `cap` slots before: `used` at a time, `waiting` for one, `lost` (its number was given out,
 * nothing came of it; `at`: when the next one was used), or `unknown`: under way right now.
 */
export type LaneBefore =
  { kind: 'used' | 'waiting' | 'lost'; at: Date } | { kind: 'unknown' } | { kind: 'none' };

/**
 * When a slot may be used. Slots a cap apart form a lane, and a lane is used once in any hour: so of the cap + 1 attempts
 * that would be too many in an hour, two would share a lane.
 *
 * @returns the time, or null for now
 * @example slotTime({ kind: 'used', at: anHourAgo }, now) // null
 */
export function slotTime(before: LaneBefore, now: Date): Date | null {
  const at = earliest(before, now);
  return at === null || at.getTime() <= now.getTime() ? null : at;
}

function earliest(before: LaneBefore, now: Date): Date | null {
  switch (before.kind) {
    case 'none':
      return null;
    case 'used':
    case 'waiting':
      return new Date(before.at.getTime() + windowMs);
    case 'lost':
      return new Date(before.at.getTime() + windowMs + lostAttemptMs);
    case 'unknown':
      return new Date(now.getTime() + lookAgainMs);
  }
}
