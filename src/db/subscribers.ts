import { LRUCache } from 'lru-cache';
import type { WebhookFilter } from '../contracts/filter.ts';
import type { Ordering } from '../contracts/webhook-policy.ts';
import { compileFilter, type FilterCheck } from '../domain/filter.ts';
import { filtersThatMatch } from '../domain/subscription.ts';
import type { Queryable } from './pool.ts';

export type Subscriber = {
  id: string;
  events: string[];
  active: boolean;
  filter: FilterCheck | null;
  /** It sends e-mails, which only events of the service itself have a text for. */
  isEmail: boolean;
  /** Of its new deliveries, in seconds; null: the setting. */
  schedule: number[] | null;
  /** Whether its first attempts may share a workflow with others. */
  mayShare: boolean;
  ordering: Ordering | null;
};

/** An account's webhooks as they were at that version. */
export type Subscribers = {
  version: string;
  /** How much of the cache it takes. */
  size: number;
  /** Those that get events of that type, in the order of their ids. */
  of(eventType: string): readonly Subscriber[];
  /** Those of these ids, in the order of their ids. */
  named(ids: readonly string[]): readonly Subscriber[];
  /** Which of these ids an event may not name. */
  refused(ids: readonly string[]): RefusedWebhook[];
};

/** `index`: among the ids that an event names. */
export type RefusedWebhook = { index: number; because: 'unknown' | 'email' };

/** `id` null, like all columns after it: the account has no webhook. */
type Row = Omit<Subscriber, 'id' | 'filter'> & {
  accountId: string;
  version: string;
  id: string | null;
  filter: WebhookFilter | null;
};

/** Reads accounts' webhooks together with their versions; an account that does not exist or is being deleted is left out. */
export async function loadSubscribers(db: Queryable, accountIds: readonly string[]) {
  const { rows } = await db.query<Row>({
    name: 'load-subscribers',
    text: `select a.id as "accountId", a.webhooks_version as version, w.id, w.events, w.active, w.filter, w.format = 'email' as "isEmail",
        w.schedule, w.may_share as "mayShare", w.ordering
      from accounts a left join webhooks w on w.account_id = a.id and w.deleted_at is null
      where a.id = any($1) and a.deletion_requested_at is null order by w.id`,
    values: [accountIds],
  });
  const byAccount = Map.groupBy(rows, ({ accountId }) => accountId);
  return new Map([...byAccount].map(([accountId, ofAccount]) => [accountId, toSubscribers(ofAccount)]));
}

function toSubscribers(rows: readonly Row[]): Subscribers {
  const webhooks = rows.flatMap(({ accountId: _account, version: _version, id, filter, ...webhook }) =>
    id === null ? [] : [{ ...webhook, id, filter: filter && compileFilter(filter) }],
  );
  // There are few types, so the webhooks of each are found once.
  const byType = new Map<string, readonly Subscriber[]>();
  const byId = new Map(webhooks.map((webhook) => [webhook.id, webhook]));
  return {
    version: rows[0]?.version ?? '',
    size: rows.reduce((sum, { filter }) => sum + sizeOf(filter), 1),
    of(eventType) {
      const known = byType.get(eventType);
      if (known) return known;
      const filters = filtersThatMatch(eventType);
      const matching = webhooks.filter(({ events }) => events.some((filter) => filters.includes(filter)));
      byType.set(eventType, matching);
      return matching;
    },
    named: (ids) => ids.toSorted().flatMap((id) => byId.get(id) ?? []),
    refused: (ids) =>
      ids.flatMap((id, index): RefusedWebhook[] => {
        const webhook = byId.get(id);
        if (webhook?.isEmail === false) return [];
        return [{ index, because: webhook ? 'email' : 'unknown' }];
      }),
  };
}

/** A webhook, with each KiB of its filter. */
const sizeOf = (filter: WebhookFilter | null): number =>
  1 + (filter === null ? 0 : Math.ceil(JSON.stringify(filter).length / 1024));

export type SubscriberCache = ReturnType<typeof createSubscriberCache>;

/** Cached webhooks in one process; each account, and each KiB of a filter, counts as one more. */
const maxCached = 100_000;

/**
 * Caches accounts' webhooks. Never read it inside a transaction, whose changes may be rolled back.
 */
export function createSubscriberCache(db: Queryable) {
  const cached = new LRUCache<string, Subscribers>({
    maxSize: maxCached,
    sizeCalculation: ({ size }) => size,
  });
  return {
    /** Those of each account that exists; they may be outdated. */
    async get(accountIds: Iterable<string>) {
      const found = new Map<string, Subscribers>();
      const missing: string[] = [];
      for (const accountId of accountIds) {
        const subscribers = cached.get(accountId);
        if (subscribers) found.set(accountId, subscribers);
        else missing.push(accountId);
      }
      if (missing.length === 0) return found;
      for (const [accountId, subscribers] of await loadSubscribers(db, missing)) {
        cached.set(accountId, subscribers);
        found.set(accountId, subscribers);
      }
      return found;
    },
    /** For an account whose version the inserting statement found outdated. */
    forget: (accountId: string) => void cached.delete(accountId),
  };
}
