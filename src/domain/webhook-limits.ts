/**
 * The limits of a webhook, and the queue of the deliveries that wait for them.
 *
 *   limit                                    reason               the next attempt may begin
 *   attempts in any hour (the hourly cap)    hourly_cap           an hour after the oldest one that counts
 *   `rate_limit`, the rate of a resume       rate_limit           the same, over its window
 *   a receiver's `Retry-After` on a 429      receiver_requested   at that time
 *   `max_concurrent`                         –                    when another one has ended
 *   its receiver is down, or just back       down                 when it is released, see below
 *
 * - The log of a webhook is the times of its attempts as far back as its longest window, and of the attempts that were granted
 *   and are not recorded yet.
 * - The queue of a webhook is its deferred deliveries and those whose attempt is about to request a slot, in order of
 *   acceptance. So in a burst, or after a release, the oldest go first, even if their workflows start in another order.
 * - While each window has capacity, there are free slots. They belong to the first deliveries of the queue: the attempt of one
 *   of these is granted.
 * - Each further slot becomes free when the oldest entry of the log that occupies it leaves the window. So the time of each
 *   delivery in the queue is known. It is written to its row, and its workflow sleeps until then.
 * - When a delivery leaves the queue (canceled, held, rescheduled) or a granted attempt is not made, the next computation
 *   gives earlier times to the others.
 *
 * While a receiver is down, its webhook is paced: one attempt at a time is made, a probe. The other deliveries are *parked*:
 * rows without a workflow, in order of acceptance. The oldest are released one by one, each as the next probe. After the first
 * success more are released: 1, 2, 4, … a second for 10 s (the ramp), then as many as the dispatcher starts. While any is
 * parked, newer ones are parked behind it.
 */
import type { RateLimit } from '../contracts/webhook-policy.ts';
import type { QueueReason } from '../contracts/delivery.ts';
import { rampMs, rampTime } from './health.ts';
import { windowMs as hourMs } from './hourly-cap.ts';

/** Why a delivery waits for a time in the queue. One that is parked has no such time. */
export type LimitReason = Exclude<QueueReason, 'down'>;

/** At most `cap` attempts in any `windowMs`. */
type Window = { cap: number; windowMs: number; reason: 'hourly_cap' | 'rate_limit' };

/** Times are ms since 1970. */
export type WebhookLimits = {
  windows: readonly Window[];
  /** No attempt begins before; null: at any time. */
  notBefore: number | null;
  /** Not null: paced. */
  nextProbeAt: number | null;
  /** Not null: in the ramp. */
  rampStartedAt: number | null;
  maxConcurrent: number | null;
};

/**
 * An attempt under a `rate_limit` begins at most so many ms after its grant, or requests another one. Until it is recorded,
 * the latest time at which it may have begun counts.
 */
export const startWithinMs = 250;

/** A window is so much longer, in ms: the clocks of processes differ, and requests are not equally long on their way. */
const slackMs = 50;

type LimitSettings = {
  /** Attempts in any hour; 0: no cap. */
  hourlyCap: number;
  rateLimit: RateLimit | null;
  releasePerSecond: number | null;
};

/**
 * The windows of a webhook.
 *
 * @example windowsOf({ hourlyCap: 0, rateLimit: { attempts: 5, seconds: 1 }, releasePerSecond: null })
 *   // [{ cap: 5, windowMs: 1050, reason: 'rate_limit' }]
 */
export function windowsOf({ hourlyCap, rateLimit, releasePerSecond }: LimitSettings): Window[] {
  const rates = [rateLimit, releasePerSecond === null ? null : { attempts: releasePerSecond, seconds: 1 }];
  return [
    ...(hourlyCap > 0 ? [{ cap: hourlyCap, windowMs: hourMs, reason: 'hourly_cap' as const }] : []),
    ...rates.flatMap((rate) =>
      rate === null
        ? []
        : [{ cap: rate.attempts, windowMs: rate.seconds * 1000 + slackMs, reason: 'rate_limit' as const }],
    ),
  ];
}

