/** The hourly cap of a webhook: over any rolling hour, at most so many attempts. How it is kept: `webhook-limits.ts`. */
export const windowMs = 3_600_000;

/** How long an attempt may take beyond its time limit, in ms: waiting in the process, and recording. */
const beyondLimitMs = 10_000;

/**
 * How long a grant without a recorded attempt counts, in ms: as long as an attempt may take.
 *
 * @example grantMs(5000) // 15_000
 */
export const grantMs = (attemptTimeoutMs: number): number => attemptTimeoutMs + beyondLimitMs;

/**
 * Attempts of one webhook that may be loaded and not recorded yet, in all processes: 20 in each of 25. With a cap, a permit
 * is held from load to record, so that no process has more.
 */
export const maxUnrecorded = 500;

/** How many deliveries from the head of a queue are read; of those behind it only the latest times are. */
export const maxQueueHead = 1000;
