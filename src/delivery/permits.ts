/** Requests under way at once to one webhook, from one process: quick receivers, and slow ones. */
const quickLimit = 20;
const slowLimit = 5;
/** A receiver that takes longer than this on average is slow. */
const slowMs = 1000;
/** So many wait for a permit at most, for each occupies a workflow task of the worker. */
const maxWaiting = 20;
/** A shorter wait for a permit is worth no timer. */
const shortWaitMs = 500;
/** The same beside others in a group's workflow, where a wait costs nothing and a workflow of its own so much more. */
const shortGroupedWaitMs = 10_000;
/** A webhook that hangs or rejects is remembered for so long after its last request. */
const rememberMs = 300_000;
const maxRemembered = 10_000;

/** The right to make one request to a webhook. */
type Permit = {
  /** The webhook's own limit of requests under way at once; null: none. */
  limitTo(maxConcurrent: number | null): void;
  /** The request has ended: it counts for the webhook's health. `isFailed`: the delivery failed with it, without a retry. */
  ended(made: { durationMs: number; isFailed: boolean }): void;
  /** The next request may begin. A second call does nothing. */
  release(): void;
};

export type Permits = {
  /** Waits shortly for a permit, or returns in how many seconds to request one again. */
  acquire(webhookId: string, isGrouped: boolean): Promise<Permit | { seconds: number }>;
  /** Whether its deliveries may share a workflow, as far as this process knows. */
  mayShare(webhookId: string): boolean;
};

/**
 * Of one webhook. `waiting`: those that occupy a workflow task each. `averageMs`: of its requests. `maxConcurrent`: its own
 * limit, known from its last attempt.
 */
type Load = {
  underWay: number;
  waiting: number;
  waitingInGroups: number;
  averageMs: number;
  maxConcurrent?: number | null;
};
/**
 * `failedShare`: of its requests, those with which a delivery failed; recent ones count most. `oldestMs`: for how long the
 * oldest one has been under way.
 */
type Health = { averageMs: number; failedShare: number; oldestMs: number };

type Entry = Load &
  Omit<Health, 'oldestMs'> & {
    /** The requests under way, the oldest first. */
    requests: Set<{ startedAt: number }>;
    deferredUntil: number;
    usedAt: number;
    queue: ((isGranted: boolean) => void)[];
  };

const newEntry = (): Entry => ({
  underWay: 0,
  waiting: 0,
  waitingInGroups: 0,
  averageMs: 0,
  failedShare: 0,
  requests: new Set(),
  deferredUntil: 0,
  usedAt: Date.now(),
  queue: [],
});

/**
 * Bounds the requests to each webhook in this process, so that a slow receiver cannot use up the capacity for all others.
 * Remembers the webhooks that hang or reject.
 */
