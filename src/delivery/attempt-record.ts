import type { StoredAttempt } from '../db/attempts.ts';
import type { AttemptContext } from '../db/load-attempts.ts';
import type { AttemptRecord } from '../db/record-attempts.ts';
import { entriesOfResult, resultOf } from '../domain/attempt-result.ts';
import { reasonOf } from '../domain/outcome.ts';
import { isOperational } from '../domain/subscription.ts';
import type { StoredEntry } from '../domain/timeline.ts';
import { endOfAttempt } from './signed-request.ts';

/** Operational events do not count under any limit, but as e-mails. */
export const countsUnderLimits = ({ eventType, format }: AttemptContext): boolean =>
  format === 'email' || !isOperational(eventType);

/** The attempt, and the state of its delivery afterwards. */
export function recordOf(
  made: StoredAttempt,
  context: AttemptContext,
  { run, notes }: Pick<AttemptRecord, 'run'> & { notes: readonly StoredEntry[] },
): AttemptRecord {
  const { deliveryId, webhookId, activation } = context;
  const { outcome, waitSeconds } = made;
  const endedAt = endOfAttempt(made);
  const planned = outcome === 'retry' ? 'retrying' : outcome;
  const [attempt, ...nextEntries] = entriesOfResult(resultOf(made, planned));
  // A probe that failed: its delivery is parked, and that entry is written with it.
  const isParked = made.isProbe === true && outcome === 'retry';
  return {
    ...made,
    deliveryId,
    webhookId,
    activation,
    countsForCap: countsUnderLimits(context),
    status: planned,
    reason: reasonOf(made),
    nextAttemptAt: waitSeconds === null ? null : new Date(endedAt.getTime() + waitSeconds * 1000),
    endedAt: outcome === 'retry' ? null : endedAt,
    run,
    entries: attempt ? [...notes, attempt] : notes,
    nextEntries: isParked ? [] : nextEntries,
  };
}
