import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import type { DeliveryStatus, FailureReason } from '../src/contracts/delivery.ts';
import type { AttemptRow, StoredResponse } from '../src/db/attempts.ts';
import { describeAttemptError, judgeAttempt } from '../src/domain/outcome.ts';
import { waitSeconds } from '../src/domain/retry-schedule.ts';
import type { SendResult } from '../src/outbound/sender.ts';
import type { AttemptFacts, AttemptResult } from '../workflows/contract.ts';

/** Of a response that is not valid HTTP, the status that could be read. */
export const statusOf = (sent: SendResult): number | null =>
  sent.kind === 'answered' ? sent.statusCode : (sent.response?.statusCode ?? null);

/** What is kept of the response. */
export function responseOf(sent: SendResult): StoredResponse | null {
  if (sent.kind === 'answered') return { headers: sent.headers, body: sent.body, truncated: sent.truncated };
  if (sent.response === undefined || sent.response.statusCode === null) return null;
  return { headers: sent.response.headers, body: Buffer.alloc(0), truncated: true };
}

export const errorDetailOf = (sent: SendResult): string | null =>
  sent.kind === 'failed' ? (sent.detail ?? null) : null;

export function secondsToWait(sent: SendResult, scheduledSeconds: number, endedAt: Date): number {
  const retryAfter = sent.kind === 'answered' ? sent.headers['retry-after'] : undefined;
  return waitSeconds({ scheduledSeconds, statusCode: statusOf(sent), retryAfter, now: endedAt });
}

/** Why an attempt that failed ends its delivery; null: it does not. */
export function reasonOf({ outcome, errorCode }: AttemptRow): FailureReason | null {
  if (outcome !== 'failed') return null;
  return judgeAttempt({ kind: 'failed', code: errorCode ?? 'network_failure' }, true).reason;
}

export function factsOf(row: AttemptRow): AttemptFacts {
  return {
    id: row.id,
    number: row.number,
    startedAt: row.startedAt.toISOString(),
    durationMs: row.durationMs,
    // A response that is not valid HTTP counts for none.
    statusCode: row.errorCode === 'malformed_response' ? null : row.statusCode,
    outcome: row.outcome,
    errorCode: row.errorCode,
  };
}

/** What the workflow learns of an attempt that was recorded, and of the state that its delivery has since. */
export function toResult(
  row: AttemptRow,
  reason: FailureReason | null,
  status: DeliveryStatus,
): Extract<AttemptResult, { attempt: AttemptFacts | null }> {
  const attempt = factsOf(row);
  const { waitSeconds: seconds } = row;
  if (row.outcome === 'delivered') return { next: 'end', attempt };
  if (status === 'retrying' && seconds !== null) return { next: 'wait', attempt, seconds };
  if (status === 'canceled' || status === 'held') return { next: 'stop', status, attempt, seconds };
  // Held since, and by now pending again, for a run that reads its row anew, or expired.
  if (row.outcome === 'retry')
    return { next: 'stop', status: status === 'pending' ? 'held' : 'ended', attempt, seconds };
  if (reason === null) throw new Error(`Attempt ${row.id} failed without a reason that ends a delivery`);
  return { next: 'fail', attempt, reason };
}

/** A failure that no retry could have mended is thrown, so that Temporal shows it as one. */
export function throwFailure(result: AttemptResult): AttemptResult {
  if (result.next !== 'fail' || result.reason === 'retries_exhausted') return result;
  throw ApplicationFailure.create({
    message: describeAttemptError(result.reason, result.attempt.statusCode),
    type: result.reason,
    nonRetryable: true,
    details: [result],
    // The receiver's response, not a fault of ours: no warning in the worker's log.
    category: ApplicationFailureCategory.BENIGN,
  });
}
