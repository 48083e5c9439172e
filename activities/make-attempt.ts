import { ApplicationFailure } from '@temporalio/common';
import type { DeliveryStatus, FailureReason } from '../src/contracts/delivery.ts';
import { markEndedRun } from '../src/db/owners.ts';
import { recordAttempts, type AttemptRecord } from '../src/db/record-attempts.ts';
import type { AttemptRow } from '../src/db/attempts.ts';
import { createBatcher } from '../src/db/batcher.ts';
import { archiveEntries } from '../src/db/deliveries-table.ts';
import type { AttemptContext } from '../src/db/load-attempts.ts';
import type { Pool } from '../src/db/pool.ts';
import { takeSlots, type Limits, type Slot, type SlotRequest } from '../src/db/rate-limit-slots.ts';
import { stopOrGoOn } from '../src/db/stop-delivery.ts';
import { entriesOfResult } from '../src/domain/delivery-run.ts';
import { judgeAttempt } from '../src/domain/outcome.ts';
import { isOperational } from '../src/domain/subscription.ts';
import type { StoredEntry } from '../src/domain/timeline.ts';
import { bodyFor } from '../src/domain/wire-body.ts';
import type { Sender } from '../src/outbound/sender.ts';
import type { SecretBox } from '../src/security/secret-box.ts';
import type { AttemptResult, AttemptTrigger } from '../workflows/contract.ts';
import { errorDetailOf, reasonOf, responseOf, secondsToWait, statusOf, toResult } from './attempt-results.ts';
import { sendAttempt } from './send-attempt.ts';

export type MakeAttemptDeps = {
  pool: Pool;
  sender: Sender;
  secretBox: SecretBox;
  limits: Limits;
  /** Called for every attempt that was made, once it is recorded. */
  onAttempt: (made: { context: AttemptContext; row: AttemptRow; reason: FailureReason | null }) => void;
  /** Called for every attempt that the hourly cap deferred. */
  onDeferred: () => void;
  /** Called for every delivery that ended failed, again where the first call may have had no effect. */
  onFailed: (failed: {
    deliveryId: string;
    number: number;
    context: AttemptContext;
    reason: FailureReason;
  }) => Promise<void>;
};

export type AttemptRun = {
  /** The schedule's wait after this attempt; null: it is the last one. */
  scheduledSeconds: number | null;
  trigger: AttemptTrigger;
  /** What the workflow noted before. */
  notes: readonly StoredEntry[];
  /** The run that makes the attempt: the delivery's own, or a group's. */
  run: { workflowId: string; runId: string };
};

/** What came of it. `durationMs` and `isFailed` are null where no request was made. */
export type Attempted = {
  result: Exclude<AttemptResult, { next: 'busy' }>;
  durationMs: number | null;
  isFailed: boolean | null;
};

/**
 * The timeline entry of a deferral. It is marked as written by no run: if the worker dies before it reports the deferral to
 * Temporal, no history has it.
 */
const deferralOf = (result: AttemptResult & { next: 'defer' }): StoredEntry => {
  const [entry] = entriesOfResult(result);
  if (entry === undefined) throw new Error('A deferral has no entry');
  return { ...entry, outside: true };
};

/** How often a slot is requested again after the delivery was held or released meanwhile. Then the activity fails, and Temporal retries it. */
const maxTries = 3;

