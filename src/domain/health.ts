/**
 * The health of a webhook, and the pacing of one that probes while it is down (`probe_when_down`).
 *
 * Health is shown to people: `healthy`, `failing` or `down`, from the attempts of the last hour, with an event when a webhook
 * becomes down and when it recovers. Pacing limits attempts. The two differ in time: pacing begins with the 20th failure in a
 * row, so that a dead receiver gets few requests; `down` is reported when that has lasted 5 minutes.
 *
 *   pacing     event                                next
 *   none       20 failures in a row                 paced; the first probe in 30 s
 *   paced      a probe is granted                   paced; the next probe 60 s later, then 300, then 900 each time
 *   paced      an attempt succeeds                  ramp: 1, 2, 4, … attempts a second for 10 s
 *   paced      it is activated, or has another URL  paced; the first probe now
 *   ramp       an attempt fails and can be retried  paced; the first probe in 30 s
 *   ramp       its 10 s are over                    none
 *   any        `probe_when_down` becomes false      none
 *
 * A probe counts when it is granted, not when it has failed. So one whose process dies costs one interval, and no more.
 */
import type { HealthState } from '../contracts/webhook-policy.ts';

/** A webhook is `failing` where at least this share of so many attempts failed. */
export const failingFromPercent = 20;
export const minAttempts = 5;
/** So many failures in a row make it `down`, once the first of them is so old. */
export const downAfterFailures = 20;
export const downAfterMs = 300_000;

const probeAfterSeconds = [30, 60, 300, 900] as const;

/** How long the ramp lasts after the first success: then the webhook is attempted as any other. */
export const rampMs = 10_000;

/** The health of a webhook and its attempts in the last hour. Times are ms since 1970. */
export type HealthFacts = {
  /** The state that it has. */
  state: HealthState;
  now: number;
  isPaced: boolean;
  attempts: number;
  failed: number;
  /** Failures since its last success, counted up to `downAfterFailures`. */
  failuresInRow: number;
  /** The first of them; null: none. */
  failingSince: number | null;
};

/**
 * The state of a webhook now. One that is down stays so until an attempt succeeds, however few probes it gets meanwhile. One
 * that does not probe is no longer down, either, when it had no attempt for an hour.
 *
 * @example judgeHealth({ state: 'healthy', attempts: 10, failed: 2, failuresInRow: 1, … }) // 'failing'
 */
export function judgeHealth(facts: HealthFacts): HealthState {
  const { state, now, isPaced, attempts, failed, failuresInRow, failingSince } = facts;
  if (state === 'down' && (failingSince !== null || (isPaced && attempts === 0))) return 'down';
  if (failingSince !== null && failuresInRow >= downAfterFailures && now - failingSince >= downAfterMs)
    return 'down';
  return attempts >= minAttempts && failed * 100 >= failingFromPercent * attempts ? 'failing' : 'healthy';
}

/**
 * Seconds from the beginning of the pacing, or from a probe, to the next probe.
 *
 * @param probes how many there were since the pacing began
 * @example probeInterval(0) // 30
 */
export const probeInterval = (probes: number): number =>
  probeAfterSeconds[Math.min(probes, probeAfterSeconds.length - 1)] ?? probeAfterSeconds[0];

/** The pacing of a webhook that probes. `nextProbeAt` not null: paced. Times are ms since 1970. */
export type Pacing = { nextProbeAt: number | null; probes: number; rampStartedAt: number | null };

/** `failuresInRow`: with this one, counted up to `downAfterFailures`. `isFinal`: the receiver refused this delivery alone. */
export type PacingInput =
  | { type: 'failed'; failuresInRow: number; isFinal: boolean }
  | { type: 'succeeded' | 'granted' | 'activated' | 'switched_off' };

const none: Pacing = { nextProbeAt: null, probes: 0, rampStartedAt: null };

/**
 * The pacing after something happened, by the table above.
 *
 * @param now ms since 1970
 * @example stepPacing(pacing, { type: 'failed', failuresInRow: 20 }, now).nextProbeAt // now + 30_000
 */
export function stepPacing(pacing: Pacing, input: PacingInput, now: number): Pacing {
  const { nextProbeAt, probes } = pacing;
  const isPaced = nextProbeAt !== null;
  switch (input.type) {
    case 'failed': {
      const endsRamp = isInRamp(pacing, now) && !input.isFinal;
      if (isPaced || (input.failuresInRow < downAfterFailures && !endsRamp)) return pacing;
      return { ...none, nextProbeAt: now + probeInterval(0) * 1000 };
    }
    case 'granted':
      if (!isPaced) return pacing;
      return { ...pacing, probes: probes + 1, nextProbeAt: now + probeInterval(probes + 1) * 1000 };
    case 'succeeded':
      return isPaced ? { ...none, rampStartedAt: now } : pacing;
    case 'activated':
      return isPaced ? { ...none, nextProbeAt: now } : pacing;
    case 'switched_off':
      return none;
  }
}

/**
 * Whether the webhook is in the ramp.
 *
 * @example isInRamp({ nextProbeAt: null, probes: 0, rampStartedAt: now - 9_999 }, now) // true
 */
export const isInRamp = ({ nextProbeAt, rampStartedAt }: Pacing, now: number): boolean =>
  nextProbeAt === null && rampStartedAt !== null && now - rampStartedAt < rampMs;

/**
 * When the k-th attempt since the ramp began may begin, k from 0: 1 in the first second, 2 in the next, then 4 and so on.
 *
 * @returns ms since 1970
 * @example [0, 1, 2, 3].map((k) => rampTime(0, k)) // [0, 1000, 1500, 2000]
 */
export function rampTime(rampStartedAt: number, k: number): number {
  const second = Math.floor(Math.log2(k + 1));
  const before = 2 ** second - 1;
  return rampStartedAt + Math.min(rampMs, 1000 * (second + (k - before) / 2 ** second));
}
