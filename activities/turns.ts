import { nextAverageMs, takeTurn, type WebhookLoad } from '../src/domain/turns.ts';

type Entry = WebhookLoad & { deferredUntil: number; queue: (() => void)[] };

export type Turns = {
  /** Takes a place for a request to that webhook, or says in how many seconds to come back for one. */
  take(webhookId: string): Promise<{ giveBack(durationMs: number | null): void } | { seconds: number }>;
};

/** Keeps a receiver that is slow from taking the places of all others: bounded requests a webhook, in this process. */
export function createTurns(): Turns {
  const webhooks = new Map<string, Entry>();

  const place = (webhookId: string, entry: Entry) => {
    entry.underWay += 1;
    return {
      giveBack(durationMs: number | null) {
        entry.underWay -= 1;
        if (durationMs !== null) entry.averageMs = nextAverageMs(entry.averageMs, durationMs);
        // All that wait look again: one has a turn now, and where the receiver turned out slow, the others go away.
        for (const wake of entry.queue.splice(0)) wake();
        // Only webhooks that are being sent to are remembered, and those that callers were sent away from.
        if (entry.underWay === 0 && entry.waiting === 0 && entry.deferredUntil < Date.now())
          webhooks.delete(webhookId);
      },
    };
  };

  return {
    async take(webhookId) {
      const entry = webhooks.get(webhookId) ?? {
        underWay: 0,
        waiting: 0,
        averageMs: 0,
        deferredUntil: 0,
        queue: [],
      };
      webhooks.set(webhookId, entry);
      for (;;) {
        const now = Date.now();
        const turn = takeTurn(entry, entry.deferredUntil, now);
        if (turn === 'now') return place(webhookId, entry);
        if (turn !== 'in_place') {
          entry.deferredUntil = now + turn.seconds * 1000;
          return turn;
        }
        entry.waiting += 1;
        await new Promise<void>((resolve) => {
          entry.queue.push(resolve);
        });
        entry.waiting -= 1;
      }
    },
  };
}
