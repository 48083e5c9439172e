import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  defineQuery,
  defineSignal,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { ApplicationFailureCategory } from '@temporalio/common';
import type { Activities } from '../activities/index.ts';
import type { StoredEntry } from '../src/domain/timeline.ts';
import { activityOptions, localActivityOptions } from './activity-options.ts';
import {
  signalNames,
  stateQueryName,
  type Asked,
  type AttemptResult,
  type DeliverEventInput,
  type DeliverEventResult,
  type DeliveryState,
  type Reschedule,
  type SettleInput,
  type SignalName,
} from './contract.ts';

const retryNow = defineSignal<[Asked?]>(signalNames.retryNow);
const cancel = defineSignal<[Asked?]>(signalNames.cancel);
// Sent by the service after it held, released or canceled the delivery's row.
const settleSignal = defineSignal<[Asked?]>(signalNames.settle);
const reschedule = defineSignal<[Reschedule]>(signalNames.reschedule);
const state = defineQuery<DeliveryState>(stateQueryName);

/** What ends a wait before its time. */
type Wake = 'attempt' | 'reschedule' | 'settle' | 'cancel';
type EndStatus = DeliverEventResult['status'];

/** One event on its way to one webhook: attempt, wait, attempt again, until it ends. */
export async function deliverEvent(input: DeliverEventInput): Promise<DeliverEventResult> {
  const { deliveryId, schedule } = input;
  const { startTime, runId, workflowId } = workflowInfo();
  const startedAt = startTime.toISOString();
  let first = input.handOver?.result ?? null;
  let notes: StoredEntry[] = first
    ? [{ at: startedAt, type: 'handed_over', run_id: runId }]
    : [
        ...(input.isRelease ? [{ at: startedAt, type: 'released' as const }] : []),
        { at: startedAt, type: 'started', run_id: runId, workflow_id: workflowId },
      ];
  let now: DeliveryState = { phase: 'attempting', attempts: input.attemptsBefore, nextAttemptAt: null };
  let wake: Wake | null = null;
  // The handlers below set it while the loop waits, which the compiler does not see.
  const wokenTo = (): Wake | null => wake;
  let retryAskedAfter = -1;
  let rescheduledTo = startedAt;

  const note = (name: string, asked: Asked | undefined, at = new Date().toISOString()) => {
    const by = typeof asked?.by === 'string' ? asked.by.slice(0, 100) : 'temporal';
    notes.push({ at, type: 'signal', name, by });
  };
  const onRetryNow = (asked?: Asked, at?: string) => {
    note(signalNames.retryNow, asked, at);
    retryAskedAfter = Math.max(retryAskedAfter, asked?.attemptsSeen ?? now.attempts);
    // Who has not seen how far it is means the next attempt; who asked while one was under way has had that one.
    const seen = asked?.attemptsSeen;
    if (seen === undefined || (now.phase === 'waiting' && seen >= now.attempts)) wake ??= 'attempt';
  };
  const onCancel = (asked?: Asked, at?: string) => {
    note(signalNames.cancel, asked, at);
    wake = 'cancel';
  };
  const onSettle = (asked?: Asked, at?: string) => {
    note(signalNames.settle, asked, at);
    if (wake !== 'cancel') wake = 'settle';
  };
  const onReschedule = (asked: Reschedule, at?: string) => {
    if (Number.isNaN(Date.parse(asked?.until))) return;
    note(signalNames.reschedule, asked, at);
    rescheduledTo = new Date(asked.until).toISOString();
    if (wake !== 'cancel' && wake !== 'settle') wake = 'reschedule';
  };
  const handlers: Record<SignalName, (asked: Reschedule, at?: string) => void> = {
    retryNow: onRetryNow,
    cancel: onCancel,
    settle: onSettle,
    reschedule: onReschedule,
  };
  // What the group was told while it made the first attempt counts as if this run had made it.
  for (const told of input.handOver?.signals ?? []) handlers[told.name](told.asked as Reschedule, told.at);
  setHandler(state, () => now);
  setHandler(retryNow, (asked) => onRetryNow(asked));
  setHandler(cancel, (asked) => onCancel(asked));
  setHandler(settleSignal, (asked) => onSettle(asked));
  setHandler(reschedule, (asked) => onReschedule(asked));
  const takeNotes = () => {
    const taken = notes;
    notes = [];
    return taken;
  };
  const settle = async (as: SettleInput['as'], reason: string | null) => {
    const { settleDelivery } = proxyActivities<Activities>({ ...activityOptions, summary: 'settle' });
    const settled = await settleDelivery({ deliveryId, as, reason, notes: takeNotes() });
    if (settled.status !== 'goes_on') now = { ...now, phase: 'ended', nextAttemptAt: null };
    return settled.status;
  };

  /** Waits, unless woken before; the status that ended the delivery meanwhile, or null: on to an attempt. */
  const pause = async (seconds: number, until: string | null, summary: string): Promise<EndStatus | null> => {
    let milliseconds = seconds * 1000;
    let wait = summary;
    now = { ...now, phase: 'waiting', nextAttemptAt: until };
    for (;;) {
      await condition(() => wake !== null, milliseconds, { summary: wait });
      if (wokenTo() !== 'reschedule') break;
      wake = null;
      const [at, to] = [new Date().toISOString(), rescheduledTo];
      const { rescheduleDelivery } = proxyActivities<Activities>({
        ...activityOptions,
        summary: 'reschedule',
      });
      await rescheduleDelivery({ deliveryId, at, until: to, notes: takeNotes() });
      now = { ...now, nextAttemptAt: to };
      setCurrentDetails(`Rescheduled. Next attempt at ${to}`);
      milliseconds = Math.max(0, Date.parse(to) - Date.now());
      wait = `rescheduled to ${to}`;
      if (milliseconds === 0) break;
    }
    if (wokenTo() !== 'settle') return null;
    const status = await settle('as_row_says', null);
    return status === 'goes_on' ? null : status === 'ended' ? 'delivered' : status;
  };

  try {
    for (let retries = input.retriesBefore, number = input.attemptsBefore + 1; ;) {
      const attempts = number + schedule.length - retries;
      let given: StoredEntry[] = [];
      let result: AttemptResult;
      const isHandedOver = first !== null;
      if (first) {
        result = first;
        first = null;
      } else {
        if (wokenTo() === 'reschedule') {
          const status = await pause(0, null, 'reschedule');
          if (status) return ended(status);
        }
        if (wokenTo() === 'cancel') {
          await settle('canceled', 'canceled');
          return ended('canceled');
        }
        wake = null;
        now = { phase: 'attempting', attempts: number - 1, nextAttemptAt: null };
        given = takeNotes();
        result = await attempt(input, number, attempts, schedule[retries] ?? null, given);
      }
      let status: EndStatus | null;
      switch (result.next) {
        case 'stop':
          return ended(result.status === 'ended' ? 'delivered' : result.status);
        case 'busy':
          // Nothing was written: what was noted is still to be told.
          notes.unshift(...given);
          status = await pause(result.seconds, null, `a turn in about ${result.seconds} s`);
          break;
        case 'defer':
          setCurrentDetails(`The hourly cap has room for attempt ${number} at ${result.until}`);
          status = await pause(result.seconds, result.until, `hourly cap: room in ${result.seconds} s`);
          break;
        case 'end':
        case 'fail':
          now = { ...now, attempts: number };
          // Unless asked for by somebody who saw the end before this run came to it: then it begins again.
          if (retryAskedAfter < number) return end(result);
          retries = 0;
          number += 1;
          continue;
        case 'wait': {
          retries += 1;
          const { startedAt: from, durationMs } = result.attempt;
          const until = new Date(Date.parse(from) + durationMs + result.seconds * 1000).toISOString();
          now = { ...now, attempts: number };
          setCurrentDetails(`Attempt ${number} of ${attempts} did not deliver. Next attempt at ${until}`);
          // Asked for between the attempt's record and this wait.
          if (retryAskedAfter >= number) wake ??= 'attempt';
          number += 1;
          // The group took some of the time.
          const seconds = isHandedOver
            ? Math.max(0, (Date.parse(until) - Date.now()) / 1000)
            : result.seconds;
          status = await pause(seconds, until, `retry ${retries} in ${result.seconds} s`);
          break;
        }
      }
      if (status) return ended(status);
    }
  } catch (error) {
    // Canceled in the Web UI or by the temporal command: the delivery ends canceled, as by our own signal.
    if (isCancellation(error)) {
      notes.push({ at: new Date().toISOString(), type: 'signal', name: signalNames.cancel, by: 'temporal' });
      await CancellationScope.nonCancellable(() => settle('canceled', 'canceled'));
      setCurrentDetails('Canceled');
      throw error instanceof CancelledFailure ? error : new CancelledFailure('Canceled');
    }
    throw error;
  }
}

