import { acceptEvents, type Acceptance, type NewEvent } from './accept-events.ts';
import { createBatcher } from './batcher.ts';
import type { Pool } from './pool.ts';
import type { ReserveOwners } from './reserve-owners.ts';
import { createSubscriberCache } from './subscribers.ts';

export type Publisher = {
  /**
   * Accepts one request's events, together with what others publish at that moment: one statement, which is committed
   * before this resolves. Results are in the order of `events`; null where too many events are waiting already, so that
   * nothing was accepted.
   */
  publish(events: readonly NewEvent[]): Promise<Acceptance[] | null>;
  /** Whether there is such an account. */
  hasAccount(accountId: string): Promise<boolean>;
};

/** Requests share a statement up to so many events; one with more has one of its own. One is under way: the next is larger. */
const eventsPerStatement = 512;
const statementsUnderWay = 1;
/** What one process holds of events that are not answered yet: seconds of work, and never more memory than that. */
export const maxUnanswered = { events: 20_000, bytes: 64 * 1024 * 1024 };

export function createPublisher(pool: Pool, reserveOwners: ReserveOwners): Publisher {
  const cache = createSubscriberCache(pool);
  const publish = createBatcher<readonly NewEvent[], Acceptance[] | null>({
    maxSize: eventsPerStatement,
    concurrency: statementsUnderWay,
    weightOf: (events) => events.length,
    limit: {
      weight: maxUnanswered.events,
      bytes: maxUnanswered.bytes,
      bytesOf: (events) => events.reduce((sum, { body }) => sum + body.length, 0),
      whenFull: null,
    },
    async run(requests) {
      const answers = await acceptEvents(pool, requests.flat(), { cache, reserveOwners });
      let start = 0;
      return requests.map(({ length }) => answers.slice(start, (start += length)));
    },
  });
  return {
    publish,
    hasAccount: async (accountId) => (await cache.get([accountId])).has(accountId),
  };
}
