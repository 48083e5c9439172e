import { limitOf, nextAverageMs, slowMs, takeTurn, type WebhookLoad } from '../src/domain/turns.ts';
import { mayShare, nextFailedShare, type WebhookHealth } from '../src/domain/webhook-health.ts';

type Entry = WebhookLoad &
  Omit<WebhookHealth, 'oldestMs'> & {
    /** The requests under way, the oldest first. */
    requests: Set<{ startedAt: number }>;
    deferredUntil: number;
    usedAt: number;
    queue: ((hasPlace: boolean) => void)[];
  };

type Place = {
  /** `isFailed`, `durationMs` null: no request was made after all. */
  giveBack(durationMs: number | null, isFailed: boolean | null): void;
};

export type Turns = {
  /** Takes a place for a request to that webhook, or says in how many seconds to come back for one. */
  take(webhookId: string, isGrouped: boolean): Promise<Place | { seconds: number }>;
  /** Whether its deliveries may share a workflow, as far as this process knows. */
  mayShare(webhookId: string): boolean;
};

/** Of a webhook that hangs or fails it is known for so long after its last request. */
const rememberMs = 300_000;
const maxRemembered = 10_000;

/**
 * Keeps a receiver that is slow from taking the places of all others: bounded requests a webhook, in this process.
 * Remembers the webhooks that hang or fail.
 */
export function createTurns(): Turns {
  const webhooks = new Map<string, Entry>();

  const isSharing = (entry: Entry): boolean => {
    const [oldest] = entry.requests;
    return mayShare({ ...entry, oldestMs: oldest ? Date.now() - oldest.startedAt : 0 });
  };

  const forget = (webhookId: string, entry: Entry): void => {
    const now = Date.now();
    const isIdle = entry.underWay === 0 && entry.waiting + entry.waitingInGroups === 0;
    if (isIdle && entry.deferredUntil < now && isSharing(entry)) webhooks.delete(webhookId);
    // In the order of their first request: the oldest goes first, though not one that is being sent to.
    for (const [id, old] of webhooks) {
      if (webhooks.size <= maxRemembered && now - old.usedAt < rememberMs) return;
      if (old.underWay + old.waiting + old.waitingInGroups > 0) return;
      webhooks.delete(id);
    }
  };

  const place = (webhookId: string, entry: Entry): Place => {
    const request = { startedAt: Date.now() };
    entry.requests.add(request);
    return {
      giveBack(durationMs, isFailed) {
        entry.requests.delete(request);
        entry.underWay -= 1;
        entry.usedAt = Date.now();
        if (durationMs !== null) entry.averageMs = nextAverageMs(entry.averageMs, durationMs);
        if (isFailed !== null) entry.failedShare = nextFailedShare(entry.failedShare, isFailed);
        if (entry.averageMs > slowMs) {
          // All look again, and those for which it would take too long go away.
          for (const wake of entry.queue.splice(0)) wake(false);
        } else {
          // In the order in which they came.
          for (const wake of entry.queue.splice(0, limitOf(entry) - entry.underWay)) {
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
      return !entry || isSharing(entry) || Date.now() - entry.usedAt > rememberMs;
    },
    async take(webhookId, isGrouped) {
      const entry = webhooks.get(webhookId) ?? {
        underWay: 0,
        waiting: 0,
        waitingInGroups: 0,
        averageMs: 0,
        failedShare: 0,
        requests: new Set(),
        deferredUntil: 0,
        usedAt: Date.now(),
        queue: [],
      };
      webhooks.set(webhookId, entry);
      const waits = isGrouped ? 'waitingInGroups' : 'waiting';
      for (;;) {
        const now = Date.now();
        const turn = takeTurn(entry, isGrouped, entry.deferredUntil, now);
        if (turn === 'now') {
          entry.underWay += 1;
          return place(webhookId, entry);
        }
        if (turn !== 'in_place') {
          entry.deferredUntil = turn.at;
          return turn;
        }
        entry[waits] += 1;
        const hasPlace = await new Promise<boolean>((resolve) => {
          entry.queue.push(resolve);
        });
        entry[waits] -= 1;
        if (hasPlace) return place(webhookId, entry);
      }
    },
  };
}
