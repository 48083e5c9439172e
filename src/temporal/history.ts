import { defaultPayloadConverter } from '@temporalio/common';
import type { WorkflowHandle } from '@temporalio/client';
import type { TimelineEntry } from '../contracts/delivery.ts';
import type { DeliveryRow } from '../db/deliveries-table.ts';
import { entriesOfResult, type AttemptFacts, type AttemptResult } from '../domain/attempt-result.ts';
import {
  beginRun,
  stepRun,
  type CancelResult,
  type DeliveryRun,
  type RunInput,
  type SignalName,
  type SignalRequest,
} from '../domain/delivery-run.ts';
import { isGroupId } from '../domain/ids.ts';
import { showTimeline, type StoredEntry } from '../domain/timeline.ts';
import {
  signalNames,
  type DeliverEventInput,
  type GroupAttempt,
  type RescheduleInput,
} from '../../workflows/contract.ts';
import { isNotFound, isTemporalUnavailable, withFallback, within, type Temporal } from './client.ts';

type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;
type HistoryEvent = NonNullable<History['events']>[number];
type Payloads =
  { payloads?: Parameters<typeof defaultPayloadConverter.fromPayload>[0][] | null } | null | undefined;

export type Story = { timeline: TimelineEntry[]; attempts: AttemptFacts[] };
type RunStory = { entries: StoredEntry[]; attempts: AttemptFacts[] };

/** The timeline from the archive: PostgreSQL alone. */
export function archivedTimeline(row: DeliveryRow): TimelineEntry[] {
  return showTimeline([acceptedEntry(row), ...row.timeline]);
}

const acceptedEntry = ({ createdAt }: DeliveryRow): StoredEntry => ({
  at: createdAt.toISOString(),
  type: 'accepted',
});

/**
 * The timeline from the histories of a delivery's runs, live: of its own workflow, and of the group that made its first
 * attempt. A run whose history is past its retention is read from the archive, and so is all while Temporal is unavailable.
 */
export async function readStory(temporal: Temporal, row: DeliveryRow): Promise<Story> {
  const { outside, runs } = runsOf(row);
  const entries: StoredEntry[] = [acceptedEntry(row), ...outside];
  const attempts: AttemptFacts[] = [];
  try {
    for (const run of runs) {
      const history = await fetchHistory(temporal, run);
      const story = history && readRun(history, run.workflowId, row.id);
      // The result of a local activity is in the history only a moment after it was recorded in the row.
      const isBehind = story !== null && attemptsIn(story.entries) < attemptsIn(run.archived);
      entries.push(...(story && !isBehind ? story.entries : run.archived));
      attempts.push(...(story?.attempts ?? []));
    }
  } catch (error) {
    if (isTemporalUnavailable(error)) return { timeline: archivedTimeline(row), attempts: [] };
    throw error;
  }
  return { timeline: showTimeline(entries), attempts };
}

const attemptsIn = (entries: readonly StoredEntry[]): number =>
  entries.filter(({ type }) => type === 'attempt').length;

/** A run that owned the delivery, and its entries in the archive. */
type ArchivedRun = { workflowId: string; runId: string; archived: StoredEntry[] };

/** The runs of a delivery in order, and the entries that no run made. */
function runsOf({ id, ownerId, runId, timeline }: DeliveryRow): {
  outside: StoredEntry[];
  runs: ArchivedRun[];
} {
  const outside: StoredEntry[] = [];
  const runs: ArchivedRun[] = [];
  let run: ArchivedRun | undefined;
  for (const entry of timeline) {
    if (entry.type !== 'continued' && entry.outside) {
      outside.push(entry);
      continue;
    }
    if (entry.type === 'started' || entry.type === 'continued') {
      // An activity that runs again, because its worker died, archives the notes of its run a second time.
      run = runs.find(({ runId: known }) => known === entry.run_id);
      if (!run) {
        run = { workflowId: entry.workflow_id ?? id, runId: entry.run_id, archived: [] };
        runs.push(run);
      }
    }
    (run?.archived ?? outside).push(entry);
  }
  // One that runs, and has archived nothing yet.
  if (runId !== null && !runs.some(({ runId: known }) => known === runId))
    runs.push({ workflowId: ownerId ?? id, runId, archived: [] });
  return { outside, runs };
}

function fetchHistory(temporal: Temporal, { workflowId, runId }: ArchivedRun): Promise<History | null> {
  const { client } = temporal;
  return withFallback(isNotFound, null, () =>
    within(temporal, 5000, () => client.workflow.getHandle(workflowId, runId).fetchHistory()),
  );
}

/** The entries and attempts of a delivery in the history of one run. */
export function readRun(history: History, workflowId: string, deliveryId: string): RunStory {
  const events = history.events ?? [];
  return isGroupId(workflowId)
    ? readGroupRun(events, workflowId, deliveryId)
    : readOwnRun(events, workflowId);
}

/** A group makes the first attempt, and nothing else. */
function readGroupRun(events: readonly HistoryEvent[], workflowId: string, deliveryId: string): RunStory {
  const entries: StoredEntry[] = [];
  const attempts: AttemptFacts[] = [];
  for (const event of events) {
    const started = event.workflowExecutionStartedEventAttributes;
    const local = readLocalActivity(event);
    if (started) entries.push(startedEntry(event, workflowId));
    if (local?.activity !== 'attemptGroup') continue;
    const made = decode<GroupAttempt[]>(local.result)?.find((each) => each.deliveryId === deliveryId);
    // A delivery that the group did not attempt begins in its own workflow.
    if (!made?.result) return { entries: [], attempts };
    entries.push(...entriesOfResult(made.result));
    if ('attempt' in made.result && made.result.attempt) attempts.push(made.result.attempt);
  }
  return { entries, attempts };
}

