/** Temporal takes at most 2,048 bytes in one search attribute: so many may the list of ids have that is one. */
const maxListBytes = 2000;

/** Bodies that are in memory together. */
const maxBodyBytes = 2 * 1024 * 1024;

/** Long enough for a burst to be over, and for none to notice. */
const patientSeconds = 15;

/**
 * For how long a delivery that a group's first attempt did not deliver may stay with the group, before it goes on in a workflow
 * of its own: while a burst is on, others' first attempts have the machine. Half of its own wait at most.
 *
 * @param waitSeconds until its next attempt; null: it still waits for its first one
 * @example staySeconds(60) // 15
 */
export function staySeconds(waitSeconds: number | null): number {
  return waitSeconds === null ? 0 : Math.min(patientSeconds, Math.floor(waitSeconds / 2));
}

type Groupable = { id: string; eventId: string; webhookId: string; bodyBytes?: number };

/**
 * How many of the first deliveries of a queue share a workflow: as many as may, and as their ids have room for in the
 * search attributes by which the workflow is found, and their bodies in memory.
 *
 * @param most deliveries a workflow may have; at least one is taken
 * @example groupSize(queue, 64) // 60
 */
export function groupSize(queue: readonly Groupable[], most: number): number {
  const rooms = { id: maxListBytes, eventId: maxListBytes, webhookId: maxListBytes };
  const seen = new Set<string>();
  let bodyBytes = 0;
  for (const [index, delivery] of queue.entries()) {
    if (index === most) return most;
    bodyBytes += delivery.bodyBytes ?? 0;
    if (bodyBytes > maxBodyBytes && index > 0) return index;
    for (const name of ['id', 'eventId', 'webhookId'] as const) {
      const value = delivery[name];
      if (seen.has(value)) continue;
      seen.add(value);
      // As JSON: in quotes, with a comma. Ids are ASCII.
      rooms[name] -= value.length + 3;
      if (rooms[name] < 0 && index > 0) return index;
    }
  }
  return queue.length;
}
