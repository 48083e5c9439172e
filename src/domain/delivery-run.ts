import type { FailureReason, WaitReason } from '../contracts/delivery.ts';
import {
  endOfWait,
  entriesOfResult,
  waitEntry,
  type AttemptFacts,
  type AttemptResult,
  type AttemptTrigger,
} from './attempt-result.ts';
import type { StoredEntry } from './timeline.ts';

/** The start of a run. */
export type RunStart = {
  /** Seconds of each wait before a retry; as it was when this run was started. */
  schedule: number[];
  /** Attempts that were made before this run. The next one has the next number. */
  attempts: number;
  /** Waits of the schedule that were used before this run. */
  retriesUsed: number;
  /** The wait that the run begins with, `until` in RFC 3339; null: it begins with an attempt. */
  wait: { until: string; reason: WaitReason } | null;
  /** It continues another run of this delivery: a group's, or its own whose history grew too long. */
  continues: boolean;
};

/**
 * `retryNow`: make the next attempt now. `reschedule`: make it at another time. `wake`: sent by the service after it changed
 * the delivery's row, which is to be read again.
 */
export type SignalName = 'retryNow' | 'cancel' | 'reschedule' | 'wake';

/** The argument of a signal. */
export type SignalRequest = {
  /** The requester: a key's id. A signal of the Web UI without one is shown as that of `temporal`. */
  by: string;
  /**
   * When it was requested, RFC 3339: a workflow task that is run again after its worker died has another time. The Web UI
   * sends none.
   */
  at?: string;
  /** Attempts that the requester had seen: a retry requested after the last of them is not lost when the run is about to end. */
  attemptsSeen?: number;
  /** The new time of the next attempt, RFC 3339. */
  until?: string;
};

/** `ended`: it had ended before. */
export type CancelResult = { status: 'canceled'; at: string } | { status: 'ended' };

/**
 * A run of a delivery's own workflow, as a pure function: `beginRun` gives its first state, `stepRun` the next one for
 * each thing that happens. The workflow runs `action` and reports the result. The API feeds the same
 * function with the events of a history, and shows the entries.
 *
 * The run does one thing at a time. A request that comes while it attempts, reschedules or cancels is kept, and decided
 * afterwards. A request that comes while it waits ends the wait.
 */
export type DeliveryRun = {
  schedule: readonly number[];
  /** Attempts made so far, those of earlier runs included. */
  attempts: number;
  /** Waits of the schedule that were used. */
  retriesUsed: number;
  action: Action;
  /** Requests that the run has not acted on yet. */
  requests: Requests;
  /** The most attempts that somebody who requested a retry had seen; -1: nobody did. */
  retrySeen: number;
};

/**
 * The requests of signals that the run has not done yet.
 *
 * `retry`: `none`: no retry is requested. `next`: one is; the attempt under way, or else the next one, counts as this retry.
 * `another`: one was requested by hand during an attempt, so only a later attempt counts. A retry that a limit defers is
 * done: the delivery waits for its rate-limit slot.
 */
type Requests = {
  isCancel: boolean;
  isWake: boolean;
  retry: 'none' | 'next' | 'another';
  rescheduleTo: string | null;
};

export type Action =
  /** `of`: attempts in all, by the schedule that the run began with. */
  | {
      type: 'attempt';
      number: number;
      of: number;
      scheduledSeconds: number | null;
      trigger: AttemptTrigger;
    }
  /** `until`: RFC 3339. `seconds`: its length, where it begins now. `busy`: for a permit. */
  | { type: 'wait'; until: string; reason: WaitReason | 'busy'; seconds?: number }
  | { type: 'reschedule'; until: string }
  | { type: 'cancel' }
  | { type: 'end'; status: 'delivered' | 'held' | 'deferred' | 'canceled' | 'ended' }
  | { type: 'fail'; reason: FailureReason; attempt: AttemptFacts };

/** `at`: RFC 3339. */
export type RunInput =
  | { type: 'signal'; at: string; name: SignalName; request: SignalRequest | undefined }
  | { type: 'result'; at: string; result: AttemptResult }
  | { type: 'timer'; at: string }
  | { type: 'rescheduled'; at: string; until: string }
  | { type: 'canceled'; result: CancelResult };

