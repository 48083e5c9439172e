/** A receiver's `Retry-After` can lengthen a wait up to this, and no further. */
export const maxRetryAfterSeconds = 1800;

/**
 * Seconds from the end of an attempt to the next: the schedule's, or a longer `Retry-After` of a 5xx, which counts up
 * to 1,800 s and never shortens the schedule's.
 *
 * @param retryAfter the header's value: seconds, or an HTTP date (RFC 9110, 5.6.7). Of several, joined by commas, the
 *   longest counts
 * @example waitSeconds({ scheduledSeconds: 60, statusCode: 503, retryAfter: '120', now }) // 120
 */
export function waitSeconds(input: {
  scheduledSeconds: number;
  statusCode: number | null;
  retryAfter: string | undefined;
  now: Date;
}): number {
  const { scheduledSeconds, statusCode, retryAfter, now } = input;
  if (statusCode === null || statusCode < 500 || statusCode > 599 || retryAfter === undefined)
    return scheduledSeconds;
  const requested = retryAfterSeconds(retryAfter, now);
  if (requested === null) return scheduledSeconds;
  return Math.max(scheduledSeconds, Math.min(requested, maxRetryAfterSeconds));
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
