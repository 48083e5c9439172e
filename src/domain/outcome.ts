import type { AttemptErrorCode, AttemptOutcome } from '../contracts/attempt-schema.ts';
import type { FailureReason } from '../contracts/delivery.ts';
import type { RetriedClientError } from '../contracts/webhook-policy.ts';

/** The result of one request: a response, or why there was none. */
export type Response = { kind: 'responded'; statusCode: number } | { kind: 'failed'; code: AttemptErrorCode };

export type Verdict = { outcome: AttemptOutcome; errorCode: AttemptErrorCode | null };

/**
 * The outcome of an attempt: 2xx is delivered, 4xx and a refused address fail at once, all else is retried while the schedule
 * has a wait left.
 *
 * @param isLast no wait is left in the schedule
 * @param also client errors that are retried, too; 410 never is
 * @example judgeAttempt({ kind: 'responded', statusCode: 503 }, false) // { outcome: 'retry', errorCode: 'server_error' }
 */
export function judgeAttempt(
  response: Response,
  isLast: boolean,
  also: readonly RetriedClientError[] = [],
): Verdict {
  if (response.kind === 'responded' && response.statusCode >= 200 && response.statusCode <= 299)
    return { outcome: 'delivered', errorCode: null };
  const errorCode = response.kind === 'failed' ? response.code : codeOfStatus(response.statusCode, also);
  const isFinal = isLast || isRefusal(errorCode);
  return { outcome: isFinal ? 'failed' : 'retry', errorCode };
}

/** No retry helps. */
const isRefusal = (code: AttemptErrorCode | null) =>
  code === 'client_error' || code === 'blocked_address' || code === 'email_rejected';

/** The receiver responded that it is gone for good. */
export const isGone = (attempt: { statusCode: number | null; errorCode: AttemptErrorCode | null }): boolean =>
  attempt.statusCode === 410 && attempt.errorCode === 'client_error';

/**
 * Why an attempt ends its delivery failed; null: it does not.
 *
 * @example reasonOf({ outcome: 'failed', errorCode: 'server_error' }) // 'retries_exhausted'
 */
export function reasonOf({ outcome, errorCode }: Verdict): FailureReason | null {
  if (outcome !== 'failed') return null;
  return errorCode === 'client_error' || errorCode === 'blocked_address' || errorCode === 'email_rejected'
    ? errorCode
    : 'retries_exhausted';
}

function codeOfStatus(statusCode: number, also: readonly RetriedClientError[]): AttemptErrorCode {
  if (statusCode >= 400 && statusCode <= 499) {
    const isRetried = also.some((each) => each === '4xx' || each === String(statusCode));
    return isRetried && statusCode !== 410 ? 'client_error_retried' : 'client_error';
  }
  if (statusCode >= 500 && statusCode <= 599) return 'server_error';
  // 304 leads nowhere.
  if (statusCode >= 300 && statusCode <= 399 && statusCode !== 304) return 'redirect';
  return 'unexpected_status';
}

type Describe = (statusCode: number | null, detail: string | null) => string;

const descriptions: Record<AttemptErrorCode, Describe> = {
  client_error: (status) => `Response ${status}: the receiver refuses the request, so it is not retried.`,
  client_error_retried: (status) =>
    `Response ${status}: the receiver refuses the request; the webhook's retry policy says that this is retried.`,
  server_error: (status) => `Response ${status}: a fault at the receiver.`,
  redirect: (status) =>
    `Response ${status}: redirects are not followed. Set the webhook's URL to the final address.`,
  unexpected_status: (status) =>
    `Response ${status}: no status that a receiver may end a request with. Respond with a 2xx status.`,
  dns_not_found: () => 'Name look-up: no such host. Check the host name in the URL.',
  dns_failure: () => 'Name look-up failed: no name server gave a valid response.',
  connection_refused: () => 'Connect: refused. Nothing listens at that host and port.',
  connection_reset: (_, detail) => detail ?? 'The receiver reset the connection before it responded.',
  connection_closed: (_, detail) => detail ?? 'The receiver closed the connection before it responded.',
  host_unreachable: () => 'Connect: the host or its network cannot be reached.',
  tls_certificate: (_, detail) => detail ?? 'TLS: the certificate is not valid.',
  tls_failure: (_, detail) => detail ?? 'TLS: the handshake failed.',
  timeout_dns: () => 'Name look-up took longer than the time limit.',
  timeout_connect: () => 'Connect: no connection within the time limit.',
  timeout_tls: () => 'TLS: the handshake did not end within the time limit.',
  timeout_response: () => 'Read: connected, but no status and headers came within the time limit.',
  malformed_response: (_, detail) => `The response is not valid HTTP${detail === null ? '' : `: ${detail}`}.`,
  network_failure: () => 'The connection failed.',
  blocked_address: () =>
    'The host leads to an address that webhooks may not be sent to (private, local or reserved).',
  auth_failed: (status, detail) =>
    detail ??
    (status === null
      ? 'No access token could be fetched from the token URL.'
      : `Response ${status}: the receiver no longer accepts the access token. The next attempt uses a new one.`),
  email_failed: (_, detail) => detail ?? 'The mail server did not accept the message.',
  email_rejected: (_, detail) => detail ?? 'The mail server rejects the message.',
};

/** The error in words that the webhook's owner understands, without the address; `detail` is the attempt's. */
export function describeAttemptError(
  code: AttemptErrorCode,
  statusCode: number | null,
  detail: string | null = null,
): string {
  return descriptions[code](statusCode, detail);
}
