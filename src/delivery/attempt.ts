import type { DeliveryStatus, FailureReason } from '../contracts/delivery.ts';
import { isRecorded, type StoredAttempt } from '../db/attempts.ts';
import { archiveEntries } from '../db/deliveries-table.ts';
import { deferWebhook, disableGone } from '../db/receiver-requests.ts';
import type { AttemptContext } from '../db/load-attempts.ts';
import { markEndedRun } from '../db/owners.ts';
import { endExpiredRun, giveBack } from '../db/rate-limit-slots.ts';
import { stopOrGoOn } from '../db/stop-delivery.ts';
import {
  resultOf,
  waitEntry,
  type AttemptInput,
  type AttemptResult,
  type AttemptRow,
} from '../domain/attempt-result.ts';
import { isGone } from '../domain/outcome.ts';
import { termsOf } from '../domain/retry-policy.ts';
import { isOperational } from '../domain/subscription.ts';
import type { StoredEntry } from '../domain/timeline.ts';
import { SenderBusy } from '../outbound/sender-busy.ts';
import { countsUnderLimits, recordOf } from './attempt-record.ts';
import { createPacing } from './pacing.ts';
import type { Permits } from './permits.ts';
import { requestSlot, SlotTooLate, unlimited } from './request-slot.ts';
import { sendSigned, type SendDeps } from './signed-request.ts';
import { createStatements, type StatementDeps } from './statements.ts';

export type AttemptDeps = StatementDeps &
  SendDeps & {
    permits: Permits;
    /** Called for every attempt that was made, once it is recorded. `reason`: why it ended its delivery failed, if it did. */
    onAttempt: (made: { context: AttemptContext; row: AttemptRow; reason: FailureReason | null }) => void;
    /** Called for every attempt that a limit of its webhook deferred. */
    onDeferred: () => void;
    /** Called with how many deliveries ended because their `expires_at` has come. */
    onExpired: (count: number) => void;
    /** Called with how many webhooks were disabled. */
    onDisabled: (count: number) => void;
    /** The waits before retries, in seconds, by the setting. */
    scheduleSeconds: readonly number[];
  };

type AttemptRequest = AttemptInput & {
  /** The run that makes the attempt: the delivery's own, or a group's. */
  run: { workflowId: string; runId: string };
  /** It is made beside others, in a group's run. */
  isGrouped: boolean;
  /** Called when its request begins. */
  onSent: () => void;
};

/** Makes one attempt of a delivery, and records it. Null: there is no such delivery. */
export type MakeAttempt = (request: AttemptRequest) => Promise<AttemptResult | null>;

/** How often an attempt requests another slot because its request could not begin in time. */
const maxSlots = 3;

/** After a longer wait for a permit, webhook and delivery are loaded again, because they may have changed. */
const maxContextAgeMs = 100;

/** Whether the attempts under way need not be counted: then a permit need not cover load and record. */
const isUncounted = ({ cap, probesWhenDown }: AttemptContext): boolean => cap === 0 && !probesWhenDown;

