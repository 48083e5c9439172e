import { ApplicationFailure } from '@temporalio/common';
import {
  deferDeliveries,
  recordAttempts,
  type AttemptRecord,
  type AttemptRow,
  type Carrier,
  type Deferral,
} from '../src/db/attempts.ts';
import { createBatcher } from '../src/db/batcher.ts';
import type { AttemptMaterial } from '../src/db/load-attempts.ts';
import type { Pool } from '../src/db/pool.ts';
import { settleDelivery } from '../src/db/settle-delivery.ts';
import { slotTime } from '../src/domain/hourly-cap.ts';
import { judgeAttempt } from '../src/domain/outcome.ts';
import { bodyFor } from '../src/domain/slack-text.ts';
import type { StoredEntry } from '../src/domain/timeline.ts';
import type { Sender } from '../src/outbound/sender.ts';
import type { SecretBox } from '../src/security/secret-box.ts';
import type { FailureReason } from '../src/contracts/delivery.ts';
import type { AttemptResult } from '../workflows/contract.ts';
import {
  describeDeferral,
  entriesOf,
  judgeRow,
  secondsToWait,
  statusOf,
  toResult,
} from './attempt-results.ts';
import { sendAttempt } from './send-attempt.ts';

export type MakeAttemptDeps = {
  pool: Pool;
  sender: Sender;
  secretBox: SecretBox;
  /** Told of every attempt that was made, once it is recorded. */
  onAttempt: (made: { material: AttemptMaterial; row: AttemptRow; reason: FailureReason | null }) => void;
  /** Told of every attempt that the hourly cap put off. */
  onDeferred: () => void;
  /** Told of every delivery that ended failed, again where the first time may not have been taken. */
  onFailed: (failed: {
    deliveryId: string;
    number: number;
    material: AttemptMaterial;
    reason: FailureReason;
  }) => Promise<void>;
};

type Asked = {
  /** The schedule's wait after this attempt; null: it is the last one. */
  scheduledSeconds: number | null;
  /** What the workflow noted before. */
  notes: readonly StoredEntry[];
  /** The run that asks: the delivery's own, or a group's. */
  run: { workflowId: string; runId: string };
};

/** What came of it. `durationMs` and `isFailed` are null where no request was made. */
export type Attempted = {
  result: Exclude<AttemptResult, { next: 'busy' }>;
  durationMs: number | null;
  isFailed: boolean | null;
};

/** Sign → send → record, of what was loaded. Attempts that end at about the same time share a statement. */
export function createMakeAttempt({
  pool,
  sender,
  secretBox,
  onAttempt,
  onDeferred,
  onFailed,
}: MakeAttemptDeps) {
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

  const sendAndRecord = async (material: AttemptMaterial, asked: Asked): Promise<AttemptRow> => {
    const { body, deliveryId } = material;
    if (body === null)
      throw ApplicationFailure.nonRetryable(
        `The payload of ${material.eventId} was removed`,
        'payload_removed',
      );
    const { attemptId, sent } = await sendAttempt(
      { sender, secretBox },
      { ...material, body: bodyFor(material.format, body) },
    );
    const { outcome, errorCode, reason } = judgeAttempt(sent, asked.scheduledSeconds === null);
    const durationMs = Math.round(sent.durationMs);
    const endedAt = new Date(sent.startedAt.getTime() + durationMs);
    const seconds = outcome === 'retry' ? secondsToWait(sent, asked.scheduledSeconds ?? 0, endedAt) : null;
    const row: AttemptRow = {
      id: attemptId,
      number: material.number,
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
      deliveryId,
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
      entries: [...asked.notes, ...entriesOf(row, endedAt, reason, nextAttemptAt)],
      carrier: outcome === 'delivered' ? asked.run : carrierAfter(deliveryId, asked),
    });
    onAttempt({ material, row, reason });
    return row;
  };

  return async (material: AttemptMaterial, asked: Asked): Promise<Attempted> => {
    const { deliveryId, number, recorded } = material;
    const isLast = asked.scheduledSeconds === null;
    // An earlier run of this activity sent and recorded it, and died before it could say so.
    const stopped = recorded ? null : await stopInstead(pool, material, asked.notes);
    if (stopped) return { result: stopped, durationMs: null, isFailed: null };
    const until = recorded ? null : slotTime(material.laneBefore, material.now);
    if (until) {
      const { entry, result } = describeDeferral(material.now, until);
      const { slot } = material;
      const carrier = carrierAfter(deliveryId, asked);
      await defer({ deliveryId, slot, until, notes: asked.notes, entry, carrier });
      onDeferred();
      return { result, durationMs: null, isFailed: null };
    }
    const row = recorded ?? (await sendAndRecord(material, asked));
    const reason = row.outcome === 'failed' ? judgeRow(row, isLast) : null;
    if (reason) await onFailed({ deliveryId, number, material, reason });
    const isFailed = recorded ? null : row.outcome !== 'delivered';
    return { result: toResult(row, reason), durationMs: recorded ? null : row.durationMs, isFailed };
  };
}

/** What a group did not deliver goes on in a workflow of its own, which the group starts. */
function carrierAfter(deliveryId: string, { run }: Asked): Carrier {
  return run.workflowId === deliveryId ? run : { workflowId: deliveryId, runId: null };
}

/** A delivery that may not be attempted now: webhook or payload is gone, or not active, or it was settled meanwhile. */
async function stopInstead(
  pool: Pool,
  material: AttemptMaterial,
  notes: readonly StoredEntry[],
): Promise<Extract<AttemptResult, { next: 'stop' }> | null> {
  const { status, isActive, isDeleted, body } = material;
  if (isActive && !isDeleted && body !== null && status !== 'held' && status !== 'canceled') return null;
  const settled = await settleDelivery(pool, {
    deliveryId: material.deliveryId,
    as: isDeleted || body === null ? 'canceled' : isActive ? 'as_row_says' : 'held',
    reason: isDeleted ? 'webhook_deleted' : body === null ? 'payload_removed' : null,
    notes,
  });
  if (settled.status === 'goes_on') return null;
  return settled.status === 'ended'
    ? { next: 'stop', status: 'ended' }
    : { next: 'stop', status: settled.status, at: settled.at, reason: settled.reason };
}
