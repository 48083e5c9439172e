import { defaultPayloadConverter } from '@temporalio/common';
import type { WorkflowHandle } from '@temporalio/client';
import type { TimelineEntry } from '../contracts/delivery.ts';
import type { DeliveryRow } from '../db/deliveries.ts';
import { isGroupId } from '../domain/ids.ts';
import { rescheduledEntry, shownEntries, sortTimeline, type StoredEntry } from '../domain/timeline.ts';
import type {
  AttemptFacts,
  AttemptResult,
  DeliverEventInput,
  DeliverGroupInput,
  GroupAttempt,
  RescheduleInput,
  SettleResult,
  Steer,
} from '../../workflows/contract.ts';
import { isNotFound, isTemporalUnavailable, within, type Temporal } from './client.ts';

type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;
type HistoryEvent = NonNullable<History['events']>[number];
type Payloads =
  { payloads?: Parameters<typeof defaultPayloadConverter.fromPayload>[0][] | null } | null | undefined;

export type Story = { timeline: TimelineEntry[]; attempts: AttemptFacts[] };

/** What the archive, PostgreSQL alone, tells of a delivery. */
export function archivedTimeline(row: DeliveryRow): TimelineEntry[] {
  return sortTimeline([{ at: row.createdAt.toISOString(), type: 'accepted' }, ...shownEntries(row.timeline)]);
}

/** A run that had the delivery; `runId` null: the one that its workflow has now. */
type Run = { workflowId: string; runId: string | null };

/**
 * The story of a delivery from the histories of its runs, live: of its own workflow, and of the group that made its first
 * attempt. A run whose history is past its retention is told from the archive, and so is all of it while Temporal is away.
 */
export async function readStory(temporal: Temporal, row: DeliveryRow): Promise<Story> {
  const archived = archivedTimeline(row);
  const { outside, segments } = splitByRun(row);
  const parts: Story[] = [];
  try {
    for (const run of runsOf(row, segments)) {
      const history = await fetchHistory(temporal, run);
      const entries = shownEntries(segments.get(run.runId ?? '')?.entries ?? []);
      const told = history && tellHistory(history, run.workflowId, row.id);
      // What a local activity has recorded comes into its history a moment later.
      const isBehind = told !== null && attemptsIn(told.timeline) < attemptsIn(entries);
      parts.push(
        told && !isBehind
          ? withSettled(told, entries)
          : { timeline: entries, attempts: told?.attempts ?? [] },
      );
    }
  } catch (error) {
    if (isTemporalUnavailable(error)) return { timeline: archived, attempts: [] };
    throw error;
  }
  const seen = new Set<string>();
  const isNew = (id: string) => !seen.has(id) && seen.add(id) !== undefined;
  const told = parts
    .flatMap(({ timeline }) => timeline)
    .filter((entry) => entry.type !== 'attempt' || isNew(entry.id));
  const [accepted] = archived;
  return {
    timeline: sortTimeline([...(accepted ? [accepted] : []), ...shownEntries(outside), ...told]),
    attempts: parts.flatMap(({ attempts }) => attempts),
  };
}

const attemptsIn = (timeline: readonly TimelineEntry[]): number =>
  timeline.filter(({ type }) => type === 'attempt').length;

/** What was held or canceled without its workflow, which was over or not started yet, only the archive tells. */
function withSettled({ timeline, attempts }: Story, archived: readonly TimelineEntry[]): Story {
  const isTold = ({ at, type }: TimelineEntry) =>
    timeline.some((told) => told.at === at && told.type === type);
  const settled = archived.filter(
    (entry) => entry.type === 'held' || (entry.type === 'ended' && entry.status === 'canceled'),
  );
  return { timeline: [...timeline, ...settled.filter((entry) => !isTold(entry))], attempts };
}

type Segment = { workflowId: string; entries: StoredEntry[] };

function runsOf({ id, workflowId, runId }: DeliveryRow, segments: ReadonlyMap<string, Segment>): Run[] {
  const told = [...segments].map(([known, segment]) => ({ workflowId: segment.workflowId, runId: known }));
  if (runId !== null && segments.has(runId)) return told;
  if (runId === null && (workflowId === null || segments.size > 0)) return told;
  return [...told, { workflowId: workflowId ?? id, runId }];
}

