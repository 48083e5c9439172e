/** A receiver's `Retry-After` can lengthen a wait up to this, or to the longest wait of the schedule. */
export const maxRetryAfterSeconds = 1800;

/**
 * Seconds from the end of an attempt to the next: the schedule's, or a longer `Retry-After`, which never shortens the
 * schedule's.
 *
 * @param retryAfter the header's value: seconds, or an HTTP date (RFC 9110, 5.6.7). Of several, joined by commas, the
 *   longest counts
 * @param longestSeconds the longest wait of the schedule: `Retry-After` counts up to that, or to 1,800 s where that is more
 * @param isAnyStatus `Retry-After` counts on any response, not on a 5xx alone
 * @example waitSeconds({ scheduledSeconds: 60, statusCode: 503, retryAfter: '120', now }) // 120
 */
export function waitSeconds(input: {
  scheduledSeconds: number;
  statusCode: number | null;
  retryAfter: string | undefined;
  now: Date;
  longestSeconds?: number;
  isAnyStatus?: boolean;
}): number {
  const { scheduledSeconds, statusCode, retryAfter, now, longestSeconds, isAnyStatus = false } = input;
  const counts = statusCode !== null && (isAnyStatus || (statusCode >= 500 && statusCode <= 599));
  const requested = counts ? requestedSeconds(retryAfter, now, longestSeconds) : null;
  return Math.max(scheduledSeconds, requested ?? 0);
}

/**
 * How long a receiver has requested to wait, in seconds, as far as it counts; null: it has not.
 *
 * @example requestedSeconds('7200', now, 300) // 1800
 */
export function requestedSeconds(
  retryAfter: string | undefined,
  now: Date,
  longestSeconds = 0,
): number | null {
  const requested = retryAfter === undefined ? null : retryAfterSeconds(retryAfter, now);
  return requested && Math.min(requested, Math.max(longestSeconds, maxRetryAfterSeconds));
}

/** Between values; the comma in a date follows the day's name. */
const separator = /(?<!\b(?:mon|tue|wed|thu|fri|sat|sun)(?:s|nes|rs|ur)?(?:day)?),/i;

function retryAfterSeconds(header: string, now: Date): number | null {
  const values = header.split(separator).flatMap((value) => secondsOf(value.trim(), now) ?? []);
  return values.length === 0 ? null : Math.max(...values);
}

function secondsOf(value: string, now: Date): number | null {
  if (/^\d+$/.test(value)) return Number(value);
  // An HTTP date starts with a day's name; Date.parse alone would also take '-5' or '2'.
  if (!/^[A-Za-z]{3,9},? /.test(value)) return null;
  // The form of asctime names no time zone, and means UTC; Date.parse would take this machine's.
  const isInUtc = /[A-Za-z]$|[+-]\d{4}$/.test(value);
  const at = Date.parse(isInUtc ? value : `${value} GMT`);
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - now.getTime()) / 1000));
}
