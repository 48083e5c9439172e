import { defaultPayloadConverter } from '@temporalio/common';
import type { WorkflowHandle } from '@temporalio/client';
import type { TimelineEntry } from '../contracts/delivery.ts';
import type { DeliveryRow } from '../db/deliveries.ts';
import { rescheduledEntry, sortTimeline } from '../domain/timeline.ts';
import type {
  AttemptFacts,
  AttemptResult,
  DeliverEventInput,
  RescheduleInput,
  SettleResult,
} from '../../workflows/contract.ts';
import { isNotFound, isTemporalUnavailable, within, type Temporal } from './client.ts';

type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;
type HistoryEvent = NonNullable<History['events']>[number];
type Payloads =
  { payloads?: Parameters<typeof defaultPayloadConverter.fromPayload>[0][] | null } | null | undefined;

export type Story = { timeline: TimelineEntry[]; attempts: AttemptFacts[] };

/** What the archive, PostgreSQL alone, tells of a delivery. */
export function archivedTimeline(row: DeliveryRow): TimelineEntry[] {
  return sortTimeline([{ at: row.createdAt.toISOString(), type: 'accepted' }, ...row.timeline]);
}

/**
 * The story of a delivery from the histories of its runs, live. A run whose history is past its retention is told from
 * the archive, and so is all of it while Temporal is away.
 */
export async function readStory(temporal: Temporal, row: DeliveryRow): Promise<Story> {
  const archived = archivedTimeline(row);
  const segments = splitByRun(row.timeline);
  const runIds = [...new Set([...segments.runs.keys(), ...(row.runId === null ? [] : [row.runId])])];
  const parts: Story[] = [];
  try {
    for (const runId of runIds) {
      const history = await fetchHistory(temporal, row.workflowId, runId);
      parts.push(
        history ? tellHistory(history, runId) : { timeline: segments.runs.get(runId) ?? [], attempts: [] },
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
    timeline: sortTimeline([...(accepted ? [accepted] : []), ...segments.outside, ...told]),
    attempts: parts.flatMap(({ attempts }) => attempts),
  };
}

/** Archived entries of each run, and those of no run: what happened while no workflow carried the delivery. */
function splitByRun(timeline: readonly TimelineEntry[]): {
  outside: TimelineEntry[];
  runs: Map<string, TimelineEntry[]>;
} {
  const outside: TimelineEntry[] = [];
  const runs = new Map<string, TimelineEntry[]>();
  let current = outside;
  timeline.forEach((entry, index) => {
    const next = timeline[index + 1];
    const start =
      entry.type === 'started' ? entry : entry.type === 'released' && next?.type === 'started' ? next : null;
    if (start) {
      const segment = runs.get(start.run_id) ?? [];
      runs.set(start.run_id, segment);
      current = segment;
    }
    current.push(entry);
    if (entry.type === 'held' || (entry.type === 'ended' && entry.status === 'canceled')) current = outside;
  });
  return { outside, runs };
}

async function fetchHistory(temporal: Temporal, workflowId: string, runId: string): Promise<History | null> {
  try {
    return await within(temporal, 5000, () =>
      temporal.client.workflow.getHandle(workflowId, runId).fetchHistory(),
    );
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}

/** What one run's history says, in the words of the log. */
export function tellHistory(history: History, runId: string): Story {
  const events = history.events ?? [];
  const timeline: TimelineEntry[] = [];
  const attempts: AttemptFacts[] = [];
  const scheduledOf = new Map<string, { activity: string; input: Payloads }>();
  let waitingSignals: { name: string; by: string; at: string }[] = [];
  let isEnded = false;

  for (const event of events) {
    const started = event.workflowExecutionStartedEventAttributes;
    const signaled = event.workflowExecutionSignaledEventAttributes;
    const taskCompleted = event.workflowTaskCompletedEventAttributes;
    const scheduled = event.activityTaskScheduledEventAttributes;
    const completed = event.activityTaskCompletedEventAttributes;
    const failed = event.activityTaskFailedEventAttributes;
    if (started) {
      const input = decode<DeliverEventInput>(started.input);
      if (input?.isRelease) timeline.push({ at: timeOf(event), type: 'released' });
      timeline.push({ at: timeOf(event), type: 'started', run_id: runId });
    } else if (signaled) {
      const by = decode<{ by?: unknown }>(signaled.input)?.by;
      waitingSignals.push({
        name: signaled.signalName ?? '',
        by: typeof by === 'string' ? by.slice(0, 100) : 'temporal',
        at: timeOf(event),
      });
    } else if (event.workflowExecutionCancelRequestedEventAttributes) {
      waitingSignals.push({ name: 'cancel', by: 'temporal', at: timeOf(event) });
    } else if (taskCompleted) {
      // The workflow's own clock stood at the start of the task that took the signal.
      const at = timeOf(
        events.find(({ eventId }) => String(eventId) === String(taskCompleted.startedEventId)) ?? event,
      );
      timeline.push(...waitingSignals.map(({ name, by }) => ({ at, type: 'signal' as const, name, by })));
      waitingSignals = [];
    } else if (scheduled) {
      scheduledOf.set(String(event.eventId), {
        activity: scheduled.activityType?.name ?? '',
        input: scheduled.input,
      });
    } else if (completed || failed) {
      const { activity, input } = scheduledOf.get(String((completed ?? failed)?.scheduledEventId)) ?? {};
      const details = completed ? completed.result : failed?.failure?.applicationFailureInfo?.details;
      const told =
        activity === 'settleDelivery'
          ? tellSettled(decode<SettleResult>(details))
          : activity === 'rescheduleDelivery'
            ? tellReschedule(decode<RescheduleInput>(input))
            : tellAttempt(decode<AttemptResult>(details), attempts);
      if (isSameDeferral(told[0], timeline)) continue;
      timeline.push(...told);
      isEnded = told.some(({ type }) => type === 'ended' || type === 'held');
    }
  }
  // Not yet taken by the workflow; one that came after the end never will be.
  if (!isEnded) timeline.push(...waitingSignals.map((signal) => ({ ...signal, type: 'signal' as const })));
  return { timeline, attempts };
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
