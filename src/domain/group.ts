/** Temporal accepts at most 2,048 bytes in one search attribute, and a list of ids is one. */
const maxListBytes = 2000;

/** All bodies of a group are in memory together. */
const maxBodyBytes = 2 * 1024 * 1024;

type Groupable = { id: string; bodyBytes?: number };

/**
 * How many of the first deliveries of a queue share a workflow: at most `most`, and as many as fit into its search attribute
 * (their ids) and into memory (their bodies).
 *
 * @param most deliveries that a workflow may have
 * @returns 1 or more
 * @example groupSize(queue, 64) // 60
 */
export function groupSize(queue: readonly Groupable[], most: number): number {
  let listBytes = 0;
  let bodyBytes = 0;
  for (const [index, delivery] of queue.entries()) {
    if (index === most) return most;
    // As JSON: in quotes, with a comma. Ids are ASCII.
    listBytes += delivery.id.length + 3;
    bodyBytes += delivery.bodyBytes ?? 0;
    if ((listBytes > maxListBytes || bodyBytes > maxBodyBytes) && index > 0) return index;
  }
  return queue.length;
}

/**
 * Divides a queue into as few groups as possible.
 *
 * @param most deliveries in a group
 * @param count groups at most; the rest of the queue is in none
 * @example formGroups(queue, 64, 4).length // 4
 */
export function formGroups<T extends Groupable>(queue: readonly T[], most: number, count: number): T[][] {
  const groups: T[][] = [];
  for (let at = 0; at < queue.length && groups.length < count;) {
    const next = queue.slice(at, at + most);
    const group = next.slice(0, groupSize(next, most));
    groups.push(group);
    at += group.length;
  }
  return groups;
}

/**
 * Of deliveries without an attempt, those that are started at once, each alone or in groups. Where there is a workflow for each,
 * these are all; in a burst only those that may be in a group, for the others would use up the starts. The reconciler starts
 * the others.
 *
 * @param mostInGroup 1: there are no groups
 * @param capacity how many workflows can be started now
 * @example startedFirst([{ mayShare: false }, { mayShare: true }], 64, 1) // [{ mayShare: true }]
 */
export function startedFirst<Delivery extends { mayShare?: boolean }>(
  deliveries: Delivery[],
  mostInGroup: number,
  capacity: number,
): Delivery[] {
  return mostInGroup === 1 || deliveries.length <= capacity
    ? deliveries
    : deliveries.filter(({ mayShare = true }) => mayShare);
}
