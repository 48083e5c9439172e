import type { TimelineEntry } from '../contracts/delivery.ts';

/** Marks where another run of the same delivery begins. It is never shown. */
export type ContinuedEntry = { at: string; type: 'continued'; run_id: string; workflow_id: string };
/** An entry as a delivery's row keeps it. `outside`: no run of a workflow made it, so that no history has it. */
export type StoredEntry = (TimelineEntry & { outside?: true }) | ContinuedEntry;

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

function keyOf(entry: TimelineEntry): string | null {
  switch (entry.type) {
    case 'attempt':
      return entry.id;
    case 'wait':
      // One that is parked again fails at the same time as before.
      return entry.reason === 'down' ? null : `${entry.reason ?? ''} ${entry.until}`;
    case 'ended':
      return `${entry.at} ${entry.status}`;
    case 'started':
      return entry.run_id;
    case 'signal':
      return `${entry.at} ${entry.name} ${entry.by}`;
    case 'accepted':
    case 'held':
    case 'released':
      return null;
  }
}

/**
 * The entries to show, by time. The timeline from histories and the one from the archive are both made
 * here, so that they read alike. Two entries about the same run, signal, attempt, wait or end are shown once.
 */
export function showTimeline(entries: readonly StoredEntry[]): TimelineEntry[] {
  const seen = new Set<string>();
  const isNew = (entry: TimelineEntry): boolean => {
    const key = keyOf(entry);
    if (key === null) return true;
    return !seen.has(key) && seen.add(key) !== undefined;
  };
  const shown = entries.flatMap((entry): TimelineEntry[] => {
    if (entry.type === 'continued') return [];
    const { outside: _outside, ...rest } = entry;
    return [rest];
  });
  const inOrder = shown.sort((a, b) => a.at.localeCompare(b.at) || rank[a.type] - rank[b.type]);
  return withoutLateEntries(inOrder.filter(isNew));
}

const endingSignals: ReadonlySet<string> = new Set(['cancel', 'expunge']);

/**
 * Leaves out holds, releases and waits that follow the end of a delivery, until it begins again, and the cancel of one that
 * was delivered. An attempt ends a moment before it is recorded, and the webhook may be deactivated or deleted in between.
 */
function withoutLateEntries(entries: readonly TimelineEntry[]): TimelineEntry[] {
  let hasEnded = false;
  return entries.filter((entry, index) => {
    switch (entry.type) {
      case 'ended':
        if (entry.status === 'canceled' && isDelivered(entries, index)) return false;
        hasEnded = true;
        return true;
      case 'started':
        hasEnded = false;
        return true;
      case 'signal':
        hasEnded &&= endingSignals.has(entry.name);
        return true;
      case 'held':
      case 'released':
      case 'wait':
        return !hasEnded;
      case 'accepted':
      case 'attempt':
        return true;
    }
  });
}

/** Canceled while the request that delivered it was under way: before or after, without a new beginning, comes that end. */
function isDelivered(entries: readonly TimelineEntry[], index: number): boolean {
  const begins = (entry: TimelineEntry) =>
    entry.type === 'started' || (entry.type === 'signal' && !endingSignals.has(entry.name));
  const delivers = (entry: TimelineEntry) => entry.type === 'ended' && entry.status === 'delivered';
  const before = entries.slice(0, index).findLast((entry) => begins(entry) || delivers(entry));
  const after = entries.slice(index + 1).find((entry) => begins(entry) || delivers(entry));
  return [before, after].some((entry) => entry !== undefined && delivers(entry));
}
