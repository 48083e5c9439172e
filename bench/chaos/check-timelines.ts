/** An entry of a delivery's timeline, as the API shows it. */
export type Entry = { at: string; type: string; [field: string]: unknown };
/** The same delivery from the histories of its workflows, and from the archive; null: it was not answered. */
export type TimelinePair = { id: string; live: readonly Entry[] | null; archived: readonly Entry[] | null };

/** Signals that end or settle a delivery; any other one may begin it again. */
const endingSignals = new Set(['cancel']);

/**
 * Both sources agree, are in order, and nothing comes after an end but what begins the delivery again.
 *
 * @param hasShifted the rows' times were moved by whole hours, which histories do not know: an activity that runs again
 *   after that reads the moved time of its attempt, so that only the time within the hour is the same
 */
export function checkTimelines(timelines: readonly TimelinePair[], hasShifted: boolean): string[] {
  const faults: string[] = [];
  for (const { id, live, archived } of timelines) {
    if (!live || !archived) {
      faults.push(`${id}: GET was not answered from ${live ? 'the archive' : 'history'}`);
      continue;
    }
    if (canonical(live, hasShifted) !== canonical(archived, hasShifted))
      faults.push(
        `${id}: its timeline from history differs from the archived one:\n    ${describe(live)}\n    ${describe(archived)}`,
      );
    const wrong = (hasShifted ? null : orderFault(live)) ?? orderFault(archived);
    if (wrong) faults.push(`${id}: ${wrong}:\n    ${describe(live)}`);
  }
  return faults;
}

/** Fields in one order: the archive keeps none. */
function canonical(timeline: readonly Entry[], hasShifted: boolean): string {
  const valueOf = (name: string, value: unknown) =>
    hasShifted && (name === 'at' || name === 'until') ? String(value).slice(14) : value;
  const fields = (entry: Entry) =>
    Object.entries(entry)
      .filter(([name]) => !hasShifted || name !== 'seconds')
      .map(([name, value]) => [name, valueOf(name, value)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = timeline.map((entry) => JSON.stringify(fields(entry)));
  return JSON.stringify(hasShifted ? lines.sort() : lines);
}

function orderFault(timeline: readonly Entry[]): string | null {
  if (timeline[0]?.type !== 'accepted') return 'its timeline does not begin with its acceptance';
  let hasEnded = false;
  for (const [index, entry] of timeline.entries()) {
    const before = timeline[index - 1];
    if (before && before.at > entry.at) return `its timeline is out of order at entry ${index + 1}`;
    if (entry.type === 'ended') {
      if (hasEnded) return 'it ended twice';
      hasEnded = true;
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
