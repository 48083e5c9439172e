import { rampTime } from './health.ts';
import { slotTimes, type Log } from './webhook-limits.ts';

/** A webhook with parked deliveries. */
export type Parked = Log & {
  /** Attempts that are granted and not recorded yet; they are in `used`, too. */
  underWay: number;
  /** Deliveries that were released and have not got a slot yet. */
  released: number;
  /** Deliveries that are deferred by other limits. */
  deferred: number;
};

/** So many released deliveries are on their way at once, so none is sent before more than so many older ones. */
export const maxReleased = 100;
/** In the ramp they are released so many ms early, because a workflow starts first. Its attempt waits for the exact time. */
const releaseAheadMs = 200;

/**
 * How many of a webhook's parked deliveries are released now. The next probe is one that no other limit defers.
 *
 * @example releaseCount({ limits: { nextProbeAt: 0, … }, now: 1, used: [], underWay: 0, released: 0, deferred: 0 }) // 1
 */
export function releaseCount({ limits, now, used, underWay, released, deferred }: Parked): number {
  const { nextProbeAt, rampStartedAt } = limits;
  if (nextProbeAt !== null) {
    const slot = slotTimes({ limits, now, used }, deferred + 1).at(-1);
    const mayProbe = nextProbeAt <= now && underWay + released === 0 && (slot?.at ?? now) <= now;
    return mayProbe ? 1 : 0;
  }
  const most = Math.max(0, maxReleased - released);
  if (rampStartedAt === null) return most;
  const before = released + used.filter((each) => each >= rampStartedAt).length;
  let count = 0;
  while (count < most && rampTime(rampStartedAt, before + count) <= now + releaseAheadMs) count += 1;
  return count;
}

/** How long after a release, or a probe that is due, the next one is looked for. */
const betweenReleasesSeconds = releaseAheadMs / 1000;
const dueProbeSeconds = 2;
const maxSecondsToProbe = 60;

/** Seconds until more of a webhook's parked deliveries may be released. */
export function secondsToRelease({ limits: { nextProbeAt }, now }: Pick<Log, 'limits' | 'now'>): number {
  if (nextProbeAt === null) return betweenReleasesSeconds;
  if (nextProbeAt <= now) return dueProbeSeconds;
  return Math.min(maxSecondsToProbe, (nextProbeAt - now) / 1000);
}
