/**
 * The hourly cap of a webhook: over any rolling hour, at most `cap` attempts.
 *
 * - The log of a webhook is the times of its attempts of the last hour, and of the attempts that were granted and are not
 *   recorded yet.
 * - The queue of a webhook is its deferred deliveries and those whose attempt is about to request a slot, in order of
 *   acceptance. So in a burst, or after a release, the oldest go first, in whatever order their workflows start.
 * - While the log has fewer than `cap` entries, there are free slots. They belong to the first deliveries of the queue: the
 *   attempt of one of these is granted.
 * - Each further slot becomes free an hour after the oldest entry of the log that occupies one. So the time of each delivery
 *   in the queue is known. It is written to its row, and its workflow sleeps until then.
 * - When a delivery leaves the queue (canceled, held, rescheduled) or a granted attempt is not made, the next computation
 *   gives earlier times to the others.
 */
export const windowMs = 3_600_000;

/** How long an attempt may take beyond its time limit, in ms: waiting in the process, and recording. */
const beyondLimitMs = 10_000;

/**
 * How long a grant without a recorded attempt counts, in ms: as long as an attempt may take.
 *
 * @example grantMs(5000) // 15_000
 */
export const grantMs = (attemptTimeoutMs: number): number => attemptTimeoutMs + beyondLimitMs;

/**
 * Attempts of one webhook that may be loaded and not recorded yet, in all processes: 20 in each of 25. With a cap, a permit
 * is held from load to record, so that no process has more.
 */
export const maxUnrecorded = 500;

/** How many deliveries from the head of a queue are read; of those behind it only the latest times are. */
export const maxQueueHead = 1000;

/** A delivery that waits for its slot; `until`: the time that its row has, or now, in ms since 1970. */
export type Queued = { id: string; until: number };

type Log = {
  cap: number;
  /** Ms since 1970. */
  now: number;
  /** Times of the log, ascending, in ms since 1970. */
  used: readonly number[];
};

/**
 * The earliest times for the next `count` attempts of a webhook, ascending, in ms since 1970.
 *
 * @example slotTimes({ cap: 1, now: 5, used: [2] }, 2) // [3_600_002, 7_200_002]
 */
export function slotTimes({ cap, now, used }: Log, count: number): number[] {
  const times: number[] = [];
  for (let slot = 0; slot < count; slot += 1) {
    // The entry an hour after which this slot is free: of the log, or of an earlier delivery in the queue.
    const before = slot + used.length - cap;
    const entry = before < used.length ? used[before] : times[before - used.length];
    times.push(entry === undefined ? now : Math.max(now, entry + windowMs));
  }
  return times;
}

type Request = Log & {
  /** The first of the queue, by id, without the requesters: at most `maxQueueHead`. */
  head: readonly Queued[];
  /** The latest times of the queue where it is longer than `head`, else empty: as many as the cap, ascending. */
  tail: readonly number[];
  /** Ids of the deliveries whose attempt is to be decided. */
  requesters: readonly string[];
};

/**
 * When each of these deliveries may be attempted; null: now.
 *
 * @returns ms since 1970, or null, by id
 * @example assignSlots({ cap: 1, now: 5, used: [], head: [], tail: [], requesters: ['dlv_a'] }) // Map { 'dlv_a' → null }
 */
export function assignSlots({ head, tail, requesters, ...log }: Request): Map<string, number | null> {
  const isQueueLonger = tail.length > 0;
  const lastInHead = head.at(-1)?.id ?? '';
  const sorted = [...requesters].sort();
  const inHead = isQueueLonger ? sorted.filter((id) => id < lastInHead) : sorted;
  const order = [...head.map(({ id }) => id), ...inHead].sort();
  const times = slotTimes(log, order.length);
  const isRequester = new Set(inHead);
  const slots = new Map<string, number | null>();
  order.forEach((id, index) => {
    const time = times[index] ?? log.now;
    if (isRequester.has(id)) slots.set(id, time <= log.now ? null : time);
  });
  const latest = [...tail];
  for (const id of sorted) {
    if (slots.has(id)) continue;
    const time = Math.max(log.now, (latest.at(-log.cap) ?? log.now) + windowMs);
    latest.push(time);
    slots.set(id, time);
  }
  return slots;
}

/** Smaller differences come from clocks, and from attempts that began a moment after their grant. */
const noticeableMs = 5;

/**
 * The deliveries of the queue's head whose row has a wrong time, with the correct one in ms since 1970.
 */
export function correctTimes(log: Log, head: readonly Queued[]): Queued[] {
  const times = slotTimes(log, head.length);
  return times.flatMap((until, index) => {
    const member = head[index];
    if (!member || Math.abs(member.until - until) <= noticeableMs) return [];
    // A delivery that is due keeps its time: its workflow is about to continue.
    return until <= log.now && member.until <= log.now ? [] : [{ id: member.id, until }];
  });
}