/** Load → check → sign → send → record, with a permit. A second run of an attempt that was recorded sends nothing. */
export function createMakeAttempt(deps: AttemptDeps): MakeAttempt {
  const { pool, permits, onAttempt, onDeferred } = deps;
  const { load, takeSlot, record, notifyFailed } = createStatements(deps);
  const pace = createPacing(deps);

  async function makeAttempt(request: AttemptRequest): Promise<AttemptResult | null> {
    // The attempts of a group load together, before they wait for permits: a webhook has few of those. But with an hourly cap, a
    // permit covers load and record too: `maxUnrecorded` bounds the attempts that a load does not count.
    const early = request.isGrouped && deps.limits.cap === 0 ? await load(request) : null;
    const loadedAt = Date.now();
    const permit = await permits.acquire(request.webhookId, request.isGrouped);
    if ('seconds' in permit) {
      // A workflow task that a signal makes run again repeats the attempt in it. A recorded one needs no permit.
      const isRepeated = !request.isGrouped && (await isRecorded(pool, request));
      const repeated = isRepeated ? await load(request) : null;
      if (repeated?.recorded) return useRecorded(repeated.recorded, repeated, request);
      return { next: 'busy', seconds: permit.seconds };
    }
    try {
      const isUsable = early && isUncounted(early) && Date.now() - loadedAt <= maxContextAgeMs;
      const context = isUsable ? early : await load(request);
      if (!context) return null;
      const { number, recorded, body } = context;
      if (recorded) return await useRecorded(recorded, context, request);
      // It may have changed since the group was made.
      if (request.isGrouped && context.mayNotShare) return { next: 'busy', seconds: 1 };
      permit.limitTo(context.maxConcurrent);
      const obstacle = await findObstacle(context, request);
      if (obstacle) return obstacle;
      if (body === null) throw new Error(`The payload of ${context.eventId} was removed`);
      const sent = await sendInSlot({ ...context, body }, request);
      if ('next' in sent) return sent;
      const { deferWebhookUntil, ...unnumbered } = sent;
      const made: StoredAttempt = { ...unnumbered, number };
      permit.ended({ durationMs: made.durationMs, isFailed: made.outcome === 'failed' });
      // Before another attempt begins, and before it is recorded: the receiver is not sent to any earlier, also if this process
      // dies.
      if (deferWebhookUntil) await deferWebhook(pool, context.webhookId, deferWebhookUntil);
      if (isUncounted(context) && !context.isNearLimit) permit.release();
      const status = await recordMade(made, context, request);
      await pace(context, made);
      // The wait counts only where the delivery still waits.
      const waitSeconds = status === 'retrying' ? made.waitSeconds : null;
      const result = resultOf({ ...made, waitSeconds }, status);
      onAttempt({ context, row: made, reason: result.next === 'fail' ? result.reason : null });
      if (result.next === 'fail') await notify(context, result.reason);
      await disableIfGone(deps, made, context);
      return result;
    } catch (error) {
      if (error instanceof SenderBusy) return { next: 'busy', seconds: error.seconds };
      throw error;
    } finally {
      permit.release();
    }
  }

  /** By an earlier run of this activity, which died before it could report it, or by a group. */
  async function useRecorded(
    recorded: AttemptRow,
    context: AttemptContext,
    { run, notes }: AttemptRequest,
  ): Promise<AttemptResult> {
    const { deliveryId } = context;
    const result = resultOf(recorded, context.status);
    await pace(context, recorded);
    await disableIfGone(deps, recorded, context);
    if (result.next === 'fail') {
      // The earlier run may have died before it did these.
      await notify(context, result.reason);
      if (context.ownerId === run.workflowId) await markEndedRun(pool, deliveryId, run.runId);
    }
    await archiveEntries(pool, deliveryId, notes);
    return result;
  }

  /** Why no attempt is made now; null: it may be made. */
  async function findObstacle(
    context: AttemptContext,
    { run, notes, trigger }: AttemptRequest,
  ): Promise<AttemptResult | null> {
    const { deliveryId, status, nextAttemptAt, waitReason, now } = context;
    const mayGo =
      context.isActive &&
      !context.isDeleted &&
      context.body !== null &&
      context.ownerId === run.workflowId &&
      (status === 'pending' || status === 'retrying');
    const isExpired = context.expiresAt !== null && context.expiresAt <= now;
    if (!mayGo) {
      const result = await stopped(context, { run, notes });
      if (result) return result;
    }
    // Also one that was held until now. If it has changed meanwhile, the next look finds that.
    if (isExpired)
      return (await endExpired(deps, deliveryId, { run, notes })) ? ended : { next: 'busy', seconds: 1 };
    if (trigger === 'wake' && mayGo && nextAttemptAt && waitReason && nextAttemptAt > now) {
      const deferral = deferralOf(now, nextAttemptAt, waitReason);
      await archiveEntries(pool, deliveryId, [...notes, deferralEntry(deferral)]);
      return deferral;
    }
    return null;
  }

  /** Sends the request once no limit of the webhook is against it. */
  async function sendInSlot(context: AttemptContext & { body: Buffer }, request: AttemptRequest) {
    const { deliveryId, number } = context;
    const terms = termsOf(context, request.scheduledSeconds, deps.scheduleSeconds);
    for (let slots = 0; slots < maxSlots; slots += 1) {
      const granted = await findSlot(context, request);
      if ('next' in granted) return granted;
      const { isProbe, isCounted, begin } = granted;
      const onSent = () => {
        begin();
        request.onSent();
      };
      try {
        return await sendSigned(deps, context, { ...terms, isProbe }, onSent);
      } catch (error) {
        const isLate = error instanceof SlotTooLate;
        if (isCounted && (isLate || error instanceof SenderBusy)) await giveBack(pool, deliveryId, number);
        if (!isLate) throw error;
      }
    }
    return { next: 'busy' as const, seconds: 1 };
  }

  async function findSlot(context: AttemptContext, { run, notes }: AttemptRequest) {
    const { deliveryId, number, webhookId, isNearLimit } = context;
    if (!isNearLimit || !countsUnderLimits(context)) return unlimited;
    return requestSlot({
      deliveryId,
      takeSlot: (patienceMs) =>
        takeSlot({
          deliveryId,
          number,
          webhookId,
          ownerId: run.workflowId,
          runId: run.runId,
          notes,
          entryOf: (at, until, reason) => deferralEntry(deferralOf(at, until, reason)),
          patienceMs,
        }),
      stop: () => stopped(context, { run, notes }),
      deferred({ at, until, reason }) {
        onDeferred();
        return deferralOf(at, until, reason);
      },
      parked() {
        onDeferred();
        return parked;
      },
    });
  }

  /** Null: the delivery and its webhook allow the attempt. */
  async function stopped(
    { deliveryId }: AttemptContext,
    { run, notes }: Pick<AttemptRequest, 'run' | 'notes'>,
  ): Promise<AttemptResult | null> {
    const status = await stopOrGoOn(pool, { deliveryId, ownerId: run.workflowId, notes });
    return status === 'goes_on' ? null : { next: 'stop', status, attempt: null, seconds: null };
  }

  /** The state of the delivery since: it may have been held or canceled during the attempt. */
  async function recordMade(
    made: StoredAttempt,
    context: AttemptContext,
    request: AttemptRequest,
  ): Promise<DeliveryStatus> {
    const status = await record(recordOf(made, context, request));
    // When this activity runs again, it finds the attempt that the other run recorded.
    if (status === null)
      throw new Error(`Attempt ${made.number} of ${context.deliveryId} was made and recorded by another run`);
    return status;
  }

  /** Emits `delivery.failed`; never about a delivery of such an event. */
  async function notify(context: AttemptContext, reason: FailureReason): Promise<void> {
    if (!isOperational(context.eventType)) await notifyFailed({ ...context, reason });
  }

  return makeAttempt;
}

