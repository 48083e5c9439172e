import type { AttemptErrorCode, AttemptOutcome } from '../contracts/attempt-schema.ts';
import type { DeliveryStatus, FailureReason, TimelineEntry, WaitReason } from '../contracts/delivery.ts';
import { reasonOf } from './outcome.ts';
import type { StoredEntry } from './timeline.ts';

// All of these types but `AttemptRow` end up in histories: ids and outcomes only, no payload, secret or URL.

export type AttemptInput = {
  deliveryId: string;
  webhookId: string;
  number: number;
  /** The schedule's wait after this attempt; null: it is the last one. */
  scheduledSeconds: number | null;
  trigger: AttemptTrigger;
  /** The run's earlier entries, written with the attempt. */
  notes: readonly StoredEntry[];
};
/** `due`: its time has come. `requested`: somebody wants it now. `wake`: only if it is due by its row. */
export type AttemptTrigger = 'due' | 'requested' | 'wake';

/** One attempt as histories have it. */
export type AttemptFacts = {
  id: string;
  number: number;
  startedAt: string;
  durationMs: number;
  statusCode: number | null;
  outcome: AttemptOutcome;
  errorCode: AttemptErrorCode | null;
  /** It tested a webhook that is down: when it failed, it used no wait of the schedule. */
  isProbe?: true;
};
/** One attempt as its row has it. */
export type AttemptRow = Omit<AttemptFacts, 'startedAt' | 'isProbe'> & {
  startedAt: Date;
  isProbe?: boolean | undefined;
  /** The wait after it; null: it ended its delivery, or the delivery was held or canceled meanwhile. */
  waitSeconds: number | null;
};

export type AttemptResult =
  | RecordedResult
  /** No attempt yet: it waits until then. `at` is when this was decided. */
  | { next: 'defer'; at: string; until: string; reason: WaitReason }
  /** No attempt yet: there was no permit. Nothing is written. */
  | { next: 'busy'; seconds: number };

type RecordedResult =
  | { next: 'end'; attempt: AttemptFacts }
  | { next: 'wait'; attempt: AttemptFacts; seconds: number }
  | { next: 'fail'; attempt: AttemptFacts; reason: FailureReason }
  /**
   * The run has nothing more to do. `deferred`: the delivery waits without a workflow, because its webhook is down. `attempt`:
   * one that was under way when the delivery was stopped, or that failed as a probe. `seconds`: the wait that it began before
   * that, if any.
   */
  | {
      next: 'stop';
      status: 'held' | 'deferred' | 'canceled' | 'ended';
      attempt: AttemptFacts | null;
      seconds: number | null;
    };

/**
 * The result of a recorded attempt for the workflow.
 *
 * @param status the state that its delivery has since
 * @example resultOf({ ...attempt, outcome: 'retry', waitSeconds: 60 }, 'retrying') // { next: 'wait', attempt, seconds: 60 }
 */
export function resultOf(recorded: AttemptRow, status: DeliveryStatus): RecordedResult {
  const { id, number, durationMs, statusCode, outcome, errorCode, waitSeconds: seconds } = recorded;
  const attempt: AttemptFacts = {
    id,
    number,
    startedAt: recorded.startedAt.toISOString(),
    durationMs,
    // A response that is not valid HTTP counts for none.
    statusCode: errorCode === 'malformed_response' ? null : statusCode,
    outcome,
    errorCode,
    ...(recorded.isProbe === true && { isProbe: true }),
  };
  if (outcome === 'delivered') return { next: 'end', attempt };
  if (outcome === 'retry' && recorded.isProbe === true && status === 'pending')
    return { next: 'stop', status: 'deferred', attempt, seconds: null };
  if (status === 'retrying' && seconds !== null) return { next: 'wait', attempt, seconds };
  if (status === 'canceled' || status === 'held') return { next: 'stop', status, attempt, seconds };
  const reason = reasonOf(recorded);
  if (reason !== null) return { next: 'fail', attempt, reason };
  // Held since, and by now pending again, for a run that reads its row again, or expired.
  return { next: 'stop', status: status === 'pending' ? 'held' : 'ended', attempt, seconds };
}

/**
 * The entries of the timeline for the result of an attempt. The activity writes the same to the archive.
 *
 * @example entriesOfResult({ next: 'busy', seconds: 3 }) // []
 */
export function entriesOfResult(result: AttemptResult): TimelineEntry[] {
  switch (result.next) {
    case 'busy':
      return [];
    case 'stop': {
      const { attempt, seconds } = result;
      if (!attempt) return [];
      return seconds === null
        ? [attemptEntry(attempt)]
        : [attemptEntry(attempt), retryEntry(attempt, seconds)];
    }
    case 'defer':
      return [waitEntry(result)];
    case 'wait':
      return [attemptEntry(result.attempt), retryEntry(result.attempt, result.seconds)];
    case 'end':
      return [
        attemptEntry(result.attempt),
        { at: endOf(result.attempt), type: 'ended', status: 'delivered', reason: null },
      ];
    case 'fail': {
      const { attempt, reason } = result;
      return [attemptEntry(attempt), { at: endOf(attempt), type: 'ended', status: 'failed', reason }];
    }
  }
}

/** The timeline's entry of a wait. Times are RFC 3339. */
export function waitEntry({ at, until, reason }: { at: string; until: string; reason: WaitReason }) {
  const seconds = Math.max(0, Date.parse(until) - Date.parse(at)) / 1000;
  return { at, type: 'wait' as const, seconds, until, ...(reason === 'retry' ? {} : { reason }) };
}

/** When the wait after an attempt ends, RFC 3339. */
export const endOfWait = (attempt: AttemptFacts, seconds: number): string => endOf(attempt, seconds * 1000);

const endOf = ({ startedAt, durationMs }: AttemptFacts, afterMs = 0): string =>
  new Date(Date.parse(startedAt) + durationMs + afterMs).toISOString();

function attemptEntry(attempt: AttemptFacts): TimelineEntry {
  return {
    at: attempt.startedAt,
    type: 'attempt',
    id: attempt.id,
    number: attempt.number,
    outcome: attempt.outcome,
    status_code: attempt.statusCode,
    duration_ms: attempt.durationMs,
  };
}

function retryEntry(attempt: AttemptFacts, seconds: number): TimelineEntry {
  const entry = waitEntry({ at: endOf(attempt), until: endOfWait(attempt, seconds), reason: 'retry' });
  return { ...entry, seconds };
}
