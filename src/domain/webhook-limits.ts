/**
 * The limits of a webhook, and the queue of the deliveries that wait for them.
 *
 *   limit                                    reason               the next attempt may begin
 *   attempts in any hour (the hourly cap)    hourly_cap           an hour after the oldest one that counts
 *   `rate_limit`, the rate of a resume       rate_limit           the same, over its window
 *   a receiver's `Retry-After` on a 429      receiver_requested   at that time
 *   paced: its receiver is down              down                 at the next probe, one delivery alone; the others wait
 *   the ramp: its receiver is back           down                 1, 2, 4, … a second, for 10 s; late ones in order
 *   `max_concurrent`                         –                    when another one has ended
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
 * - While the webhook is paced, all but the first of the queue have the time at which they fail for having waited too long.
 */
import type { RateLimit } from '../contracts/webhook-policy.ts';
import type { QueueReason } from '../contracts/delivery.ts';
import { rampMs } from './health.ts';
import { windowMs as hourMs } from './hourly-cap.ts';

/** At most `cap` attempts in any `windowMs`. */
type Window = { cap: number; windowMs: number; reason: 'hourly_cap' | 'rate_limit' };

/** Times are ms since 1970. */
export type WebhookLimits = {
  windows: readonly Window[];
  /** No attempt begins before; null: at any time. */
  notBefore: number | null;
  /** Not null: paced. */
  nextProbeAt: number | null;
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

/** A delivery in the queue: its id, and when it fails if its webhook stays down, in ms since 1970. */
export type Waiting = { id: string; expiresAt: number };
/** As its row has it: `until`, or now; `reason` null: it has not requested a slot yet. */
export type Queued = Waiting & { until: number; reason: QueueReason | null };

type Log = {
  limits: WebhookLimits;
  /** Ms since 1970. */
  now: number;
  /** Times of the log, ascending, in ms since 1970. */
  used: readonly number[];
};

/** `reason`: why it waits; null: it may begin now. */
type SlotTime = { at: number; reason: QueueReason | null };

/**
 * When the k-th attempt since the ramp began may begin, k from 0: 1 in the first second, 2 in the next, then 4 and so on.
 *
 * @returns ms since 1970
 * @example [0, 1, 2, 3].map((k) => rampTime(0, k)) // [0, 1000, 1500, 2000]
 */
export function rampTime(rampStartedAt: number, k: number): number {
  const second = Math.floor(Math.log2(k + 1));
  const before = 2 ** second - 1;
  return rampStartedAt + Math.min(rampMs, 1000 * (second + (k - before) / 2 ** second));
}

/** Of a queue that is released and late, so many may begin now in the first minute: about as many as are under way at once. */
const releasedAtOnce = 20;
/** And at most so many later. A delivery begins at most so many positions before or after its own. */
const maxReleasedAtOnce = 160;
/** The rate at which those behind them are expected to begin, per second. */
const releaseRates = { least: 20, most: 100 };
const releaseRateOfMs = 5000;
/** After that the ramp limits nothing any more. */
const releasedForMs = 3_600_000;

/**
 * How many ms from now the deliveries of a queue may begin whose time in the ramp has come, so that the oldest go first, however
 * late their workflows are woken. The first 20 may begin now, twice as many in each minute that follows, at most 160. Those
 * behind them wait for as long as the webhook's attempts in the last 5 s lead one to expect, and a little less: a workflow that
 * is woken too early costs the engine another wake. An hour after the ramp began, all may begin.
 *
 * @param recent attempts in the last 5 s
 * @param index in the queue, from 0
 * @example releaseMs({ sinceRampMs: 0, recent: 200 }, 20) // 20
 * @example releaseMs({ sinceRampMs: 60_000, recent: 200 }, 20) // 0
 */
export const releaseMs = (
  { sinceRampMs, recent }: { sinceRampMs: number; recent: number },
  index: number,
): number => {
  if (sinceRampMs >= releasedForMs) return 0;
  const atOnce = Math.min(maxReleasedAtOnce, releasedAtOnce * 2 ** Math.floor(sinceRampMs / 60_000));
  const expected = (1.25 * recent * 1000) / releaseRateOfMs;
  const perSecond = Math.min(releaseRates.most, Math.max(releaseRates.least, expected));
  return (Math.max(0, index + 1 - atOnce) * 1000) / perSecond;
};

const later = (a: SlotTime, b: SlotTime): SlotTime => (b.at > a.at ? b : a);

/**
 * The earliest times for the next `count` attempts of a webhook, ascending. That it may be paced is left out here.
 *
 * @example slotTimes({ limits: { windows: [{ cap: 1, windowMs: 1000, reason: 'rate_limit' }], … }, now: 5, used: [2] }, 2)
 *   // [{ at: 1002, reason: 'rate_limit' }, { at: 2002, reason: 'rate_limit' }]
 */
export function slotTimes({ limits, now, used }: Log, count: number): SlotTime[] {
  const { windows, notBefore, rampStartedAt } = limits;
  const sinceRamp = rampStartedAt === null ? 0 : used.filter((at) => at >= rampStartedAt).length;
  const recent = rampStartedAt === null ? 0 : used.filter((at) => at > now - releaseRateOfMs).length;
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
    if (rampStartedAt !== null) {
      const planned = rampTime(rampStartedAt, sinceRamp + slot);
      const at =
        planned > now ? planned : now + releaseMs({ sinceRampMs: now - rampStartedAt, recent }, slot);
      time = later(time, { at: Math.max(at, times.at(-1)?.at ?? now), reason: 'down' });
    }
    times.push(time);
  }
  return times;
}