/** May it be made? → sign → send → record. Attempts that end at about the same time share a statement. */
export function createMakeAttempt(deps: MakeAttemptDeps) {
  const { pool, sender, secretBox, limits, onAttempt, onDeferred, onFailed } = deps;
  const record = createBatcher<AttemptRecord, DeliveryStatus | null>({
    maxSize: 64,
    concurrency: 2,
    run: async (records) => {
      const statuses = await recordAttempts(pool, records);
      return records.map(({ deliveryId }) => statuses.get(deliveryId) ?? null);
    },
  });
  const takeSlot = createBatcher<SlotRequest, Slot>({
    maxSize: 256,
    concurrency: 2,
    run: async (requests) => {
      const slots = new Map<SlotRequest, Slot>();
      for (const webhookId of new Set(requests.map((request) => request.webhookId))) {
        const ofWebhook = requests.filter((request) => request.webhookId === webhookId);
        const taken = await takeSlots(pool, webhookId, limits, ofWebhook);
        ofWebhook.forEach((request, index) => {
          const slot = taken[index];
          if (slot) slots.set(request, slot);
        });
      }
      return requests.map((request) => {
        const slot = slots.get(request);
        if (!slot) throw new Error('A slot was not decided');
        return slot;
      });
    },
  });

  /** Why no attempt is made now; null: it may be made. */
  const findObstacle = async (
    context: AttemptContext,
    { run, notes, trigger }: AttemptRun,
  ): Promise<Attempted['result'] | null> => {
    const { deliveryId, number, webhookId, status, ownerId, nextAttemptAt, waitReason, now } = context;
    const mayGo =
      context.isActive &&
      !context.isDeleted &&
      context.body !== null &&
      ownerId === run.workflowId &&
      (status === 'pending' || status === 'retrying');
    const stop = async (): Promise<Attempted['result'] | null> => {
      const stopped = await stopOrGoOn(pool, { deliveryId, ownerId: run.workflowId, notes });
      return stopped === 'goes_on' ? null : { next: 'stop', status: stopped, attempt: null, seconds: null };
    };
    if (!mayGo) {
      const stopped = await stop();
      if (stopped) return stopped;
    }
    if (trigger === 'wake' && mayGo && nextAttemptAt && waitReason && nextAttemptAt > now) {
      const at = now.toISOString();
      const result = { next: 'defer', at, until: nextAttemptAt.toISOString(), reason: waitReason } as const;
      await archiveEntries(pool, deliveryId, [...notes, deferralOf(result)]);
      return result;
    }
    // Operational events do not count.
    if (!context.isNearCap || isOperational(context.eventType)) return null;
    const resultOf = (at: Date, until: Date) =>
      ({
        next: 'defer',
        at: at.toISOString(),
        until: until.toISOString(),
        reason: 'hourly_cap',
      }) as const;
    for (let tries = 0; tries < maxTries; tries += 1) {
      const slot = await takeSlot({
        deliveryId,
        number,
        webhookId,
        ownerId: run.workflowId,
        runId: run.runId,
        notes,
        entryOf: (from, to) => deferralOf(resultOf(from, to)),
      });
      if (slot.is === 'granted') return null;
      if (slot.is === 'deferred') {
        onDeferred();
        return resultOf(slot.at, slot.until);
      }
      const stopped = await stop();
      if (stopped) return stopped;
    }
    throw new Error(`${deliveryId} was held and released again and again while its attempt was decided`);
  };

  const sendAndRecord = async (
    context: AttemptContext,
    { scheduledSeconds, notes, run }: AttemptRun,
  ): Promise<{ row: AttemptRow; status: DeliveryStatus }> => {
    const { body, deliveryId, number, webhookId, activation } = context;
    if (body === null)
      throw ApplicationFailure.nonRetryable(
        `The payload of ${context.eventId} was removed`,
        'payload_removed',
      );
    const { url, format } = context;
    const sentBody = bodyFor(format, body);
    const { attemptId, sent } = await sendAttempt({ sender, secretBox }, { ...context, body: sentBody });
    const { outcome, errorCode, reason } = judgeAttempt(sent, scheduledSeconds === null);
    const durationMs = Math.round(sent.durationMs);
    const endedAt = new Date(sent.startedAt.getTime() + durationMs);
    const seconds = outcome === 'retry' ? secondsToWait(sent, scheduledSeconds ?? 0, endedAt) : null;
    const row: AttemptRow = {
      id: attemptId,
      number,
      startedAt: sent.startedAt,
      durationMs,
      statusCode: statusOf(sent),
      outcome,
      errorCode,
      waitSeconds: seconds,
    };
    const planned: DeliveryStatus = outcome === 'retry' ? 'retrying' : outcome;
    const [attempt, ...nextEntries] = entriesOfResult(toResult(row, reason, planned));
    const status = await record({
      ...row,
      deliveryId,
      webhookId,
      activation,
      countsForCap: !isOperational(context.eventType),
      request: { url, format, bodyBytes: sentBody.length },
      errorDetail: errorDetailOf(sent),
      response: responseOf(sent),
      status: planned,
      reason,
      nextAttemptAt: seconds === null ? null : new Date(endedAt.getTime() + seconds * 1000),
      endedAt: outcome === 'retry' ? null : endedAt,
      run,
      entries: attempt ? [...notes, attempt] : notes,
      nextEntries,
    });
    // Run again, this activity finds what the other one recorded.
    if (status === null)
      throw new Error(`Attempt ${number} of ${deliveryId} was made and recorded by another run`);
    onAttempt({ context, row, reason });
    return { row: { ...row, waitSeconds: status === 'retrying' ? seconds : null }, status };
  };

  return async (context: AttemptContext, attemptRun: AttemptRun): Promise<Attempted> => {
    const { deliveryId, number, recorded } = context;
    if (recorded) {
      // It was sent and recorded: by an earlier run of this activity, which died before it could say so, or by a group.
      const reason = reasonOf(recorded);
      if (reason) await onFailed({ deliveryId, number, context, reason });
      if (reason && context.ownerId === attemptRun.run.workflowId)
        await markEndedRun(pool, deliveryId, attemptRun.run.runId);
      // Its record had no part in what this run noted.
      await archiveEntries(pool, deliveryId, attemptRun.notes);
      return { result: toResult(recorded, reason, context.status), durationMs: null, isFailed: null };
    }
    const obstacle = await findObstacle(context, attemptRun);
    if (obstacle) return { result: obstacle, durationMs: null, isFailed: null };
    const { row, status } = await sendAndRecord(context, attemptRun);
    const reason = reasonOf(row);
    if (reason) await onFailed({ deliveryId, number, context, reason });
    const isFailed = row.outcome !== 'delivered';
    return { result: toResult(row, reason, status), durationMs: row.durationMs, isFailed };
  };
}