export function createPermits(): Permits {
  const webhooks = new Map<string, Entry>();

  const isHealthy = (entry: Entry): boolean => {
    const [oldest] = entry.requests;
    return mayShare({ ...entry, oldestMs: oldest ? Date.now() - oldest.startedAt : 0 });
  };

  const forget = (webhookId: string, entry: Entry): void => {
    const now = Date.now();
    const isIdle = entry.underWay === 0 && entry.waiting + entry.waitingInGroups === 0;
    if (isIdle && entry.deferredUntil < now && isHealthy(entry)) webhooks.delete(webhookId);
    // In the order of their first request: the oldest goes first, though not one that is being sent to.
    for (const [id, old] of webhooks) {
      if (webhooks.size <= maxRemembered && now - old.usedAt < rememberMs) return;
      if (old.underWay + old.waiting + old.waitingInGroups > 0) return;
      webhooks.delete(id);
    }
  };

  const grant = (webhookId: string, entry: Entry): Permit => {
    const request = { startedAt: Date.now() };
    let isReleased = false;
    entry.requests.add(request);
    return {
      limitTo(maxConcurrent) {
        entry.maxConcurrent = maxConcurrent;
      },
      ended({ durationMs, isFailed }) {
        entry.requests.delete(request);
        entry.averageMs = nextAverageMs(entry.averageMs, durationMs);
        entry.failedShare = nextFailedShare(entry.failedShare, isFailed);
      },
      release() {
        if (isReleased) return;
        isReleased = true;
        entry.requests.delete(request);
        entry.underWay -= 1;
        entry.usedAt = Date.now();
        if (entry.averageMs > slowMs) {
          // Each decides again whether to wait: those for which it would take too long do not.
          for (const wake of entry.queue.splice(0)) wake(false);
        } else {
          for (const wake of entry.queue.splice(0, Math.max(0, limitOf(entry) - entry.underWay))) {
            entry.underWay += 1;
            wake(true);
          }
        }
        forget(webhookId, entry);
      },
    };
  };

  return {
    mayShare(webhookId) {
      const entry = webhooks.get(webhookId);
      return !entry || isHealthy(entry) || Date.now() - entry.usedAt > rememberMs;
    },
    async acquire(webhookId, isGrouped) {
      const entry = webhooks.get(webhookId) ?? newEntry();
      webhooks.set(webhookId, entry);
      const counter = isGrouped ? 'waitingInGroups' : 'waiting';
      for (;;) {
        const decision = decidePermit(entry, isGrouped, entry.deferredUntil, Date.now());
        if (decision === 'grant') {
          entry.underWay += 1;
          return grant(webhookId, entry);
        }
        if (decision !== 'wait') {
          entry.deferredUntil = decision.at;
          return decision;
        }
        entry[counter] += 1;
        const isGranted = await new Promise<boolean>((resolve) => {
          entry.queue.push(resolve);
        });
        entry[counter] -= 1;
        if (isGranted) return grant(webhookId, entry);
      }
    },
  };
}

/**
 * Whether a webhook's next request gets its permit now, waits for it, or comes back after some seconds, about when there will
 * be one. So a receiver that hangs never occupies much of a worker.
 *
 * @param isGrouped it waits in a group's workflow, beside others: it occupies no workflow task of its own
 * @param deferredUntil when the last of those that were sent away comes back, ms since 1970
 */
export function decidePermit(
  load: Load,
  isGrouped: boolean,
  deferredUntil: number,
  now: number,
): 'grant' | 'wait' | { seconds: number; at: number } {
  const limit = limitOf(load);
  if (load.underWay < limit) return 'grant';
  const permitMs = load.averageMs / limit;
  const waitMs = (load.waiting + load.waitingInGroups + 1) * permitMs;
  const isShort = isGrouped
    ? waitMs <= shortGroupedWaitMs
    : load.waiting < maxWaiting && waitMs <= shortWaitMs;
  if (isShort) return 'wait';
  const at = Math.max(deferredUntil, now + waitMs) + permitMs;
  // The next one comes after the exact time: rounding to whole seconds would add up.
  return { seconds: Math.min(300, Math.max(1, Math.ceil((at - now) / 1000))), at };
}

const limitOf = ({ averageMs, maxConcurrent }: Load): number =>
  Math.min(averageMs > slowMs ? slowLimit : quickLimit, maxConcurrent ?? Infinity);

/** The average after another request, recent ones counting most. */
const nextAverageMs = (averageMs: number, durationMs: number): number =>
  averageMs === 0 ? durationMs : averageMs * 0.8 + durationMs * 0.2;

/**
 * Whether a webhook's deliveries may share a workflow with others for their first attempt. One that is known to hang
 * would make the others' workflow wait, and a delivery that fails is shown by a workflow of its own, which its group would
 * start at once. A delivery that waits for a retry leaves its group later, when the burst is over.
 *
 * @example mayShare({ averageMs: 40, failedShare: 0.1, oldestMs: 0 }) // true
 */
export function mayShare({ averageMs, failedShare, oldestMs }: Health): boolean {
  return averageMs <= slowMs && oldestMs <= slowMs && failedShare < 0.5;
}

/**
 * The share of failures after another request. Two in a row are enough to know, one alone is not.
 *
 * @example nextFailedShare(0, true) // 0.3
 */
export function nextFailedShare(failedShare: number, isFailed: boolean): number {
  return failedShare * 0.7 + (isFailed ? 0.3 : 0);
}