/** The times of a whole queue, in its order. */
function queueTimes(log: Log, queue: readonly Waiting[]): SlotTime[] {
  const { nextProbeAt } = log.limits;
  if (nextProbeAt === null) return slotTimes(log, queue.length);
  const [first = { at: log.now, reason: null }] = slotTimes(log, 1);
  return queue.map(({ expiresAt }, index): SlotTime => {
    const probe = later(first, { at: nextProbeAt, reason: 'down' });
    return index === 0 && probe.at < expiresAt ? probe : { at: expiresAt, reason: 'down' };
  });
}

/** `busy`: too many of its webhook's attempts are under way. `expired`: it was deferred for too long. */
export type Decision =
  { is: 'now' } | { is: 'later'; at: number; reason: QueueReason } | { is: 'busy' } | { is: 'expired' };

export type QueueState = Log & {
  /** Attempts that are granted and not recorded yet. */
  underWay: number;
  /** The first of the queue, by id, without the requesters: at most `maxQueueHead`. */
  head: readonly Queued[];
  /** The queue is longer than `head`. */
  isLonger: boolean;
  /** One of the queue is deferred because the webhook is down, or was. Known only where the queue is longer. */
  hasDown: boolean;
  /** The latest times of the other ones where the queue is longer, else empty: as many as the largest cap, ascending. */
  tail: readonly number[];
};

const byId = (a: Waiting, b: Waiting): number => (a.id < b.id ? -1 : 1);

/**
 * When each of these deliveries may be attempted.
 *
 * @param requesters the deliveries whose attempt is to be decided
 * @example decideSlots(state, [{ id: 'dlv_a', expiresAt }]) // Map { 'dlv_a' → { is: 'now' } }
 */
export function decideSlots(state: QueueState, requesters: readonly Waiting[]): Map<string, Decision> {
  const { limits, now, head, isLonger, hasDown } = state;
  const isPaced = limits.nextProbeAt !== null;
  const lastInHead = head.at(-1)?.id ?? '';
  const sorted = requesters.toSorted(byId);
  const inHead = isLonger ? sorted.filter(({ id }) => id < lastInHead) : sorted;
  const order = [...head, ...inHead].sort(byId);
  const isRequester = new Set(inHead.map(({ id }) => id));
  let free = (isPaced ? 1 : (limits.maxConcurrent ?? Infinity)) - state.underWay;
  const decide = ({ at, reason }: SlotTime, { expiresAt }: Waiting): Decision => {
    if (isPaced && expiresAt <= now) return { is: 'expired' };
    if (reason !== null && at > now) return { is: 'later', at, reason };
    free -= 1;
    return free < 0 ? { is: 'busy' } : { is: 'now' };
  };
  const decisions = new Map<string, Decision>();
  const times = queueTimes(state, order);
  order.forEach((member, index) => {
    const time = times[index];
    if (time && isRequester.has(member.id)) decisions.set(member.id, decide(time, member));
  });
  const latest = [...state.tail];
  for (const requester of sorted) {
    if (decisions.has(requester.id)) continue;
    // Behind those that were deferred because the webhook was down: like them, until it is one of the first.
    const isBehindDown = isPaced || hasDown;
    const time = isBehindDown
      ? { at: requester.expiresAt, reason: 'down' as const }
      : behind(limits, now, latest);
    if (!isBehindDown) latest.push(time.at);
    decisions.set(requester.id, decide(time, requester));
  }
  return decisions;
}

/** The time behind a long queue whose latest times are known. */
function behind(
  { windows, notBefore, rampStartedAt }: WebhookLimits,
  now: number,
  latest: readonly number[],
) {
  let time: SlotTime = { at: now, reason: null };
  for (const { cap, windowMs, reason } of windows)
    time = later(time, { at: (latest.at(-cap) ?? now) + windowMs, reason });
  if (notBefore !== null) time = later(time, { at: notBefore, reason: 'receiver_requested' });
  return rampStartedAt === null ? time : later(time, { at: rampStartedAt + rampMs, reason: 'down' });
}

/** Smaller differences come from clocks, and from attempts that began a moment after their grant. */
const noticeableMs = 5;
/** The times after a ramp are estimates: a smaller part of the wait is not worth a write. */
const noticeablePart = 0.2;

/** The deliveries of the queue's head whose row is wrong, with the correct time in ms since 1970, and reason. */
export function correctTimes(log: Log, head: readonly Queued[]) {
  const times = queueTimes(log, head);
  return times.flatMap(({ at: until, reason: binding }, index) => {
    const member = head[index];
    if (!member || member.reason === null) return [];
    // A delivery that is due keeps its time: its workflow is about to continue.
    if (until <= log.now && member.until <= log.now) return [];
    const reason = binding ?? member.reason;
    const isEstimate = reason === 'down' && log.limits.nextProbeAt === null;
    const tolerance = Math.max(noticeableMs, isEstimate ? noticeablePart * (until - log.now) : 0);
    if (Math.abs(member.until - until) <= tolerance && reason === member.reason) return [];
    return [{ id: member.id, until, reason }];
  });
}
