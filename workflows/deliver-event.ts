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
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { ApplicationFailureCategory } from '@temporalio/common';
import type { Activities } from '../activities/index.ts';
import type { TimelineEntry } from '../src/contracts/delivery.ts';
import {
  signalNames,
  stateQueryName,
  type Asked,
  type AttemptResult,
  type DeliverEventInput,
  type DeliverEventResult,
  type DeliveryState,
  type SettleInput,
} from './contract.ts';

const retryNow = defineSignal<[Asked?]>(signalNames.retryNow);
const cancel = defineSignal<[Asked?]>(signalNames.cancel);
// Sent by the service after it held, released or canceled the delivery's row.
const settleSignal = defineSignal<[Asked?]>(signalNames.settle);
const state = defineQuery<DeliveryState>(stateQueryName);

// What an activity retries by itself is only what keeps it from working at all, such as a database that is away: no
// number of tries ends a delivery. A worker that died is noticed when its heartbeats stay away.
const activityOptions = {
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '30 seconds' },
} as const;

/** What ends a wait before its time. */
type Wake = 'attempt' | 'cancel' | 'settle';

/** One event on its way to one webhook: attempt, wait, attempt again, until it ends. */
export async function deliverEvent(input: DeliverEventInput): Promise<DeliverEventResult> {
  const { deliveryId, schedule } = input;
  const { startTime, runId } = workflowInfo();
  const startedAt = startTime.toISOString();
  let notes: TimelineEntry[] = [
    ...(input.isRelease ? [{ at: startedAt, type: 'released' as const }] : []),
    { at: startedAt, type: 'started', run_id: runId },
  ];
  let now: DeliveryState = { phase: 'attempting', attempts: input.attemptsBefore, nextAttemptAt: null };
  let wake: Wake | null = null;
  // The handlers below set it while the loop waits, which the compiler does not see.
  const wokenTo = (): Wake | null => wake;
  let retryAskedAfter = -1;

  const note = (name: string, asked: Asked | undefined) => {
    const by = typeof asked?.by === 'string' ? asked.by.slice(0, 100) : 'temporal';
    notes.push({ at: new Date().toISOString(), type: 'signal', name, by });
  };
  setHandler(state, () => now);
  setHandler(retryNow, (asked) => {
    note(signalNames.retryNow, asked);
    retryAskedAfter = Math.max(retryAskedAfter, asked?.attemptsSeen ?? now.attempts);
    // Who has not seen how far it is means the attempt after the one under way.
    if (now.phase === 'waiting' || asked?.attemptsSeen === undefined) wake ??= 'attempt';
  });
  setHandler(cancel, (asked) => {
    note(signalNames.cancel, asked);
    wake = 'cancel';
  });
  setHandler(settleSignal, (asked) => {
    note(signalNames.settle, asked);
    if (wake !== 'cancel') wake = 'settle';
  });
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

  try {
    for (let retries = input.retriesBefore, number = input.attemptsBefore + 1; ; number += 1) {
      if (wokenTo() === 'cancel') {
        await settle('canceled', 'canceled');
        return ended('canceled');
      }
      wake = null;
      now = { phase: 'attempting', attempts: number - 1, nextAttemptAt: null };
      const attempts = number + schedule.length - retries;
      const result = await attempt(input, number, attempts, schedule[retries] ?? null, takeNotes());
      if (result.next === 'stop') return ended(result.status === 'ended' ? 'delivered' : result.status);
      now = { ...now, attempts: number };
      if (result.next !== 'wait' && retryAskedAfter >= number) {
        // Asked for by somebody who saw the end before this run came to it: it begins again, as a new run would.
        retries = 0;
        continue;
      }
      if (result.next === 'end') return ended('delivered');
      if (result.next === 'fail') {
        now = { ...now, phase: 'ended' };
        setCurrentDetails(`Failed: ${result.reason}`);
        throw ApplicationFailure.create({
          message: describeEnd(result),
          type: result.reason,
          nonRetryable: true,
          category: ApplicationFailureCategory.BENIGN,
        });
      }
      retries += 1;
      const until = new Date(
        Date.parse(result.attempt.startedAt) + result.attempt.durationMs + result.seconds * 1000,
      );
      now = { phase: 'waiting', attempts: number, nextAttemptAt: until.toISOString() };
      setCurrentDetails(
        `Attempt ${number} of ${attempts} did not deliver. Next attempt at ${until.toISOString()}`,
      );
      // Asked for between the attempt's record and this wait.
      if (retryAskedAfter >= number) wake ??= 'attempt';
      await condition(() => wake !== null, result.seconds * 1000, {
        summary: `retry ${retries} in ${result.seconds} s`,
      });
      if (wokenTo() === 'settle') {
        const status = await settle('as_row_says', null);
        if (status !== 'goes_on') return ended(status === 'ended' ? 'delivered' : status);
      }
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

function ended(status: DeliverEventResult['status']): DeliverEventResult {
  setCurrentDetails(`${status.slice(0, 1).toUpperCase()}${status.slice(1)}`);
  return { status };
}

/** One attempt; what the activity throws as non-retryable (a 4xx, a refused address) comes back as `fail`. */
async function attempt(
  input: DeliverEventInput,
  number: number,
  attempts: number,
  scheduledSeconds: number | null,
  notes: TimelineEntry[],
): Promise<AttemptResult> {
  setCurrentDetails(`Attempt ${number} of ${attempts}`);
  const { attemptDelivery } = proxyActivities<Activities>({
    ...activityOptions,
    summary: `attempt ${number} of ${attempts}`,
  });
  try {
    return await attemptDelivery({ deliveryId: input.deliveryId, number, scheduledSeconds, notes });
  } catch (error) {
    const cause = error instanceof ActivityFailure ? error.cause : undefined;
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
