import { createHash } from 'node:crypto';

/** `sampled` and `random trace id`. The other flags are reserved by W3C and must be 0 in a trace that is passed on. */
const knownFlags = 0x03;

/**
 * Converts a valid W3C traceparent of any version to version 00.
 *
 * @example toTraceparent('cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-09-more') // '00-0af7…319c-b7ad…3331-01'
 */
export function toTraceparent(valid: string): string {
  const [, traceId = '', parentId = '', flags = ''] = valid.split('-');
  const kept = (Number.parseInt(flags, 16) & knownFlags).toString(16).padStart(2, '0');
  return `00-${traceId}-${parentId}-${kept}`;
}

/** The 32 hex digits of the trace id. */
export function traceIdOf(traceparent: string): string {
  return traceparent.slice(3, 35);
}

/**
 * The traceparent that one attempt sends: the same trace, and a parent id of the attempt's own. That is derived from the
 * attempt's id, so that the log can compute it again.
 *
 * @example traceparentOfAttempt('00-0af7…319c-b7ad…3331-01', 'att_1') // '00-0af7…319c-<16 other digits>-01'
 */
export function traceparentOfAttempt(traceparent: string, attemptId: string): string {
  const digest = createHash('sha256').update(attemptId).digest('hex').slice(0, 16);
  // All zeros is not a valid parent id.
  const parentId = /^0+$/.test(digest) ? '0000000000000001' : digest;
  return `00-${traceIdOf(traceparent)}-${parentId}-${traceparent.slice(-2)}`;
}
