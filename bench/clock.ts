/** Microsecond clock, ms since 1970. Its times in two processes of one machine can be compared. */
export const nowMs = (): number => performance.timeOrigin + performance.now();
