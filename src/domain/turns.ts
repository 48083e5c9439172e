/** Requests under way at once to one webhook, from one process: quick receivers, and slow ones. */
const quickLimit = 20;
const slowLimit = 5;
/** A receiver that takes longer than this on average is slow. */
export const slowMs = 1000;
/** So many wait in place at most, each in a workflow task of its own: they hold places of their worker, too. */
const maxInPlace = 20;
/** A wait for a turn that is shorter than this is waited for in place; a longer one is worth a timer. */
const inPlaceMs = 500;
/** The same beside others in a group's workflow, where a wait costs nothing and a workflow of its own so much more. */
const inPlaceGroupedMs = 10_000;

/** `waiting`: those that hold a place of the worker each. */
export type WebhookLoad = { underWay: number; waiting: number; waitingInGroups: number; averageMs: number };

/**
 * Whether a webhook's next request goes now, waits in place for a turn, or comes back after some seconds, about when its
 * turn will be. So a receiver that hangs never holds many of a worker's places.
 *
 * @param isGrouped it waits in a group's workflow, beside others: it holds no place of its own
 * @param deferredUntil when the last of those that were sent away comes back, ms since 1970
 */
export function takeTurn(
  load: WebhookLoad,
  isGrouped: boolean,
  deferredUntil: number,
  now: number,
): 'now' | 'in_place' | { seconds: number; at: number } {
  const limit = limitOf(load);
  if (load.underWay < limit) return 'now';
  const turnMs = load.averageMs / limit;
  const waitMs = (load.waiting + load.waitingInGroups + 1) * turnMs;
  if (isGrouped ? waitMs <= inPlaceGroupedMs : load.waiting < maxInPlace && waitMs <= inPlaceMs)
    return 'in_place';
  const at = Math.max(deferredUntil, now + waitMs) + turnMs;
  // The exact time is what the next one is put behind: whole seconds would add up.
  return { seconds: Math.min(300, Math.max(1, Math.ceil((at - now) / 1000))), at };
}

/** Requests to a webhook that may be under way at once. */
export function limitOf({ averageMs }: Pick<WebhookLoad, 'averageMs'>): number {
  return averageMs > slowMs ? slowLimit : quickLimit;
}

/** The average after another request, recent ones counting most. */
export function nextAverageMs(averageMs: number, durationMs: number): number {
  return averageMs === 0 ? durationMs : averageMs * 0.8 + durationMs * 0.2;
}