/** Whether nothing limits the webhook's attempts. */
export const isUnlimited = (limits: WebhookLimits): boolean =>
  limits.windows.length === 0 &&
  limits.notBefore === null &&
  limits.nextProbeAt === null &&
  limits.rampStartedAt === null &&
  limits.maxConcurrent === null;

/** How far back the log counts, in ms. */
export const logMs = ({ windows, rampStartedAt }: WebhookLimits): number =>
  Math.max(rampStartedAt === null ? 0 : rampMs, ...windows.map(({ windowMs }) => windowMs));

/** How many ms after its grant an attempt may begin; null: it does not matter, for an hour is long. */
export const startLimitMs = ({ windows }: WebhookLimits): number | null =>
  windows.some(({ reason }) => reason === 'rate_limit') ? startWithinMs : null;

/** A delivery in the queue. `until`: the time in its row, ms since 1970, or now; `reason` null: it has not requested a slot yet. */
export type Queued = { id: string; until: number; reason: LimitReason | null };

export type Log = {
  limits: WebhookLimits;
  /** Ms since 1970. */
  now: number;
  /** Times of the log, ascending, in ms since 1970. */
  used: readonly number[];
};

/** `reason`: why it waits; null: it may begin now. */
type SlotTime = { at: number; reason: LimitReason | null };

const later = (a: SlotTime, b: SlotTime): SlotTime => (b.at > a.at ? b : a);

/**
 * The earliest times for the next `count` attempts of a webhook, ascending, as far as its windows and its receiver's request
 * limit them.
 *
 * @example slotTimes({ limits: { windows: [{ cap: 1, windowMs: 1000, reason: 'rate_limit' }], … }, now: 5, used: [2] }, 2)
 *   // [{ at: 1002, reason: 'rate_limit' }, { at: 2002, reason: 'rate_limit' }]
 */
export function slotTimes({ limits, now, used }: Log, count: number): SlotTime[] {
  const { windows, notBefore } = limits;
  const times: SlotTime[] = [];
  for (let slot = 0; slot < count; slot += 1) {
    let time: SlotTime = { at: now, reason: null };
    for (const { cap, windowMs, reason } of windows) {
      // The entry that has to leave the window: of the log, or of an earlier delivery in the queue.
      const before = slot + used.length - cap;
      const entry = before < used.length ? used[before] : times[before - used.length]?.at;
      if (entry !== undefined) time = later(time, { at: entry + windowMs, reason });
    }
    if (notBefore !== null) time = later(time, { at: notBefore, reason: 'receiver_requested' });
    times.push(time);
  }
  return times;
}

/**
 * `soon`: at that time in the ramp. `park`: its receiver is down, or older deliveries are parked. `busy`: too many of its
 * webhook's attempts are under way.
 */
export type Decision =
  | { is: 'now' }
  | { is: 'later'; at: number; reason: LimitReason }
  | { is: 'soon'; at: number }
  | { is: 'park' }
  | { is: 'busy' };

export type QueueState = Log & {
  /** Attempts that are granted and not recorded yet. */
  underWay: number;
  /** The first of the queue, by id, without the requesters and the parked ones: at most `maxQueueHead`. */
  head: readonly Queued[];
  /** The queue is longer than `head`. */
  isLonger: boolean;
  /** The latest times of the other ones where the queue is longer, else empty: as many as the largest cap, ascending. */
  tail: readonly number[];
  /** The id of the oldest parked delivery; null: none is parked. */
  firstParked: string | null;
};

const byId = (a: string, b: string): number => (a < b ? -1 : 1);

/**
 * When each of these deliveries may be attempted.
 *
 * @param requesters the ids of the deliveries whose attempt is to be decided
 * @example decideSlots(state, ['dlv_a']) // Map { 'dlv_a' → { is: 'now' } }
 */
