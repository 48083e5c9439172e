import type { Attempt, AttemptErrorCode } from '../contracts/attempt-schema.ts';
import type { Delivery, DeliverySummary, FailureReason, QueueReason } from '../contracts/delivery.ts';
import { formatDuration } from './durations.ts';

const reasons: Record<
  | FailureReason
  | 'expired'
  | 'canceled'
  | 'webhook_deleted'
  | 'payload_removed'
  | 'expunged'
  | 'discarded'
  | 'terminated',
  string
> = {
  client_error: 'The receiver returned a 4xx response, which is not retried.',
  blocked_address: "The webhook's host resolves to an address that is not allowed.",
  email_rejected: 'The mail server rejected the e-mail, which is not retried.',
  retries_exhausted: 'The first attempt and all retries failed.',
  expired:
    'It expired: its expires_at passed, or the webhook was inactive or down for longer than deliveries are kept for it.',
  canceled: 'It was canceled by a user.',
  webhook_deleted: 'The webhook was deleted.',
  payload_removed: 'The payload was removed after its retention period.',
  expunged: 'The event was expunged.',
  discarded: 'The webhook was activated and its held deliveries were discarded.',
  terminated: 'The workflow was terminated in Temporal.',
};

/** Why a delivery was not delivered, as a sentence. An unknown reason is returned unchanged. */
export function reasonText(reason: string): string {
  return (reasons as Record<string, string>)[reason] ?? reason;
}

const errors: Record<AttemptErrorCode, string> = {
  client_error: '4xx',
  client_error_retried: '4xx',
  server_error: '5xx',
  redirect: '3xx',
  unexpected_status: 'unexpected status',
  dns_not_found: 'host not found',
  dns_failure: 'DNS lookup failed',
  connection_refused: 'connection refused',
  connection_reset: 'connection reset',
  connection_closed: 'connection closed',
  host_unreachable: 'host unreachable',
  tls_certificate: 'invalid certificate',
  tls_failure: 'TLS failed',
  timeout_dns: 'timeout (DNS)',
  timeout_connect: 'timeout (connect)',
  timeout_tls: 'timeout (TLS)',
  timeout_response: 'timeout (response)',
  malformed_response: 'malformed response',
  network_failure: 'network failure',
  blocked_address: 'blocked address',
  auth_failed: 'authentication failed',
  email_failed: 'mail server unavailable',
  email_rejected: 'e-mail rejected',
};

/** The names of the filter by error; a response is named by its class. */
const errorFilterNames: Partial<Record<AttemptErrorCode, string>> = {
  client_error: '4xx response',
  client_error_retried: '4xx response (retried)',
  server_error: '5xx response',
  redirect: '3xx response (redirect)',
};

/** @example errorFilterName('dns_not_found') // 'Host not found' */
export function errorFilterName(code: AttemptErrorCode | 'no_response'): string {
  if (code === 'no_response') return 'No response';
  const text = errorFilterNames[code] ?? errors[code];
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

type Last = Pick<DeliverySummary, 'last_status_code' | 'last_error_code'>;
type State = Pick<DeliverySummary, 'status' | 'reason' | 'next_attempt_at'> &
  Partial<Pick<Delivery, 'waits_for' | 'timeline'>>;

const deferrals: Record<Exclude<QueueReason, 'down'> | 'scheduled' | 'rescheduled', string> = {
  scheduled: 'Scheduled: its event was published with a time to deliver it.',
  hourly_cap: 'Deferred: the webhook reached its hourly cap.',
  rate_limit: 'Deferred: the webhook reached its rate limit.',
  receiver_requested: 'Deferred: the receiver requested it, with Retry-After.',
  rescheduled: 'The next attempt was rescheduled.',
};

/** Why it waits for a time that is not its retry's, where that is the last thing that happened. */
export function deferralText({ timeline = [] }: State): string | undefined {
  const last = timeline.at(-1);
  if (last?.type !== 'wait' || last.reason === undefined || last.reason === 'down') return undefined;
  return deferrals[last.reason];
}

/** The last attempt's status code, or a short error where there is none. */
export function lastResponse({ last_status_code: status, last_error_code: code }: Last): string {
  if (status !== null) return String(status);
  return code === null ? '–' : errorText(code);
}

const errorText = (code: string): string => (errors as Record<string, string>)[code] ?? code;

type AttemptResult = Pick<Attempt, 'status_code' | 'error'>;

/** @example attemptText({ status_code: null, error: { code: 'dns_not_found', message: '…' } }) // 'host not found' */
export function attemptText({ status_code: status, error }: AttemptResult): string {
  if (status !== null) return `response ${status}`;
  return error === null ? 'no response' : errorText(error.code);
}

/** HTTP headers, a line each. */
export const headersText = (headers: Record<string, string>): string =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n');

/** @example durationOf('2026-01-10T12:00:00.000Z', '2026-01-10T12:00:00.240Z') // '240 ms' */
export function durationOf(from: string, to: string): string {
  return formatDuration(Date.parse(to) - Date.parse(from));
}

const downText = (nextProbeAt: string | null): string =>
  nextProbeAt === null
    ? 'Deferred: the webhook was down. Its deliveries are being sent, the oldest first.'
    : 'Deferred: the webhook is down. One delivery at a time, the oldest first, tests whether it is back; the others follow.';

/** A delivery's status as a sentence. */
export function statusText(state: State, last?: AttemptResult): string {
  const { status, reason, next_attempt_at: next, waits_for: waitsFor } = state;
  if (waitsFor?.reason === 'order') return 'Waits for another delivery, which is before it in its order.';
  if (waitsFor?.reason === 'down') return downText(waitsFor.next_probe_at);
  switch (status) {
    case 'pending':
      return next === null
        ? `The ${last === undefined ? 'first' : 'next'} attempt is about to start.`
        : waitsFor?.reason === 'scheduled'
          ? 'Scheduled for its first attempt.'
          : (deferralText(state) ??
            'Waiting for the first attempt: the webhook reached one of its limits, or the delivery was rescheduled.');
    case 'retrying':
      return `The last attempt failed${last === undefined ? '' : ` (${attemptText(last)})`}. ${deferralText(state) ?? 'It will be retried.'}`;
    case 'delivered':
      return last === undefined ? 'Delivered.' : `Delivered: ${attemptText(last)}.`;
    case 'held':
      return 'Held until the webhook is active again.';
    case 'failed':
    case 'canceled':
      return reason === null ? (status === 'failed' ? 'Failed.' : 'Canceled.') : reasonText(reason);
  }
}