export type RunStep = { run: DeliveryRun; entries: StoredEntry[] };

const noRequests: Requests = { isCancel: false, isWake: false, retry: 'none', rescheduleTo: null };

/**
 * The first state of a run.
 *
 * @param started when, and as which run, RFC 3339
 * @example beginRun(input, { at: '2026-01-01T00:00:00.000Z', runId: 'r', workflowId: 'dlv_1' }).run.action.type // 'attempt'
 */
export function beginRun(
  { schedule, attempts, retriesUsed, wait, continues }: RunStart,
  { at, runId, workflowId }: { at: string; runId: string; workflowId: string },
): RunStep {
  const type = continues ? ('continued' as const) : ('started' as const);
  const counts = { schedule, attempts, retriesUsed };
  const action: Action = wait
    ? { type: 'wait', until: wait.until, reason: wait.reason }
    : attemptAction(counts, 'due');
  return {
    run: { ...counts, action, requests: noRequests, retrySeen: -1 },
    entries: [{ at, type, run_id: runId, workflow_id: workflowId }],
  };
}

/**
 * The state after an input, and the new entries of the timeline. After the end nothing changes any more.
 *
 * @example stepRun(run, { type: 'timer', at: '2026-01-01T00:01:00.000Z' }).run.action.type // 'attempt'
 */
export function stepRun(run: DeliveryRun, input: RunInput): RunStep {
  if (run.action.type === 'end' || run.action.type === 'fail') return { run, entries: [] };
  switch (input.type) {
    case 'signal':
      return onSignal(run, input);
    case 'timer':
      return { run: withAction(run, attemptAction(run, 'due')), entries: [] };
    case 'result':
      return { run: afterResult(run, input), entries: entriesOfResult(input.result) };
    case 'rescheduled': {
      const wait: Action = { type: 'wait', until: input.until, reason: 'rescheduled' };
      return { run: decide(run, wait), entries: [waitEntry({ ...input, reason: 'rescheduled' })] };
    }
    case 'canceled': {
      const { result } = input;
      if (result.status === 'ended')
        return { run: withAction(run, { type: 'end', status: 'ended' }), entries: [] };
      const ended = { at: result.at, type: 'ended', status: 'canceled', reason: 'canceled' } as const;
      return { run: withAction(run, { type: 'end', status: 'canceled' }), entries: [ended] };
    }
  }
}

function onSignal(run: DeliveryRun, { at, name, request }: RunInput & { type: 'signal' }): RunStep {
  const until = name === 'reschedule' ? timeOf(request?.until) : null;
  // Sent by hand, without a time that can be read.
  if (name === 'reschedule' && until === null) return { run, entries: [] };
  const requests = { ...run.requests };
  let { retrySeen } = run;
  if (name === 'cancel') requests.isCancel = true;
  else if (name === 'wake') requests.isWake = true;
  else if (name === 'reschedule') {
    requests.rescheduleTo = until;
    requests.retry = 'none';
  } else {
    const seen = typeof request?.attemptsSeen === 'number' ? request.attemptsSeen : undefined;
    retrySeen = Math.max(retrySeen, seen ?? run.attempts);
    if (seen === undefined && run.action.type === 'attempt') requests.retry = 'another';
    // Otherwise an attempt was made since it was requested.
    else if (requests.retry === 'none' && (seen ?? run.attempts) >= run.attempts) requests.retry = 'next';
  }
  const next = { ...run, requests, retrySeen };
  const by = typeof request?.by === 'string' ? request.by.slice(0, 100) : 'temporal';
  const requestedAt = timeOf(request?.at) ?? at;
  return {
    run: run.action.type === 'wait' ? decide(next, run.action) : next,
    // Only the service sends it, and it changes nothing by itself.
    entries: name === 'wake' ? [] : [{ at: requestedAt < at ? requestedAt : at, type: 'signal', name, by }],
  };
}

