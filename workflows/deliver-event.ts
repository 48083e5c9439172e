import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
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
import type { Activities } from '../activities/activities.ts';
import type { QueueReason } from '../src/contracts/delivery.ts';
import type { AttemptResult } from '../src/domain/attempt-result.ts';
import {
  beginRun,
  stepRun,
  type Action,
  type RunInput,
  type SignalName,
  type SignalRequest,
} from '../src/domain/delivery-run.ts';
import type { StoredEntry } from '../src/domain/timeline.ts';
import { activityOptions, localActivityOptions } from './activity-options.ts';
import {
  signalNames,
  stateQueryName,
  type DeliverEventInput,
  type DeliverEventResult,
  type DeliveryState,
} from './contract.ts';

const signals = (Object.keys(signalNames) as SignalName[]).map((name) => ({
  name,
  signal: defineSignal<[SignalRequest?]>(name),
}));
const stateQuery = defineQuery<DeliveryState>(stateQueryName);

/** A run with a longer history continues as a new run, so that each can be read and replayed at once. */
const maxHistoryLength = 150;

/** One event on its way to one webhook. It follows the decisions of `src/domain/delivery-run.ts` until the delivery ends. */
export async function deliverEvent(input: DeliverEventInput): Promise<DeliverEventResult> {
  const { deliveryId } = input;
  const { startTime, runId, workflowId } = workflowInfo();
  const begun = beginRun(input, { at: startTime.toISOString(), runId, workflowId });
  let run = begun.run;
  // The entries that the next activity writes to the archive.
  const notes = begun.entries;
  const apply = (next: RunInput) => {
    const step = stepRun(run, next);
    run = step.run;
    // An activity has archived the entries of its own result.
    if (next.type === 'signal') notes.push(...step.entries);
  };
  const now = () => new Date().toISOString();
  const takeNotes = () => notes.splice(0);
  for (const { name, signal } of signals)
    setHandler(signal, (request) => apply({ type: 'signal', at: now(), name, request }));
  setHandler(stateQuery, () => stateOf(run.action, run.attempts));

  const archiveNotes = async () => {
    if (notes.length === 0) return;
    const { archiveEntries } = proxyLocalActivities<Activities>(localActivityOptions);
    await archiveEntries({ deliveryId, entries: takeNotes() });
  };
  const cancel = async () => {
    const { cancelDelivery } = proxyActivities<Activities>({ ...activityOptions, summary: 'cancel' });
    apply({ type: 'canceled', result: await cancelDelivery({ deliveryId, notes: takeNotes() }) });
  };
  try {
    for (;;) {
      const { action } = run;
      switch (action.type) {
        case 'attempt': {
          const given = takeNotes();
          const result = await attempt(input, action, given);
          // Nothing was written, so the notes are still to be archived.
          if (result.next === 'busy') notes.unshift(...given);
          apply({ type: 'result', at: now(), result });
          break;
        }
        case 'wait': {
          setCurrentDetails(describeWait(action));
          const { continueAsNewSuggested, historyLength } = workflowInfo();
          if (continueAsNewSuggested || historyLength > maxHistoryLength) {
            await archiveNotes();
            if (run.action !== action) break;
            return await continueAsNew<typeof deliverEvent>({
              ...input,
              attempts: run.attempts,
              retriesUsed: run.retriesUsed,
              wait: { until: action.until, reason: action.reason === 'busy' ? 'retry' : action.reason },
              continues: true,
            });
          }
          const isWoken = await condition(() => run.action !== action, lengthOf(action), {
            summary: summaryOf(action, run.retriesUsed),
          });
          if (!isWoken) apply({ type: 'timer', at: now() });
          break;
        }
        case 'reschedule': {
          const { rescheduleDelivery } = proxyActivities<Activities>({
            ...activityOptions,
            summary: 'reschedule',
          });
          const { until } = action;
          const at = now();
          await rescheduleDelivery({ deliveryId, at, until, notes: takeNotes() });
          apply({ type: 'rescheduled', at, until });
          break;
        }
        case 'cancel':
          await cancel();
          break;
        case 'end':
          await archiveNotes();
          setCurrentDetails(`${action.status.slice(0, 1).toUpperCase()}${action.status.slice(1)}`);
          return { status: action.status };
        case 'fail':
          await archiveNotes();
          setCurrentDetails(`Failed, ${describeEnd(action)}`);
          throw ApplicationFailure.create({
            message: describeEnd(action),
            type: action.reason,
            nonRetryable: true,
            // The receiver's doing: no warning in the worker's log.
            category: ApplicationFailureCategory.BENIGN,
          });
      }
    }
  } catch (error) {
    if (!isCancellation(error)) throw error;
    // Canceled in the Web UI or by the temporal command: as by our own signal.
    await CancellationScope.nonCancellable(async () => {
      apply({ type: 'signal', at: now(), name: 'cancel', request: { by: 'temporal' } });
      await cancel();
    });
    setCurrentDetails('Canceled');
    throw new CancelledFailure('canceled');
  }
}