export function decideSlots(state: QueueState, requesters: readonly string[]): Map<string, Decision> {
  const { limits, now, head, isLonger } = state;
  const lastInHead = head.at(-1)?.id ?? '';
  const sorted = requesters.toSorted(byId);
  const isRequester = new Set(isLonger ? sorted.filter((id) => id < lastInHead) : sorted);
  const order = [...head, ...[...isRequester].map((id) => ({ id, reason: null }))].sort((a, b) =>
    byId(a.id, b.id),
  );
  let free = (limits.maxConcurrent ?? Infinity) - state.underWay;
  // A probe is alone.
  if (limits.nextProbeAt !== null) free = 1 - state.underWay;
  const latest = [...state.tail];
  const decisions = new Map<string, Decision>();
  const decide = (id: string, requestedBefore: number, timeOf: () => SlotTime): void => {
    const byReceiver = decideByReceiver(state, id, requestedBefore);
    if (byReceiver !== null) return void decisions.set(id, byReceiver);
    const { at, reason } = timeOf();
    if (reason !== null && at > now) return void decisions.set(id, { is: 'later', at, reason });
    free -= 1;
    decisions.set(id, { is: free >= 0 ? 'now' : limits.nextProbeAt === null ? 'busy' : 'park' });
  };
  const times = slotTimes(state, order.length);
  let requested = 0;
  order.forEach(({ id, reason }, index) => {
    if (isRequester.has(id)) decide(id, requested, () => times[index] ?? { at: now, reason: null });
    if (reason === null) requested += 1;
  });
  for (const id of sorted) {
    if (decisions.has(id)) continue;
    decide(id, requested, () => {
      const time = behind(limits, now, latest);
      latest.push(time.at);
      return time;
    });
    requested += 1;
  }
  return decisions;
}

/**
 * While the receiver is down, or just back.
 *
 * @param requestedBefore how many of the queue before it are about to be attempted
 * @returns null: only the other limits count
 */
function decideByReceiver(
  { limits, now, used, firstParked }: QueueState,
  id: string,
  requestedBefore: number,
): Decision | null {
  const { nextProbeAt, rampStartedAt } = limits;
  if (firstParked !== null && firstParked < id) return { is: 'park' };
  if (nextProbeAt !== null) return nextProbeAt <= now && requestedBefore === 0 ? null : { is: 'park' };
  if (rampStartedAt === null) return null;
  const sinceRamp = used.filter((each) => each >= rampStartedAt).length;
  const at = rampTime(rampStartedAt, sinceRamp + requestedBefore);
  return at > now ? { is: 'soon', at } : null;
}

/** The time behind a long queue whose latest times are known. */
function behind({ windows, notBefore }: WebhookLimits, now: number, latest: readonly number[]): SlotTime {
  let time: SlotTime = { at: now, reason: null };
  for (const { cap, windowMs, reason } of windows)
    time = later(time, { at: (latest.at(-cap) ?? now) + windowMs, reason });
  if (notBefore !== null) time = later(time, { at: notBefore, reason: 'receiver_requested' });
  return time;
}

/** Smaller differences come from clocks, and from attempts that began a moment after their grant. */
const noticeableMs = 5;

/** The deliveries of the queue's head whose row is wrong, with the correct time in ms since 1970, and reason. */
export function correctTimes(log: Log, head: readonly Queued[]) {
  const times = slotTimes(log, head.length);
  return times.flatMap(({ at: until, reason: binding }, index) => {
    const member = head[index];
    if (!member || member.reason === null) return [];
    // A delivery that is due keeps its time: its workflow is about to continue.
    if (until <= log.now && member.until <= log.now) return [];
    const reason = binding ?? member.reason;
    if (Math.abs(member.until - until) <= noticeableMs && reason === member.reason) return [];
    return [{ id: member.id, until, reason }];
  });
}