function afterResult(run: DeliveryRun, { at, result }: RunInput & { type: 'result' }): DeliveryRun {
  switch (result.next) {
    case 'wait': {
      const { number } = result.attempt;
      // By hand during the attempt, or between the attempt's record and this result.
      const isRetry = run.requests.retry === 'another' || run.retrySeen >= number;
      const requests: Requests = { ...run.requests, retry: isRetry ? 'next' : 'none' };
      const retriesUsed = retriesUsedAfter(run, result.attempt);
      const made = { ...run, requests, attempts: number, retriesUsed };
      const { seconds, attempt } = result;
      const until = endOfWait(attempt, seconds);
      return decide(made, { type: 'wait', until, reason: 'retry', seconds });
    }
    case 'defer': {
      const isQueued = result.reason !== 'retry' && result.reason !== 'rescheduled';
      const requests: Requests = isQueued ? { ...run.requests, retry: 'none' } : run.requests;
      return decide({ ...run, requests }, { type: 'wait', until: result.until, reason: result.reason });
    }
    case 'busy': {
      const until = new Date(Date.parse(at) + result.seconds * 1000).toISOString();
      const wait: Action = { type: 'wait', until, reason: 'busy', seconds: result.seconds };
      // A retry is still wanted, but not at once: that would be busy again.
      const { isCancel, isWake, rescheduleTo } = run.requests;
      return isCancel || isWake || rescheduleTo !== null ? decide(run, wait) : withAction(run, wait);
    }
    case 'stop': {
      const { attempt } = result;
      const made = attempt
        ? { ...run, attempts: attempt.number, retriesUsed: retriesUsedAfter(run, attempt) }
        : run;
      const end: Action = { type: 'end', status: result.status };
      // Canceled, or its row was changed again while it was read: it is read once more.
      const isOpen = run.requests.isCancel || run.requests.isWake;
      const mayContinue = result.status === 'held' || result.status === 'deferred';
      return mayContinue && isOpen ? decide(made, end) : withAction(made, end);
    }
    case 'end':
    case 'fail': {
      const { attempt } = result;
      const made = { ...run, attempts: attempt.number };
      // Somebody saw this end before the run did, and requested a retry: it begins again, with a fresh schedule.
      if (run.retrySeen >= attempt.number) {
        const again = { ...made, retriesUsed: 0, retrySeen: -1 };
        return decide(again, attemptAction(again, 'requested'));
      }
      if (result.next === 'end') return withAction(made, { type: 'end', status: 'delivered' });
      return withAction(made, { type: 'fail', reason: result.reason, attempt });
    }
  }
}

const retriesUsedAfter = ({ retriesUsed }: DeliveryRun, { outcome, isProbe }: AttemptFacts): number =>
  outcome === 'retry' && isProbe !== true ? retriesUsed + 1 : retriesUsed;

/** A request comes before the action that would be next. */
function decide(run: DeliveryRun, otherwise: Action): DeliveryRun {
  const { isCancel, isWake, retry, rescheduleTo } = run.requests;
  const isRetry = retry !== 'none';
  if (isCancel) return withAction(run, { type: 'cancel' });
  if (isWake) return withAction(run, attemptAction(run, isRetry ? 'requested' : 'wake'));
  if (rescheduleTo !== null) {
    const requests = { ...run.requests, rescheduleTo: null };
    return { ...run, requests, action: { type: 'reschedule', until: rescheduleTo } };
  }
  if (isRetry) return withAction(run, attemptAction(run, 'requested'));
  return withAction(run, otherwise);
}

/** An attempt reads the row, so it serves a wake. */
function withAction(run: DeliveryRun, action: Action): DeliveryRun {
  if (action.type !== 'attempt') return { ...run, action };
  const { retry } = run.requests;
  const requests: Requests = { ...run.requests, isWake: false, retry: retry === 'none' ? 'none' : 'next' };
  return { ...run, action, requests };
}

function attemptAction(
  { schedule, attempts, retriesUsed }: Pick<DeliveryRun, 'schedule' | 'attempts' | 'retriesUsed'>,
  trigger: AttemptTrigger,
): Action {
  const number = attempts + 1;
  const of = number + Math.max(0, schedule.length - retriesUsed);
  return { type: 'attempt', number, of, scheduledSeconds: schedule[retriesUsed] ?? null, trigger };
}

/** RFC 3339 in UTC; null: no time. */
function timeOf(text: unknown): string | null {
  const at = typeof text === 'string' ? Date.parse(text) : NaN;
  return Number.isNaN(at) ? null : new Date(at).toISOString();
}