/** Archived entries of each run, and those of no run: what happened while no workflow carried the delivery. */
function splitByRun({ id, timeline }: DeliveryRow): {
  outside: StoredEntry[];
  segments: Map<string, Segment>;
} {
  const outside: StoredEntry[] = [];
  const segments = new Map<string, Segment>();
  let current = outside;
  const startOf = (entry: StoredEntry | undefined) =>
    entry?.type === 'started' || entry?.type === 'handed_over' ? entry : null;
  timeline.forEach((entry, index) => {
    const start = startOf(entry.type === 'released' ? timeline[index + 1] : entry);
    if (start) {
      const workflowId = start.type === 'started' ? (start.workflow_id ?? id) : id;
      const segment = segments.get(start.run_id) ?? { workflowId, entries: [] };
      segments.set(start.run_id, segment);
      current = segment.entries;
    }
    current.push(entry);
    if (entry.type === 'held' || (entry.type === 'ended' && entry.status === 'canceled')) current = outside;
  });
  return { outside, segments };
}

async function fetchHistory(temporal: Temporal, { workflowId, runId }: Run): Promise<History | null> {
  try {
    return await within(temporal, 5000, () =>
      temporal.client.workflow.getHandle(workflowId, runId ?? undefined).fetchHistory(),
    );
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}

/** What one run's history says of a delivery, in the words of the log. */
export function tellHistory(history: History, workflowId: string, deliveryId: string): Story {
  const events = history.events ?? [];
  const isGroup = isGroupId(workflowId);
  const timeline: TimelineEntry[] = [];
  const attempts: AttemptFacts[] = [];
  const scheduledOf = new Map<string, { activity: string; input: Payloads }>();
  let waitingSignals: { name: string; by: string; at: string }[] = [];
  let isEnded = false;

  const tell = (told: TimelineEntry[]): void => {
    if (isSameDeferral(told[0], timeline)) return;
    timeline.push(...told);
    isEnded = told.some(({ type }) => type === 'ended' || type === 'held');
  };
  for (const event of events) {
    const started = event.workflowExecutionStartedEventAttributes;
    const signaled = event.workflowExecutionSignaledEventAttributes;
    const taskCompleted = event.workflowTaskCompletedEventAttributes;
    const scheduled = event.activityTaskScheduledEventAttributes;
    const completed = event.activityTaskCompletedEventAttributes;
    const failed = event.activityTaskFailedEventAttributes;
    const local = readLocalActivity(event);
    if (started) {
      const runId = started.originalExecutionRunId ?? '';
      timeline.push(...tellStart(started.input, timeOf(event), { workflowId, runId }, deliveryId));
    } else if (signaled) {
      const steer = isGroup ? decode<Steer>(signaled.input) : undefined;
      if (isGroup && steer?.deliveryId !== deliveryId) continue;
      const by = (isGroup ? steer?.asked : decode<{ by?: unknown }>(signaled.input))?.by;
      waitingSignals.push({
        name: steer?.name ?? signaled.signalName ?? '',
        by: typeof by === 'string' ? by.slice(0, 100) : 'temporal',
        at: timeOf(event),
      });
    } else if (event.workflowExecutionCancelRequestedEventAttributes) {
      if (!isGroup) waitingSignals.push({ name: 'cancel', by: 'temporal', at: timeOf(event) });
    } else if (taskCompleted) {
      // The workflow's own clock stood at the start of the task that took the signal.
      const at = timeOf(
        events.find(({ eventId }) => String(eventId) === String(taskCompleted.startedEventId)) ?? event,
      );
      timeline.push(...waitingSignals.map(({ name, by }) => ({ at, type: 'signal' as const, name, by })));
      waitingSignals = [];
    } else if (local?.activity === 'attemptGroup') {
      const made = decode<GroupAttempt[]>(local.result)?.find((each) => each.deliveryId === deliveryId);
      tell(tellAttempt(made?.result ?? undefined, attempts));
      // What it was told of a delivery that goes on, that one's own workflow tells.
      if (made?.result === null || isOneOf(made?.result.next, ['wait', 'fail', 'defer']))
        return { timeline: timeline.filter(({ type }) => type !== 'signal'), attempts };
    } else if (local?.activity === 'attemptDelivery') {
      tell(tellAttempt(decode<AttemptResult>(local.result), attempts));
    } else if (scheduled) {
      scheduledOf.set(String(event.eventId), {
        activity: scheduled.activityType?.name ?? '',
        input: scheduled.input,
      });
    } else if (completed || failed) {
      const { activity, input } = scheduledOf.get(String((completed ?? failed)?.scheduledEventId)) ?? {};
      const details = completed ? completed.result : failed?.failure?.applicationFailureInfo?.details;
      tell(
        activity === 'settleDelivery'
          ? tellSettled(decode<SettleResult>(details))
          : activity === 'rescheduleDelivery'
            ? tellReschedule(decode<RescheduleInput>(input))
            : tellAttempt(decode<AttemptResult>(details), attempts),
      );
    }
  }
  // Not yet taken by the workflow; one that came after the end never will be.
  if (!isEnded) timeline.push(...waitingSignals.map((signal) => ({ ...signal, type: 'signal' as const })));
  return { timeline, attempts };
}

function isOneOf<T>(value: T | undefined, values: readonly T[]): boolean {
  return value !== undefined && values.includes(value);
}

/** How a run begins. One that goes on with a group's first attempt began there. */
function tellStart(
  input: Payloads,
  at: string,
  { workflowId, runId }: { workflowId: string; runId: string },
  deliveryId: string,
): TimelineEntry[] {
  const started: TimelineEntry = { at, type: 'started', run_id: runId, workflow_id: workflowId };
  const released: TimelineEntry = { at, type: 'released' };
  if (isGroupId(workflowId)) {
    const isReleased = decode<DeliverGroupInput>(input)?.releasedIds?.includes(deliveryId);
    return isReleased ? [released, started] : [started];
  }
  const given = decode<DeliverEventInput>(input);
  const signals = (given?.handOver?.signals ?? []).map(({ at: toldAt, name, asked }) => ({
    at: toldAt,
    type: 'signal' as const,
    name,
    by: asked.by,
  }));
  if (given?.handOver?.result) return signals;
  return [...(given?.isRelease ? [released] : []), started, ...signals];
}

/** A local activity that ended, and what it answered or threw. */
function readLocalActivity(event: HistoryEvent): { activity: string; result: Payloads } | null {
  const marker = event.markerRecordedEventAttributes;
  if (marker?.markerName !== 'core_local_activity') return null;
  const { activity_type: activity = '' } = decode<{ activity_type?: string }>(marker.details?.['data']) ?? {};
  const thrown = marker.failure?.applicationFailureInfo?.details;
  return { activity, result: marker.failure ? thrown : marker.details?.['result'] };
}

function tellAttempt(result: AttemptResult | undefined, attempts: AttemptFacts[]): TimelineEntry[] {
  if (!result) return [];
  if (result.next === 'busy') return [];
  if (result.next === 'stop') return result.status === 'ended' ? [] : tellSettled(result);
  if (result.next === 'defer') {
    const { at, seconds, until } = result;
    return [{ at, type: 'wait', seconds, until, reason: 'hourly_cap' }];
  }
  const { attempt } = result;
  attempts.push(attempt);
  const endedAt = new Date(Date.parse(attempt.startedAt) + attempt.durationMs);
  const at = endedAt.toISOString();
  const made: TimelineEntry = {
    at: attempt.startedAt,
    type: 'attempt',
    id: attempt.id,
    number: attempt.number,
    outcome: attempt.outcome,
    status_code: attempt.statusCode,
    duration_ms: attempt.durationMs,
  };
  switch (result.next) {
    case 'end':
      return [made, { at, type: 'ended', status: 'delivered', reason: null }];
    case 'fail':
      return [made, { at, type: 'ended', status: 'failed', reason: result.reason }];
    case 'wait': {
      const until = new Date(endedAt.getTime() + result.seconds * 1000).toISOString();
      return [made, { at, type: 'wait', seconds: result.seconds, until }];
    }
  }
}

function tellReschedule(input: RescheduleInput | undefined): TimelineEntry[] {
  return input ? [rescheduledEntry(input)] : [];
}

/** Woken before its time, a delivery is deferred to that same time again: it is told once. */
function isSameDeferral(entry: TimelineEntry | undefined, timeline: readonly TimelineEntry[]): boolean {
  if (entry?.type !== 'wait' || entry.reason !== 'hourly_cap') return false;
  const last = timeline.findLast(({ type }) => type === 'wait');
  return last?.type === 'wait' && last.reason === 'hourly_cap' && last.until === entry.until;
}

function tellSettled(settled: SettleResult | undefined): TimelineEntry[] {
  if (settled?.status === 'held') return [{ at: settled.at, type: 'held' }];
  if (settled?.status === 'canceled')
    return [{ at: settled.at, type: 'ended', status: 'canceled', reason: settled.reason }];
  return [];
}

function decode<T>(payloads: Payloads): T | undefined {
  const [first] = payloads?.payloads ?? [];
  return first ? defaultPayloadConverter.fromPayload<T>(first) : undefined;
}

function timeOf(event: HistoryEvent): string {
  const { seconds, nanos } = event.eventTime ?? {};
  return new Date(Number(seconds ?? 0) * 1000 + Math.floor((nanos ?? 0) / 1_000_000)).toISOString();
}
