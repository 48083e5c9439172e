import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import {
  deferDeliveries,
  recordAttempts,
  type AttemptRecord,
  type AttemptRow,
  type Deferral,
} from '../src/db/attempts.ts';
import { createBatcher } from '../src/db/batcher.ts';
import { loadAttempts, type AttemptMaterial } from '../src/db/load-attempts.ts';
import type { Pool } from '../src/db/pool.ts';
import { settleDelivery } from '../src/db/settle-delivery.ts';
import { slotTime } from '../src/domain/hourly-cap.ts';
import { bodyFor } from '../src/domain/slack-text.ts';
import { describeAttemptError, judgeAttempt } from '../src/domain/outcome.ts';
import { waitSeconds } from '../src/domain/retry-schedule.ts';
import type { SendResult, Sender } from '../src/outbound/sender.ts';
import type { SecretBox } from '../src/security/secret-box.ts';
import type { FailureReason, TimelineEntry } from '../src/contracts/delivery.ts';
import type { AttemptFacts, AttemptInput, AttemptResult } from '../workflows/contract.ts';
import { sendAttempt } from './send-attempt.ts';
import { createTurns } from './turns.ts';

export type AttemptDeps = {
  pool: Pool;
  sender: Sender;
  secretBox: SecretBox;
  /** Attempts an hour and webhook; 0: no cap. */
  attemptsPerHour: number;
  /** Told of every delivery that ended failed, again where the first time may not have been taken. */
  onFailed: (failed: {
    deliveryId: string;
    number: number;
    material: AttemptMaterial;
    reason: FailureReason;
  }) => Promise<void>;
};

