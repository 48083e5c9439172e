/**
 * The hourly cap of a webhook: over any rolling hour, at most `cap` attempts.
 *
 * - The log of a webhook is the times at which its attempts of the last hour were made, or may be made right now (they
 *   were granted, and are not recorded yet).
 * - The queue of a webhook is its deferred deliveries, in the order in which they were accepted.
 * - While the log has fewer than `cap` entries there are free slots: they belong to the first of the queue. An attempt is
 *   granted when its delivery is among these.
 * - Each further slot becomes free an hour after the oldest entry of the log that holds one, so the time of each
 *   delivery in the queue is known. It is written to its row, and its workflow sleeps until then.
 * - A delivery that leaves the queue (canceled, held, rescheduled) and a grant that came to nothing leave nothing behind:
 *   the next look at log and queue gives earlier times.
 */
export const windowMs = 3_600_000;

/** What an attempt may take beside its time limit, in ms: waits for the process itself, and its record. */
const besideLimitMs = 10_000;

/**
 * How long a grant counts that no attempt was recorded for, in ms: as long as an attempt may take.
 *
 * @example grantMs(5000) // 15_000
 */
export const grantMs = (attemptTimeoutMs: number): number => attemptTimeoutMs + besideLimitMs;

/** Attempts of one webhook that may be under way and not recorded, in all processes: 20 in each of 25. */
export const maxUnrecorded = 500;

/** The queue's first members are looked at up to so many; of what is behind, only the latest times are. */
export const maxQueueHead = 1000;

/** A delivery that waits for its slot; `until`: the time that its row has, in ms since 1970. */
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
    // The entry whose leaving makes room for this one: of the log, else of those before in the queue.
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

/** Shorter differences are those of clocks and of attempts that began a moment after their grant. */
const noticeableMs = 5;

/**
 * The members of the queue's head whose time is another one than their row has, with their true time in ms since 1970.
 */
export function correctTimes(log: Log, head: readonly Queued[]): Queued[] {
  const times = slotTimes(log, head.length);
  return times.flatMap((until, index) => {
    const member = head[index];
    if (!member || Math.abs(member.until - until) <= noticeableMs) return [];
    // What is due already keeps its time: its workflow is on its way.
    return until <= log.now && member.until <= log.now ? [] : [{ id: member.id, until }];
  });
}
