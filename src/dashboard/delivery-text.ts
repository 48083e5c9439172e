import type { Attempt, AttemptErrorCode } from '../contracts/attempt.ts';
import type { DeliverySummary, FailureReason } from '../contracts/delivery.ts';
import { duration } from './components/time.tsx';

const reasons: Record<
  FailureReason | 'expired' | 'canceled' | 'webhook_deleted' | 'discarded' | 'terminated',
  string
> = {
  client_error: 'The receiver refused it with a 4xx, so it is not tried again.',
  blocked_address: "The webhook's host leads to an address that webhooks may not be sent to.",
  retries_exhausted: 'Every retry of the schedule was used, and none was successful.',
  expired: 'Its webhook was not active for longer than held deliveries are kept.',
  canceled: 'Somebody canceled it.',
  webhook_deleted: 'Its webhook was deleted.',
  discarded: 'Its webhook was activated again with what was held discarded.',
  terminated: 'Its workflow was terminated in Temporal.',
};

/** Why a delivery is not delivered, in words; a reason that is not known here as it is. */
export function reasonInWords(reason: string): string {
  return (reasons as Record<string, string>)[reason] ?? reason;
}

const errors: Record<AttemptErrorCode, string> = {
  client_error: '4xx',
  server_error: '5xx',
  redirect: '3xx',
  unexpected_status: 'unexpected status',
  dns_not_found: 'no such host',
  dns_failure: 'name look-up failed',
  connection_refused: 'refused',
  connection_reset: 'reset',
  connection_closed: 'closed',
  host_unreachable: 'unreachable',
  tls_certificate: 'bad certificate',
  tls_failure: 'TLS failed',
  timeout_dns: 'timeout (DNS)',
  timeout_connect: 'timeout (connect)',
  timeout_tls: 'timeout (TLS)',
  timeout_response: 'timeout (response)',
  malformed_response: 'malformed response',
  network_failure: 'network failure',
  blocked_address: 'blocked address',
};

type Last = Pick<DeliverySummary, 'last_status_code' | 'last_error_code'>;
type Stand = Pick<DeliverySummary, 'status' | 'reason' | 'next_attempt_at'>;

/** What the last attempt came to, in a column's width: its status code, or why there is none. */
export function lastAnswer({ last_status_code: status, last_error_code: code }: Last): string {
  if (status !== null) return String(status);
  return code === null ? '–' : errorInWords(code);
}

const errorInWords = (code: string): string => (errors as Record<string, string>)[code] ?? code;

type Made = Pick<Attempt, 'status_code' | 'error'>;

/** @example attemptInWords({ status_code: null, error: { code: 'dns_not_found', message: '…' } }) // 'no such host' */
export function attemptInWords({ status_code: status, error }: Made): string {
  if (status !== null) return `response ${status}`;
  return error === null ? 'no response' : errorInWords(error.code);
}

/** @example durationOf('2026-01-10T12:00:00.000Z', '2026-01-10T12:00:00.240Z') // '240 ms' */
export function durationOf(from: string, to: string): string {
  return durationInWords(Date.parse(to) - Date.parse(from));
}

export function durationInWords(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : duration(Math.round(ms / 1000));
}

/** Where a delivery stands, as a sentence; `last`: its last attempt. */
export function standInWords({ status, reason, next_attempt_at: next }: Stand, last?: Made): string {
  switch (status) {
    case 'pending':
      return next === null
        ? 'It is on its way: its first attempt is about to be made.'
        : 'It waits for its first attempt: the webhook has no room in its hourly cap before that, or it was rescheduled.';
    case 'retrying':
      return `The last attempt failed${last === undefined ? '' : ` (${attemptInWords(last)})`}; it will be retried.`;
    case 'delivered':
      return 'The receiver took it.';
    case 'held':
      return 'It waits until its webhook is active again.';
    case 'failed':
    case 'canceled':
      return reason === null ? `It ended ${status}.` : reasonInWords(reason);
  }
}