/** Load → sign → send → record: one attempt, as one activity. */
export function createAttemptDelivery({ pool, sender, secretBox, attemptsPerHour, onFailed }: AttemptDeps) {
  const turns = createTurns();
  const load = createBatcher<AttemptInput, AttemptMaterial | null>({
    maxSize: 64,
    concurrency: 2,
    run: async (inputs) => {
      const loaded = await loadAttempts(pool, inputs, attemptsPerHour);
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
  const defer = createBatcher<Deferral, null>({
    maxSize: 256,
    concurrency: 1,
    run: async (deferrals) => {
      await deferDeliveries(pool, deferrals);
      return deferrals.map(() => null);
    },
  });

  const attemptNow = async (
    input: AttemptInput,
  ): Promise<{ result: AttemptResult; durationMs: number | null }> => {
    const material = await load(input);
    if (!material)
      throw ApplicationFailure.nonRetryable(`There is no delivery ${input.deliveryId}`, 'delivery_missing');
    const isLast = input.scheduledSeconds === null;
    // An earlier run of this activity sent and recorded it, and died before it could say so.
    const { recorded } = material;
    const stopped = recorded ? null : await stopInstead(pool, material, input);
    if (stopped) return { result: stopped, durationMs: null };
    const until = recorded ? null : slotTime(material.laneBefore, material.now);
    if (until) {
      const { entry, result } = describeDeferral(material.now, until);
      await defer({
        deliveryId: input.deliveryId,
        slot: material.slot,
        until,
        notes: input.notes,
        entry,
      });
      return { result, durationMs: null };
    }
    const row = recorded ?? (await sendAndRecord(input, material, isLast));
    const reason = row.outcome === 'failed' ? judgeRow(row, isLast) : null;
    if (reason) await onFailed({ deliveryId: input.deliveryId, number: input.number, material, reason });
    return { result: toResult(row, reason), durationMs: row.durationMs };
  };

  const sendAndRecord = async (
    input: AttemptInput,
    material: AttemptMaterial,
    isLast: boolean,
  ): Promise<AttemptRow> => {
    const { body } = material;
    if (body === null)
      throw ApplicationFailure.nonRetryable(
        `The payload of ${material.eventId} was removed`,
        'payload_removed',
      );
    const { attemptId, sent } = await sendAttempt(
      { sender, secretBox },
      { ...material, body: bodyFor(material.format, body) },
    );
    const { outcome, errorCode, reason } = judgeAttempt(sent, isLast);
    const durationMs = Math.round(sent.durationMs);
    const endedAt = new Date(sent.startedAt.getTime() + durationMs);
    const seconds = outcome === 'retry' ? secondsToWait(sent, input.scheduledSeconds ?? 0, endedAt) : null;
    const row: AttemptRow = {
      id: attemptId,
      number: input.number,
      startedAt: sent.startedAt,
      durationMs,
      statusCode: statusOf(sent),
      outcome,
      errorCode,
      waitSeconds: seconds,
    };
    const nextAttemptAt = seconds === null ? null : new Date(endedAt.getTime() + seconds * 1000);
    await record({
      ...row,
      deliveryId: input.deliveryId,
      webhookId: material.webhookId,
      activation: material.activation,
      slot: material.slot,
      response:
        sent.kind === 'answered'
          ? { headers: sent.headers, body: sent.body, truncated: sent.truncated }
          : null,
      status: outcome === 'retry' ? 'retrying' : outcome,
      reason,
      nextAttemptAt,
      endedAt: outcome === 'retry' ? null : endedAt,
      entries: [...input.notes, ...entriesOf(row, endedAt, reason, nextAttemptAt)],
    });
    return row;
  };

  return async (input: AttemptInput): Promise<AttemptResult> => {
    const turn = await turns.take(input.webhookId);
    if ('seconds' in turn) return { next: 'busy', seconds: turn.seconds };
    let attempted: Awaited<ReturnType<typeof attemptNow>> | null = null;
    try {
      attempted = await attemptNow(input);
    } finally {
      turn.giveBack(attempted?.durationMs ?? null);
    }
    return throwFailure(attempted.result);
  };
}

const statusOf = (sent: SendResult): number | null => (sent.kind === 'answered' ? sent.statusCode : null);

function secondsToWait(sent: SendResult, scheduledSeconds: number, endedAt: Date): number {
  const retryAfter = sent.kind === 'answered' ? sent.headers['retry-after'] : undefined;
  return waitSeconds({ scheduledSeconds, statusCode: statusOf(sent), retryAfter, now: endedAt });
}

/** A delivery that may not be attempted now: webhook or payload is gone, or not active, or it was settled meanwhile. */
async function stopInstead(
  pool: Pool,
  material: AttemptMaterial,
  input: AttemptInput,
): Promise<AttemptResult | null> {
  const { status, isActive, isDeleted, body } = material;
  if (isActive && !isDeleted && body !== null && status !== 'held' && status !== 'canceled') return null;
  const settled = await settleDelivery(pool, {
    deliveryId: input.deliveryId,
    as: isDeleted || body === null ? 'canceled' : isActive ? 'as_row_says' : 'held',
    reason: isDeleted ? 'webhook_deleted' : body === null ? 'payload_removed' : null,
    notes: input.notes,
  });
  if (settled.status === 'goes_on') return null;
  return settled.status === 'ended'
    ? { next: 'stop', status: 'ended' }
    : { next: 'stop', status: settled.status, at: settled.at, reason: settled.reason };
}

function describeDeferral(now: Date, until: Date): { entry: TimelineEntry; result: AttemptResult } {
  const seconds = Math.max(1, until.getTime() - now.getTime()) / 1000;
  const times = { at: now.toISOString(), until: until.toISOString(), seconds };
  return { entry: { ...times, type: 'wait', reason: 'hourly_cap' }, result: { ...times, next: 'defer' } };
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

/** Why an attempt that failed ends its delivery. */
function judgeRow({ errorCode, statusCode }: AttemptRow, isLast: boolean): FailureReason | null {
  const answer =
    statusCode === null
      ? { kind: 'failed' as const, code: errorCode ?? 'network_failure' }
      : { kind: 'answered' as const, statusCode };
  return judgeAttempt(answer, isLast).reason;
}

/** What the workflow learns. */
function toResult(row: AttemptRow, reason: FailureReason | null): AttemptResult {
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
function throwFailure(result: AttemptResult): AttemptResult {
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
