/** Microsecond clock, ms since 1970: what two processes of one machine read from it can be compared. */
export const nowMs = (): number => performance.timeOrigin + performance.now();
