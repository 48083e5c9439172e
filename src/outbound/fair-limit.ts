import { untilEnded, type Progress } from './progress.ts';
import { SenderBusy } from './sender-busy.ts';

/** A limit on how much is under way at once, shared fairly between keys, such as accounts. */
export type FairLimit = {
  /** Takes one of the limit for `key`, which may hold `most`. False: none is free for it. */
  tryAcquire: (key: string, most: number) => boolean;
  /**
   * The same, but waits for one; `progress.phase` is `wait` meanwhile. Rejected with the reason when the attempt ends
   * before, or with `SenderBusy` at once where too many of this key wait already.
   */
  acquire: (key: string, most: number, progress: Progress) => Promise<void>;
  release: (key: string) => void;
  isUnused: () => boolean;
};

type Holder = { held: number; most: number; waiting: (() => void)[] };

/** Of one key. Each occupies a slot of the worker while it waits: enough for two events to 100 webhooks, and no more. */
const maxWaiting = 200;

/**
 * Shares a limit of `count` between keys. A released slot goes to the waiting key that holds the fewest, and there to the
 * longest waiting call. So a key that holds its share for long delays only itself.
 *
 * @example
 * const limit = createFairLimit(1_000);
 * await limit.acquire(accountId, 32, progress);
 * limit.release(accountId);
 */
export function createFairLimit(count: number): FairLimit {
  // Those that hold something or wait.
  const holders = new Map<string, Holder>();
  let held = 0;
  let waiting = 0;

  function holderOf(key: string, most: number): Holder {
    const holder = holders.get(key) ?? { held: 0, most, waiting: [] };
    holders.set(key, holder);
    return holder;
  }

  function forgetIfUnused(key: string, holder: Holder): void {
    if (holder.held === 0 && holder.waiting.length === 0) holders.delete(key);
  }

  function grantNext(): void {
    if (waiting === 0 || held >= count) return;
    let next: Holder | undefined;
    for (const holder of holders.values()) {
      if (holder.waiting.length === 0 || holder.held >= holder.most) continue;
      if (next === undefined || holder.held < next.held) next = holder;
    }
    if (next === undefined) return;
    held += 1;
    next.held += 1;
    waiting -= 1;
    next.waiting.shift()?.();
  }

  function tryAcquire(key: string, most: number): boolean {
    if (held >= count || (holders.get(key)?.held ?? 0) >= most) return false;
    held += 1;
    holderOf(key, most).held += 1;
    return true;
  }

  return {
    tryAcquire,
    async acquire(key, most, progress) {
      if (tryAcquire(key, most)) return;
      progress.phase = 'wait';
      const holder = holderOf(key, most);
      if (holder.waiting.length >= maxWaiting) throw new SenderBusy();
      await untilEnded<void>(progress, (resolve) => {
        holder.waiting.push(resolve);
        waiting += 1;
        return () => {
          holder.waiting = holder.waiting.filter((each) => each !== resolve);
          waiting -= 1;
          forgetIfUnused(key, holder);
        };
      });
    },
    release(key) {
      const holder = holders.get(key);
      if (holder === undefined) return;
      held -= 1;
      holder.held -= 1;
      grantNext();
      forgetIfUnused(key, holder);
    },
    isUnused: () => holders.size === 0,
  };
}
