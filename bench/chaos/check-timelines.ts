/** An entry of a delivery's timeline, as the API shows it. */
export type Entry = { at: string; type: string; [field: string]: unknown };
/** The same delivery from the histories of its workflows, and from the archive; null: no response. */
export type TimelinePair = { id: string; live: readonly Entry[] | null; archived: readonly Entry[] | null };

/** In the order in which they happen within a millisecond. */
const types = ['accepted', 'released', 'started', 'attempt', 'wait', 'signal', 'held', 'ended'];
/** Entries that the service does not show if their time is after the end. */
const leftOutAfterEnd = new Set(['held', 'released', 'wait']);
/** Signals that end a delivery; any other one may begin it again. */
const endingSignals = new Set(['cancel']);

/**
 * Both sources show the same entries, in order, and after an end come only entries that begin the delivery again.
 *
 * @param startedAt when the run began: hours that passed in the database are taken out of the times
 */
export function checkTimelines(timelines: readonly TimelinePair[], startedAt: number): string[] {
  const faults: string[] = [];
  for (const { id, live, archived } of timelines) {
    if (!live || !archived) {
      faults.push(`${id}: no response to GET from ${live ? 'the archive' : 'history'}`);
      continue;
    }
    const [shownLive, shownArchived] = [unshifted(live, startedAt), unshifted(archived, startedAt)];
    const isSplit = isSplitByShift(live, shownLive) || isSplitByShift(archived, shownArchived);
    const compared = (entries: Entry[]) =>
      canonical(isSplit ? entries.filter(({ type }) => !leftOutAfterEnd.has(type)) : entries);
    if (compared(shownLive) !== compared(shownArchived))
      faults.push(
        `${id}: its timeline from history differs from the archived one:\n    ${describe(live)}\n    ${describe(archived)}`,
      );
    const wrong = orderFault(live) ?? orderFault(archived) ?? endFault(shownLive) ?? endFault(shownArchived);
    if (wrong) faults.push(`${id}: ${wrong}:\n    ${describe(live)}`);
  }
  return faults;
}

/**
 * The entries by time, without the hours that passed in the database. A shift moves the times in the database, but not
 * those in a history; a run takes less than an hour, so the part of an hour is certain.
 */
function unshifted(timeline: readonly Entry[], startedAt: number): Entry[] {
  const hourMs = 3_600_000;
  const intoHour = (time: string) => (((Date.parse(time) - startedAt) % hourMs) + hourMs) % hourMs;
  const entries = timeline.map((entry) => ({
    ...entry,
    at: String(intoHour(entry.at)).padStart(7, '0'),
    ...(typeof entry['until'] === 'string' ? { until: intoHour(entry['until']) } : {}),
  }));
  entries.sort((a, b) => a.at.localeCompare(b.at) || types.indexOf(a.type) - types.indexOf(b.type));
  // Two runs that read the same end, or the same wait, before and after the shift.
  const isShownOnce = ({ type }: Entry) => type === 'ended' || type === 'wait';
  const texts = entries.map((entry) => canonical([entry]));
  return entries.filter((entry, index) => !isShownOnce(entry) || texts.indexOf(texts[index] ?? '') === index);
}

/** Whether an hour passed in the database between entries of a row and those of a history, so that the end seems to come first. */
function isSplitByShift(timeline: readonly Entry[], inOrder: readonly Entry[]): boolean {
  const order = (entries: readonly Entry[]) =>
    entries.map(({ type }) => type).filter((type) => type !== 'wait');
  const [shown, real] = [order(timeline), order(inOrder)];
  return shown.indexOf('ended') >= 0 && shown.indexOf('ended') !== real.indexOf('ended');
}

/** Fields in one order: the archive keeps none. */
function canonical(timeline: readonly Entry[]): string {
  const fields = (entry: Entry) => Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(timeline.map(fields));
}

function orderFault(timeline: readonly Entry[]): string | null {
  if (timeline[0]?.type !== 'accepted') return 'its timeline does not begin with its acceptance';
  const index = timeline.findIndex((entry, at) => at > 0 && entry.at < (timeline[at - 1]?.at ?? ''));
  return index < 0 ? null : `its timeline is out of order at entry ${index + 1}`;
}

/** A request that is about to be sent when its delivery is canceled or expires is sent all the same, and ends within so long. */
const underWayMs = 5000;

function endFault(timeline: readonly Entry[]): string | null {
  let hasEnded = false;
  let canceledAt = -Infinity;
  for (const entry of timeline) {
    const isUnderWay = Number(entry.at) - canceledAt < underWayMs;
    if (isUnderWay && (entry.type === 'attempt' || entry['status'] === 'delivered')) continue;
    if (entry.type === 'ended') {
      if (hasEnded) return 'it ended twice';
      hasEnded = true;
      if (entry['status'] === 'canceled' || entry['reason'] === 'expired') canceledAt = Number(entry.at);
    } else if (entry.type === 'started' || entry.type === 'released') {
      hasEnded = false;
    } else if (entry.type === 'signal') {
      if (!endingSignals.has(String(entry['name']))) hasEnded = false;
    } else if (hasEnded) {
      return `after its end comes "${entry.type}"`;
    }
  }
  return null;
}

function describe(timeline: readonly Entry[]): string {
  return timeline
    .map(({ at, type, ...rest }) => {
      const more = rest['name'] ?? rest['status'] ?? rest['outcome'] ?? rest['reason'];
      return `${at.slice(11, 23)} ${type}${typeof more === 'string' ? `(${more})` : ''}`;
    })
    .join(', ');
}
