import { LRUCache } from 'lru-cache';
import { filtersThatMatch } from '../domain/subscription.ts';
import type { Queryable } from './pool.ts';

type Subscriber = { id: string; events: string[]; active: boolean };

/** An account's webhooks as they were at that version. */
export type Subscribers = {
  version: string;
  count: number;
  /** Those that get events of that type, in the order of their ids. */
  of(eventType: string): readonly Subscriber[];
};

/** Reads accounts' webhooks together with their versions; an account that is not there is left out. */
export async function loadSubscribers(
  db: Queryable,
  accountIds: readonly string[],
): Promise<Map<string, Subscribers>> {
  const { rows } = await db.query<{
    accountId: string;
    version: string;
    id: string | null;
    events: string[];
    active: boolean;
  }>({
    name: 'load-subscribers',
    text: `select a.id as "accountId", a.webhooks_version as version, w.id, w.events, w.active
      from accounts a left join webhooks w on w.account_id = a.id and w.deleted_at is null
      where a.id = any($1) order by w.id`,
    values: [accountIds],
  });
  const found = new Map<string, { version: string; webhooks: Subscriber[] }>();
  for (const { accountId, version, id, events, active } of rows) {
    const account = found.get(accountId) ?? { version, webhooks: [] };
    found.set(accountId, account);
    if (id !== null) account.webhooks.push({ id, events, active });
  }
  return new Map(
    [...found].map(([accountId, { version, webhooks }]) => [accountId, toSubscribers(version, webhooks)]),
  );
}

function toSubscribers(version: string, webhooks: readonly Subscriber[]): Subscribers {
  // Types are few: what gets each of them is found once.
  const byType = new Map<string, readonly Subscriber[]>();
  return {
    version,
    count: webhooks.length,
    of(eventType) {
      const known = byType.get(eventType);
      if (known) return known;
      const filters = filtersThatMatch(eventType);
      const matching = webhooks.filter(({ events }) => events.some((filter) => filters.includes(filter)));
      byType.set(eventType, matching);
      return matching;
    },
  };
}

export type SubscriberCache = {
  /** Those of each account that is there, as they are or as they once were. */
  get(accountIds: Iterable<string>): Promise<Map<string, Subscribers>>;
  /** The statement that inserts found that they have changed. */
  forget(accountId: string): void;
};

/** Webhooks remembered in one process; an account counts as one more. */
const maxRemembered = 100_000;

/**
 * Remembers accounts' webhooks. Never ask it inside a transaction: what that reads may never have been.
 */
export function createSubscriberCache(db: Queryable): SubscriberCache {
  const remembered = new LRUCache<string, Subscribers>({
    maxSize: maxRemembered,
    sizeCalculation: ({ count }) => count + 1,
  });
  return {
    async get(accountIds) {
      const found = new Map<string, Subscribers>();
      const missing: string[] = [];
      for (const accountId of accountIds) {
        const subscribers = remembered.get(accountId);
        if (subscribers) found.set(accountId, subscribers);
        else missing.push(accountId);
      }
      if (missing.length === 0) return found;
      for (const [accountId, subscribers] of await loadSubscribers(db, missing)) {
        remembered.set(accountId, subscribers);
        found.set(accountId, subscribers);
      }
      return found;
    },
    forget: (accountId) => void remembered.delete(accountId),
  };
}
