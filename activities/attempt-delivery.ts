import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import type { Pool } from '../src/db/pool.ts';
import { createBatcher } from '../src/db/batcher.ts';
import {
  loadAttempts,
  recordAttempts,
  type AttemptMaterial,
  type AttemptRecord,
  type AttemptRow,
} from '../src/db/attempts.ts';
import { settleDelivery } from '../src/db/settle-delivery.ts';
import { describeAttemptError, judgeAttempt } from '../src/domain/outcome.ts';
import { waitSeconds } from '../src/domain/retry-schedule.ts';
import type { Sender } from '../src/outbound/sender.ts';
import type { SecretBox } from '../src/security/secret-box.ts';
import type { FailureReason, TimelineEntry } from '../src/contracts/delivery.ts';
import { sendAttempt } from './send-attempt.ts';
import type { AttemptFacts, AttemptInput, AttemptResult } from '../workflows/contract.ts';

export type AttemptDeps = { pool: Pool; sender: Sender; secretBox: SecretBox };

/** Load → sign → send → record: one attempt, as one activity. */
export function createAttemptDelivery({ pool, sender, secretBox }: AttemptDeps) {
  const load = createBatcher<AttemptInput, AttemptMaterial | null>({
    maxSize: 64,
    concurrency: 2,
    run: async (inputs) => {
      const loaded = await loadAttempts(pool, inputs);
      const byKey = new Map(
        loaded.map((material) => [`${material.deliveryId} ${material.number}`, material]),
      );
      return inputs.map(({ deliveryId, number }) => byKey.get(`${deliveryId} ${number}`) ?? null);
    },
  });
  const record = createBatcher<AttemptRecord, null>({
    maxSize: 64,
    concurrency: 2,
    run: async (records) => {
      await recordAttempts(pool, records);
      return records.map(() => null);
    },
  });

  return async (input: AttemptInput): Promise<AttemptResult> => {
    const material = await load(input);
    if (!material)
      throw ApplicationFailure.nonRetryable(`There is no delivery ${input.deliveryId}`, 'delivery_missing');
    // An earlier run of this activity sent and recorded it, and died before it could say so.
    if (material.recorded) return toResult(material.recorded, input.scheduledSeconds === null);
    const stopped = await stopInstead(pool, material, input);
    if (stopped) return stopped;

    const { attemptId, sent } = await sendAttempt({ sender, secretBox }, material);

    const { outcome, errorCode, reason } = judgeAttempt(sent, input.scheduledSeconds === null);
    const statusCode = sent.kind === 'answered' ? sent.statusCode : null;
    const durationMs = Math.round(sent.durationMs);
    const endedAt = new Date(sent.startedAt.getTime() + durationMs);
    const seconds =
      outcome === 'retry' && input.scheduledSeconds !== null
        ? waitSeconds({
            scheduledSeconds: input.scheduledSeconds,
            statusCode,
            retryAfter: sent.kind === 'answered' ? sent.headers['retry-after'] : undefined,
            now: endedAt,
          })
        : null;
    const row: AttemptRow = {
      id: attemptId,
      number: input.number,
      startedAt: sent.startedAt,
      durationMs,
      statusCode,
      outcome,
      errorCode,
      waitSeconds: seconds,
    };
    const nextAttemptAt = seconds === null ? null : new Date(endedAt.getTime() + seconds * 1000);
    const status = outcome === 'retry' ? ('retrying' as const) : outcome;
    await record({
      ...row,
      deliveryId: input.deliveryId,
      response:
        sent.kind === 'answered'
          ? { headers: sent.headers, body: sent.body, truncated: sent.truncated }
          : null,
      status,
      reason,
      nextAttemptAt,
      endedAt: outcome === 'retry' ? null : endedAt,
      entries: [...input.notes, ...entriesOf(row, endedAt, reason, nextAttemptAt)],
    });
    return toResult(row, input.scheduledSeconds === null);
  };
}

/** A delivery that may not be attempted now: its webhook is gone or not active, or it was settled meanwhile. */
async function stopInstead(
  pool: Pool,
  material: AttemptMaterial,
  input: AttemptInput,
): Promise<AttemptResult | null> {
  const { status, isActive, isDeleted } = material;
  if (isActive && !isDeleted && status !== 'held' && status !== 'canceled') return null;
  const settled = await settleDelivery(pool, {
    deliveryId: input.deliveryId,
    as: isDeleted ? 'canceled' : isActive ? 'as_row_says' : 'held',
    reason: isDeleted ? 'webhook_deleted' : null,
    notes: input.notes,
  });
  if (settled.status === 'goes_on') return null;
  return settled.status === 'ended'
    ? { next: 'stop', status: 'ended' }
    : { next: 'stop', status: settled.status, at: settled.at, reason: settled.reason };
}

function entriesOf(
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

/** What the workflow learns. A failure that no retry can mend is thrown, so that Temporal shows it as one. */
function toResult(row: AttemptRow, isLast: boolean): AttemptResult {
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
  const { errorCode, statusCode } = row;
  if (errorCode === 'client_error' || errorCode === 'blocked_address') {
    const failed: AttemptResult = { next: 'fail', attempt, reason: errorCode };
    throw ApplicationFailure.create({
      message: describeAttemptError(errorCode, statusCode),
      type: errorCode,
      nonRetryable: true,
      details: [failed],
      // A receiver's answer, not a fault of ours: no warning in the worker's log.
      category: ApplicationFailureCategory.BENIGN,
    });
  }
  if (!isLast) throw new Error(`Attempt ${row.id} failed without a reason that ends a delivery`);
  return { next: 'fail', attempt, reason: 'retries_exhausted' };
}