type Attempt = Action & { type: 'attempt' };

/** One attempt. A non-retryable error of the activity (a 4xx, a refused address) becomes the result `fail`. */
async function attempt(
  { deliveryId, webhookId, isFirstLocal }: DeliverEventInput,
  { number, of, scheduledSeconds, trigger }: Attempt,
  notes: StoredEntry[],
): Promise<AttemptResult> {
  const summary = trigger === 'wake' ? 'read its row again' : `attempt ${number} of ${of}`;
  const isLocal = number === 1 && isFirstLocal;
  // A local first attempt mostly ends the run: showing that it is under way would cost more than it is worth.
  if (!isLocal) setCurrentDetails(`Attempt ${number} of ${of}`);
  const { attemptDelivery } = isLocal
    ? proxyLocalActivities<Activities>({ ...localActivityOptions, summary })
    : proxyActivities<Activities>({
        ...activityOptions,
        summary,
        // First attempts go before late retries; where the server has fairness on, webhooks share alike.
        priority: { priorityKey: number === 1 ? 2 : 4, fairnessKey: webhookId },
      });
  try {
    return await attemptDelivery({ deliveryId, webhookId, number, scheduledSeconds, trigger, notes });
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

function stateOf(action: Action, attempts: number): DeliveryState {
  const isWait = action.type === 'wait';
  const isEnd = action.type === 'end' || action.type === 'fail';
  return {
    phase: isEnd ? 'ended' : isWait ? 'waiting' : 'attempting',
    attempts,
    nextAttemptAt: isWait && action.reason !== 'busy' ? action.until : null,
  };
}

const limitTexts: Record<QueueReason, string> = {
  hourly_cap: 'hourly cap',
  rate_limit: 'rate limit',
  receiver_requested: 'requested by the receiver',
  down: 'the webhook is down',
};

/** Milliseconds. */
function lengthOf({ until, seconds }: Action & { type: 'wait' }): number {
  return seconds === undefined ? Math.max(0, Date.parse(until) - Date.now()) : seconds * 1000;
}

function summaryOf({ until, reason, seconds }: Action & { type: 'wait' }, retriesUsed: number): string {
  switch (reason) {
    case 'busy':
      return `a permit in about ${seconds ?? 1} s`;
    case 'retry':
      return seconds === undefined ? `retry at ${until}` : `retry ${retriesUsed} in ${seconds} s`;
    case 'hourly_cap':
    case 'rate_limit':
    case 'receiver_requested':
    case 'down':
      return `${limitTexts[reason]}: attempt at ${until}`;
    case 'rescheduled':
      return `rescheduled to ${until}`;
  }
}

function describeWait({ until, reason }: Action & { type: 'wait' }): string {
  switch (reason) {
    case 'busy':
      return 'Waits for other requests to its webhook to end';
    case 'retry':
      return `Next attempt at ${until}`;
    case 'hourly_cap':
    case 'rate_limit':
    case 'receiver_requested':
    case 'down':
      return `Deferred: ${limitTexts[reason]}. Next attempt at ${until}`;
    case 'rescheduled':
      return `Rescheduled. Next attempt at ${until}`;
  }
}

function describeEnd({ attempt, reason }: Action & { type: 'fail' }): string {
  const last =
    attempt.statusCode === null ? (attempt.errorCode ?? 'no response') : `response ${attempt.statusCode}`;
  return `${reason}: attempt ${attempt.number} ended with ${last}`;
}