const ended: AttemptResult = { next: 'stop', status: 'ended', attempt: null, seconds: null };
const parked: AttemptResult = { next: 'stop', status: 'deferred', attempt: null, seconds: null };

async function disableIfGone(
  { pool, onDisabled, wakeDispatcher, changes }: AttemptDeps,
  made: AttemptRow,
  { webhookId, policy }: AttemptContext,
): Promise<void> {
  if (!isGone(made) || policy?.on_gone !== 'disable') return;
  if (!(await disableGone(pool, { webhookId, attemptId: made.id }))) return;
  onDisabled(1);
  wakeDispatcher();
  changes.touch(webhookId);
}

/** False: the delivery has changed meanwhile. */
async function endExpired(
  { pool, onExpired, wakeDispatcher }: AttemptDeps,
  deliveryId: string,
  { run, notes }: Pick<AttemptRequest, 'run' | 'notes'>,
): Promise<boolean> {
  const { workflowId: ownerId, runId } = run;
  const hasEnded = await endExpiredRun(pool, { deliveryId, ownerId, runId, notes });
  if (!hasEnded) return false;
  onExpired(1);
  wakeDispatcher();
  return true;
}

type Deferral = Extract<AttemptResult, { next: 'defer' }>;

const deferralOf = (at: Date, until: Date, reason: Deferral['reason']): Deferral => ({
  next: 'defer',
  at: at.toISOString(),
  until: until.toISOString(),
  reason,
});

/** Marked as written by no run: if the worker dies before it reports the deferral to Temporal, no history has it. */
const deferralEntry = (deferral: Deferral): StoredEntry => ({ ...waitEntry(deferral), outside: true });