/**
 * Feeds the events of a history to the function that the workflow itself runs by, in the order in which the workflow saw them:
 * of the events before a workflow task, signals come first.
 */
function readOwnRun(events: readonly HistoryEvent[], workflowId: string): RunStory {
  const entries: StoredEntry[] = [];
  const attempts: AttemptFacts[] = [];
  const activities = new Map<string, { name: string; input: Payloads }>();
  let run: DeliveryRun | null = null;
  let signals: Omit<RunInput & { type: 'signal' }, 'at'>[] = [];
  let others: ((at: string) => RunInput)[] = [];
  let taskStartedAt = '';

  const apply = (input: RunInput): void => {
    if (!run) return;
    const step = stepRun(run, input);
    run = step.run;
    entries.push(...step.entries);
    if (input.type === 'result' && 'attempt' in input.result && input.result.attempt)
      attempts.push(input.result.attempt);
  };
  const flush = (at: string): void => {
    for (const signal of signals) apply({ ...signal, at });
    for (const other of others) apply(other(at));
    signals = [];
    others = [];
  };
  for (const event of events) {
    const started = event.workflowExecutionStartedEventAttributes;
    const signaled = event.workflowExecutionSignaledEventAttributes;
    const scheduled = event.activityTaskScheduledEventAttributes;
    const completed = event.activityTaskCompletedEventAttributes;
    const failed = event.activityTaskFailedEventAttributes;
    const local = readLocalActivity(event);
    if (started) {
      const input = decode<DeliverEventInput>(started.input);
      if (!input) continue;
      const first = startedEntry(event, workflowId);
      const begun = beginRun(input, { at: first.at, runId: first.run_id, workflowId });
      run = begun.run;
      entries.push(...begun.entries);
    } else if (signaled && isSignalName(signaled.signalName)) {
      const request = decode<SignalRequest>(signaled.input);
      signals.push({ type: 'signal', name: signaled.signalName, request });
    } else if (event.workflowExecutionCancelRequestedEventAttributes) {
      signals.push({ type: 'signal', name: 'cancel', request: { by: 'temporal' } });
    } else if (event.workflowTaskStartedEventAttributes) {
      taskStartedAt = timeOf(event);
    } else if (event.workflowTaskCompletedEventAttributes) {
      flush(taskStartedAt);
    } else if (event.timerFiredEventAttributes) {
      others.push((at) => ({ type: 'timer', at }));
    } else if (local?.activity === 'attemptDelivery') {
      const result = decode<AttemptResult>(local.result);
      if (result) apply({ type: 'result', at: timeOf(event), result });
    } else if (scheduled) {
      const name = scheduled.activityType?.name ?? '';
      activities.set(String(event.eventId), { name, input: scheduled.input });
    } else if (completed || failed) {
      const { name, input } = activities.get(String((completed ?? failed)?.scheduledEventId)) ?? {};
      const details = completed ? completed.result : failed?.failure?.applicationFailureInfo?.details;
      const next = inputOf(name, input, details);
      if (next) others.push(next);
    }
  }
  // The events since the workflow's last task.
  flush(events.length === 0 ? '' : timeOf(events.at(-1) as HistoryEvent));
  return { entries, attempts };
}

function inputOf(
  name: string | undefined,
  input: Payloads,
  details: Payloads,
): ((at: string) => RunInput) | null {
  if (name === 'attemptDelivery') {
    const result = decode<AttemptResult>(details);
    return result ? (at) => ({ type: 'result', at, result }) : null;
  }
  if (name === 'rescheduleDelivery') {
    const given = decode<RescheduleInput>(input);
    return given ? () => ({ type: 'rescheduled', at: given.at, until: given.until }) : null;
  }
  if (name === 'cancelDelivery') {
    const result = decode<CancelResult>(details);
    return result ? () => ({ type: 'canceled', result }) : null;
  }
  return null;
}

const isSignalName = (name: string | null | undefined): name is SignalName =>
  typeof name === 'string' && Object.hasOwn(signalNames, name);

function startedEntry(event: HistoryEvent, workflowId: string) {
  const runId = event.workflowExecutionStartedEventAttributes?.originalExecutionRunId ?? '';
  return { at: timeOf(event), type: 'started' as const, run_id: runId, workflow_id: workflowId };
}

/** A local activity that ended, with its result or the details of its error. */
function readLocalActivity(event: HistoryEvent): { activity: string; result: Payloads } | null {
  const marker = event.markerRecordedEventAttributes;
  if (marker?.markerName !== 'core_local_activity') return null;
  const { activity_type: activity = '' } = decode<{ activity_type?: string }>(marker.details?.['data']) ?? {};
  const thrown = marker.failure?.applicationFailureInfo?.details;
  return { activity, result: marker.failure ? thrown : marker.details?.['result'] };
}

function decode<T>(payloads: Payloads): T | undefined {
  const [first] = payloads?.payloads ?? [];
  return first ? defaultPayloadConverter.fromPayload<T>(first) : undefined;
}

function timeOf(event: HistoryEvent): string {
  const { seconds, nanos } = event.eventTime ?? {};
  return new Date(Number(seconds ?? 0) * 1000 + Math.floor((nanos ?? 0) / 1_000_000)).toISOString();
}
