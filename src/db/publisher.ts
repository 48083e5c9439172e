import { acceptEvents, type Acceptance } from './accept-events.ts';
import { createBatcher } from './batcher.ts';
import type { NewEvent } from './insert-events.ts';
import type { Pool } from './pool.ts';
import type { ReserveOwners } from './reserve-owners.ts';
import { createSubscriberCache } from './subscribers.ts';

export type Publisher = ReturnType<typeof createPublisher>;

/** The most events of requests that share a statement; a request with more has its own. One runs at a time: the next is larger. */
const eventsPerStatement = 512;
const concurrentStatements = 1;
/** The most events that wait in one process: seconds of work, and a limit of memory. */
export const maxUnwritten = { events: 20_000, bytes: 64 * 1024 * 1024 };

type Options = {
  reserveOwners: ReserveOwners;
  /** Whether an unknown account is created at its first event. */
  createsAccounts: boolean;
  /** Called when deliveries were written that wait for others of their line. */
  onJoined: () => void;
  /** Called for each new event, once it is committed. */
  onAccepted: (accountId: string, id: string) => void;
  /** Called for each new event that is to be delivered later. */
  onScheduled: (at: Date) => void;
};

export function createPublisher(
  pool: Pool,
  { reserveOwners, onJoined, createsAccounts, onAccepted, onScheduled }: Options,
) {
  const cache = createSubscriberCache(pool);
  /**
   * Accepts one request's events, together with those of other requests at that moment, in one statement, which is committed
   * before this resolves. Results are in the order of `events`; null where too many events are waiting already, so that
   * nothing was accepted.
   */
  const publish = createBatcher<readonly NewEvent[], Acceptance[] | null>({
    maxSize: eventsPerStatement,
    concurrency: concurrentStatements,
    weightOf: (events) => events.length,
    limit: {
      weight: maxUnwritten.events,
      bytes: maxUnwritten.bytes,
      bytesOf: (events) => events.reduce((sum, { body }) => sum + body.length, 0),
      whenFull: null,
    },
    async run(requests) {
      const events = requests.flat();
      const acceptances = await acceptEvents(pool, events, {
        cache,
        reserveOwners,
        onJoined,
        createsAccounts,
      });
      events.forEach(({ accountId, id, options }, index) => {
        if (acceptances[index]?.kind !== 'accepted') return;
        onAccepted(accountId, id);
        if (options?.deliverAt) onScheduled(options.deliverAt);
      });
      let start = 0;
      return requests.map(({ length }) => acceptances.slice(start, (start += length)));
    },
  });
  return {
    publish,
    /** Whether there is such an account. */
    hasAccount: async (accountId: string) => (await cache.get([accountId])).has(accountId),
  };
}