/** How an attempt that ended the delivery ends the run: a failed delivery is a failed workflow. */
function end(result: Extract<AttemptResult, { next: 'end' | 'fail' }>): DeliverEventResult {
  if (result.next === 'end') return ended('delivered');
  setCurrentDetails(`Failed: ${result.reason}`);
  throw ApplicationFailure.create({
    message: describeEnd(result),
    type: result.reason,
    nonRetryable: true,
    category: ApplicationFailureCategory.BENIGN,
  });
}

function ended(status: EndStatus): DeliverEventResult {
  setCurrentDetails(`${status.slice(0, 1).toUpperCase()}${status.slice(1)}`);
  return { status };
}

/** One attempt; what the activity throws as non-retryable (a 4xx, a refused address) comes back as `fail`. */
async function attempt(
  input: DeliverEventInput,
  number: number,
  attempts: number,
  scheduledSeconds: number | null,
  notes: StoredEntry[],
): Promise<AttemptResult> {
  const summary = `attempt ${number} of ${attempts}`;
  const isLocal = number === 1 && input.isFirstLocal === true;
  // A local first attempt mostly ends the run: a line that says that it is under way would cost more than it tells.
  if (!isLocal) setCurrentDetails(`Attempt ${number} of ${attempts}`);
  const { attemptDelivery } = isLocal
    ? proxyLocalActivities<Activities>({ ...localActivityOptions, summary })
    : proxyActivities<Activities>({
        ...activityOptions,
        summary,
        // First attempts go before late retries; where the server has fairness on, webhooks share alike.
        priority: { priorityKey: number === 1 ? 2 : 4, fairnessKey: input.webhookId },
      });
  try {
    const { deliveryId, webhookId } = input;
    return await attemptDelivery({ deliveryId, webhookId, number, scheduledSeconds, notes });
  } catch (error) {
    // A local activity's failure comes as it was thrown, unwrapped.
    const cause = error instanceof ActivityFailure ? error.cause : error;
    const [result] = cause instanceof ApplicationFailure && cause.nonRetryable ? (cause.details ?? []) : [];
    if (isFailedAttempt(result)) return result;
    throw error;
  }
}

function isFailedAttempt(value: unknown): value is Extract<AttemptResult, { next: 'fail' }> {
  return typeof value === 'object' && value !== null && (value as { next?: unknown }).next === 'fail';
}

function describeEnd({ attempt, reason }: Extract<AttemptResult, { next: 'fail' }>): string {
  const last =
    attempt.statusCode === null ? (attempt.errorCode ?? 'no answer') : `answer ${attempt.statusCode}`;
  return `${reason}: attempt ${attempt.number} ended with ${last}`;
}
