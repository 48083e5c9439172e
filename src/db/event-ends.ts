import type { Change } from '../contracts/change.ts';
import type { AcceptedEvent } from '../contracts/event.ts';
import { every } from '../every.ts';
import type { Changes } from './changes.ts';
import { findEnded } from './event-log.ts';
import type { Queryable } from './pool.ts';

type Waiting = {
  accountId: string;
  eventId: string;
  /** The ids that a change may name: the event and its deliveries. */
  ids: ReadonlySet<string>;
  end: () => void;
};

/** The event, and its deliveries as far as they are known. */
export type AwaitedEvent = { eventId: string; deliveries: AcceptedEvent['deliveries']; seconds: number };

type Options = {
  db: Queryable;
  changes: Changes;
  onError: (error: unknown) => void;
  /** Between two looks at the database, which are for all that wait together. */
  pauseMs?: number;
  /** After so long, each is looked at even without a message about a change: one may be lost. */
  pollMs?: number;
};

/**
 * Waits until all deliveries of an event have ended. It learns of changes as streams do, and holds no connection of the
 * database: one statement looks at all that may have ended.
 */
export function createEventEnds({ db, changes, onError, pauseMs = 100, pollMs = 5000 }: Options) {
  const waiting = new Map<string, Set<Waiting>>();
  const toLookAt = new Set<Waiting>();
  let isClosed = false;
  const all = () => [...waiting.values()].flatMap((ofAccount) => [...ofAccount]);
  const lookAt = (some: Iterable<Waiting>): void => {
    for (const each of some) toLookAt.add(each);
    if (toLookAt.size > 0) looks.wake();
  };
  let [nextLookAt, nextPollAt] = [0, 0];
  const looks = every(
    pollMs,
    async () => {
      const now = performance.now();
      if (now < nextLookAt) return nextLookAt - now;
      if (now >= nextPollAt) {
        nextPollAt = now + pollMs;
        for (const each of all()) toLookAt.add(each);
      }
      if (toLookAt.size === 0) return false;
      const looked = [...toLookAt];
      toLookAt.clear();
      nextLookAt = now + pauseMs;
      const hasEnded = await findEnded(db, looked);
      for (const each of looked) if (hasEnded(each)) each.end();
      return toLookAt.size > 0 ? pauseMs : false;
    },
    onError,
  );
  changes.listen({
    onChange(accountId, change) {
      const ofAccount = waiting.get(accountId);
      if (ofAccount) lookAt([...ofAccount].filter(({ ids }) => concerns(change, ids)));
    },
    onLost: () => lookAt(all()),
  });
  return {
    /** Resolves then, after so many seconds, when `isGone`, or when this is closed. */
    async until(accountId: string, { eventId, deliveries, seconds }: AwaitedEvent, isGone: AbortSignal) {
      if (isClosed || isGone.aborted) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const end = () => resolve();
      const ids = new Set([eventId, ...deliveries.map(({ id }) => id)]);
      const own: Waiting = { accountId, eventId, ids, end };
      const ofAccount = waiting.get(accountId) ?? new Set();
      waiting.set(accountId, ofAccount.add(own));
      const timer = setTimeout(end, seconds * 1000);
      isGone.addEventListener('abort', end);
      lookAt([own]);
      // For changes from before every process knew that somebody waits.
      void changes.watch(accountId).then(() => ofAccount.has(own) && lookAt([own]));
      await promise;
      clearTimeout(timer);
      isGone.removeEventListener('abort', end);
      changes.unwatch(accountId);
      toLookAt.delete(own);
      ofAccount.delete(own);
      if (ofAccount.size === 0 && waiting.get(accountId) === ofAccount) waiting.delete(accountId);
    },
    /** All end now, as do later ones. */
    async close(): Promise<void> {
      isClosed = true;
      for (const { end } of all()) end();
      await looks.close();
    },
  };
}

/** A change of a webhook may end its deliveries. */
const concerns = ({ ids }: Change, own: ReadonlySet<string>): boolean =>
  ids === null || ids.some((id) => own.has(id) || id.startsWith('wh_'));
