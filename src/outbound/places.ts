import { untilEnded, type Progress } from './progress.ts';
import { SenderBusy } from './sender-busy.ts';

/** A bounded number of places that several holders share. */
export type Places = {
  /** Takes a place for `key`, which may hold `most` of them. False: there is none now. */
  take: (key: string, most: number) => boolean;
  /**
   * The same, but waits for one; `progress.phase` is `wait` meanwhile. Rejected with the reason when the attempt ends
   * before, or with `SenderBusy` at once where too many of this key wait already.
   */
  wait: (key: string, most: number, progress: Progress) => Promise<void>;
  giveBack: (key: string) => void;
  isEmpty: () => boolean;
};

type Holder = { held: number; most: number; waiting: (() => void)[] };

/** Of one key. Who waits holds a place of the worker meanwhile: enough for two events to 100 webhooks, and no more. */
const maxWaiting = 200;

/**
 * Shares `count` places among keys. A place that becomes free goes to the waiting key that holds the fewest, in which the
 * first that came is served first. So a key that holds its places for long keeps only its own others waiting.
 *
 * @example
 * const places = createPlaces(1_000);
 * if (!places.take(accountId, 32)) await places.wait(accountId, 32, progress);
 * places.giveBack(accountId);
 */
export function createPlaces(count: number): Places {
  // Those that hold a place or wait for one.
  const holders = new Map<string, Holder>();
  let taken = 0;
  let waiting = 0;

  function holderOf(key: string, most: number): Holder {
    const holder = holders.get(key) ?? { held: 0, most, waiting: [] };
    holders.set(key, holder);
    return holder;
  }

  function forgetIfUnused(key: string, { held, waiting: own }: Holder): void {
    if (held === 0 && own.length === 0) holders.delete(key);
  }

  function giveToNext(): void {
    if (waiting === 0 || taken >= count) return;
    let next: Holder | undefined;
    for (const holder of holders.values()) {
      if (holder.waiting.length === 0 || holder.held >= holder.most) continue;
      if (next === undefined || holder.held < next.held) next = holder;
    }
    if (next === undefined) return;
    taken += 1;
    next.held += 1;
    waiting -= 1;
    next.waiting.shift()?.();
  }

  return {
    take(key, most) {
      if (taken >= count || (holders.get(key)?.held ?? 0) >= most) return false;
      taken += 1;
      holderOf(key, most).held += 1;
      return true;
    },
    async wait(key, most, progress) {
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
    giveBack(key) {
      const holder = holders.get(key);
      if (holder === undefined) return;
      taken -= 1;
      holder.held -= 1;
      giveToNext();
      forgetIfUnused(key, holder);
    },
    isEmpty: () => holders.size === 0,
  };
}
