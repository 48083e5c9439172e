/** A receiver's `Retry-After` can lengthen a wait up to this, and no further. */
export const maxRetryAfterSeconds = 1800;

/**
 * Seconds from the end of an attempt to the next: the schedule's, or a longer `Retry-After` of a 5xx, which counts up
 * to 1,800 s and never shortens the schedule's.
 *
 * @param retryAfter the header's value: seconds, or an HTTP date
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
  const asked = retryAfterSeconds(retryAfter.trim(), now);
  if (asked === null) return scheduledSeconds;
  return Math.max(scheduledSeconds, Math.min(asked, maxRetryAfterSeconds));
}

function retryAfterSeconds(value: string, now: Date): number | null {
  if (/^\d+$/.test(value)) return Number(value);
  // An HTTP date starts with a day's name; Date.parse alone would also take '-5' or '2'.
  if (!/^[A-Za-z]{3,9},? /.test(value)) return null;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - now.getTime()) / 1000));
}
