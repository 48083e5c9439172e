import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import type { FailureReason, TimelineEntry } from '../src/contracts/delivery.ts';
import type { AttemptRow } from '../src/db/attempts.ts';
import { describeAttemptError, judgeAttempt } from '../src/domain/outcome.ts';
import { waitSeconds } from '../src/domain/retry-schedule.ts';
import type { SendResult } from '../src/outbound/sender.ts';
import type { AttemptFacts, AttemptResult } from '../workflows/contract.ts';

export const statusOf = (sent: SendResult): number | null =>
  sent.kind === 'answered' ? sent.statusCode : null;

export function secondsToWait(sent: SendResult, scheduledSeconds: number, endedAt: Date): number {
  const retryAfter = sent.kind === 'answered' ? sent.headers['retry-after'] : undefined;
  return waitSeconds({ scheduledSeconds, statusCode: statusOf(sent), retryAfter, now: endedAt });
}

export function describeDeferral(
  now: Date,
  until: Date,
): { entry: TimelineEntry; result: Extract<AttemptResult, { next: 'defer' }> } {
  const seconds = Math.max(1, until.getTime() - now.getTime()) / 1000;
  const times = { at: now.toISOString(), until: until.toISOString(), seconds };
  return { entry: { ...times, type: 'wait', reason: 'hourly_cap' }, result: { ...times, next: 'defer' } };
}

export function entriesOf(
  row: AttemptRow,
  endedAt: Date,
  reason: FailureReason | null,
  nextAttemptAt: Date | null,
): TimelineEntry[] {
  const attempt: TimelineEntry = {
    at: row.startedAt.toISOString(),
    type: 'attempt',
    id: row.id,
    number: row.number,
    outcome: row.outcome,
    status_code: row.statusCode,
    duration_ms: row.durationMs,
  };
  const at = endedAt.toISOString();
  if (row.waitSeconds !== null && nextAttemptAt) {
    return [attempt, { at, type: 'wait', seconds: row.waitSeconds, until: nextAttemptAt.toISOString() }];
  }
  return [
    attempt,
    { at, type: 'ended', status: row.outcome === 'delivered' ? 'delivered' : 'failed', reason },
  ];
}

/** Why an attempt that failed ends its delivery. */
export function judgeRow({ errorCode, statusCode }: AttemptRow, isLast: boolean): FailureReason | null {
  const answer =
    statusCode === null
      ? { kind: 'failed' as const, code: errorCode ?? 'network_failure' }
      : { kind: 'answered' as const, statusCode };
  return judgeAttempt(answer, isLast).reason;
}

/** What the workflow learns. */
export function toResult(
  row: AttemptRow,
  reason: FailureReason | null,
): Extract<AttemptResult, { attempt: AttemptFacts }> {
  const attempt: AttemptFacts = {
    id: row.id,
    number: row.number,
    startedAt: row.startedAt.toISOString(),
    durationMs: row.durationMs,
    statusCode: row.statusCode,
    outcome: row.outcome,
    errorCode: row.errorCode,
  };
  if (row.outcome === 'delivered') return { next: 'end', attempt };
  if (row.outcome === 'retry') return { next: 'wait', attempt, seconds: row.waitSeconds ?? 0 };
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
    // A receiver's answer, not a fault of ours: no warning in the worker's log.
    category: ApplicationFailureCategory.BENIGN,
  });
}
