import type { TimelineEntry } from '../contracts/delivery.ts';

/** Where a delivery's own run goes on with what a group's run began. Kept to tell the two apart, and never shown. */
type HandedOver = { at: string; type: 'handed_over'; run_id: string };
/** An entry as a delivery's row keeps it. */
export type StoredEntry = TimelineEntry | HandedOver;

/** Entries of one moment keep the order in which such things happen. */
const rank: Record<TimelineEntry['type'], number> = {
  accepted: 0,
  released: 1,
  started: 2,
  attempt: 3,
  wait: 4,
  signal: 5,
  held: 6,
  ended: 7,
};

/** What a person sees of them. */
export function shownEntries(entries: readonly StoredEntry[]): TimelineEntry[] {
  return entries.filter((entry) => entry.type !== 'handed_over');
}

/** The entries by time: the log from history and the archive sort alike, so that they read alike. */
export function sortTimeline(entries: readonly TimelineEntry[]): TimelineEntry[] {
  return [...entries].sort((a, b) => a.at.localeCompare(b.at) || rank[a.type] - rank[b.type]);
}

/** Waits of the schedule that were used since the delivery began, or last began again. */
export function retriesUsed(timeline: readonly StoredEntry[]): number {
  const begin = timeline.findLastIndex((entry) => entry.type === 'ended');
  return timeline.slice(begin + 1).filter((entry) => entry.type === 'attempt' && entry.outcome === 'retry')
    .length;
}

/** What the timeline says of a new time for the next attempt. */
export function rescheduledEntry({ at, until }: { at: string; until: string }): TimelineEntry {
  const seconds = Math.max(0, Date.parse(until) - Date.parse(at)) / 1000;
  return { at, type: 'wait', seconds, until, reason: 'rescheduled' };
}
