import { infiniteQueryOptions, keepPreviousData, QueryClient, queryOptions } from '@tanstack/react-query';
import { FltrWebhooksError } from '../client/request.ts';
import { everyItem } from '../client/pages.ts';
import type { DeliverySummary } from '../contracts/delivery.ts';
import type { StatsRange } from '../contracts/stats-ranges.ts';
import { toCountQuery, type LogSearch } from './log-search.ts';
import { pollEvery } from './poll-every.ts';
import { isPortal } from './portal.ts';
import { api, readSession } from './session-api.ts';

/** Only network errors and 5xx responses are retried: a refusal would be repeated. */
const mayRetry = (count: number, error: Error): boolean =>
  count < 2 && (!(error instanceof FltrWebhooksError) || error.status === 0 || error.status >= 500);

export function createQueryClient(onSignedOut: () => void): QueryClient {
  const client = new QueryClient({
    defaultOptions: { queries: { retry: mayRetry, staleTime: 2000, refetchOnWindowFocus: true } },
  });
  client.getQueryCache().subscribe(({ type, query }) => {
    const { error } = query.state;
    if (type === 'updated' && error instanceof FltrWebhooksError && error.status === 401) onSignedOut();
  });
  return client;
}

/** Refetch interval of data that changes by itself, while the page is visible and no stream says what has changed. */
export const liveMs = 2000;
const slowMs = 15_000;
/** Of counts, which cost more than a page of a list. */
const countMs = 5000;

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: readSession,
  retry: false,
  staleTime: 60_000,
});
/** All pages: an account has at most 100 webhooks. */
export const webhooksQuery = queryOptions({
  queryKey: ['webhooks'],
  queryFn: () => all(everyItem((page) => api.listWebhooks({ limit: 100, ...page }))),
  refetchInterval: slowMs,
});
export const webhookQuery = (id: string) =>
  queryOptions({
    queryKey: ['webhooks', id],
    queryFn: () => api.getWebhook(id),
    refetchInterval: slowMs,
  });
/** Of a webhook that signs with `v1a`. A rotation changes it. */
export const webhookPublicKeyQuery = (id: string) =>
  queryOptions({
    queryKey: ['webhooks', id, 'public-key'],
    queryFn: () => api.getWebhookPublicKey(id),
    staleTime: 60_000,
  });
/** Of all webhooks. While another range loads, the previous one stays. */
export const statsQuery = (range: StatsRange) =>
  queryOptions({
    queryKey: ['stats', range],
    queryFn: () => api.getStats({ range }),
    placeholderData: keepPreviousData,
    refetchInterval: slowMs,
  });
export const webhookStatsQuery = (id: string, range: StatsRange) =>
  queryOptions({
    queryKey: ['stats', range, id],
    queryFn: () => api.getWebhookStats(id, { range }),
    placeholderData: keepPreviousData,
    refetchInterval: slowMs,
  });
/** The newest delivery of an alert. */
export const lastSentQuery = (webhookId: string) =>
  queryOptions({
    queryKey: ['deliveries', 'last-sent', webhookId],
    queryFn: () => api.listDeliveries({ webhook_id: webhookId, limit: 1 }),
    refetchInterval: slowMs,
  });
export const eventTypesQuery = queryOptions({
  queryKey: ['event-types'],
  queryFn: () => api.listEventTypes(),
  staleTime: 60_000,
});
export const eventTypeQuery = (name: string) =>
  queryOptions({
    queryKey: ['event-types', 'one', name],
    queryFn: () => api.getEventType(name),
    staleTime: 60_000,
  });
export const eventTypeStatsQuery = queryOptions({
  queryKey: ['stats', 'event-types'],
  queryFn: () => api.getEventTypeStats(),
  refetchInterval: slowMs,
});
/** For operators. `q`: how the id or the name begins; empty: all. */
export const accountsQuery = (q: string) =>
  infiniteQueryOptions({
    queryKey: ['accounts', 'list', q],
    queryFn: ({ pageParam: cursor }) =>
      api.listAccounts({
        limit: 100,
        ...(q === '' ? {} : { q }),
        ...(cursor === null ? {} : { cursor }),
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  });
/** Refetched while the account is being deleted, until it no longer exists. */
export const accountQuery = (id: string) =>
  queryOptions({
    queryKey: ['accounts', 'one', id],
    queryFn: () => api.getAccount(id),
    refetchInterval: ({ state }) =>
      state.error === null && state.data && state.data.deletion !== null ? liveMs : slowMs,
  });
export const settingsQuery = queryOptions({
  queryKey: ['settings'],
  queryFn: () => api.getSettings(),
  // They are the operator's: the portal's pages do without.
  enabled: !isPortal,
  staleTime: 60_000,
});
/** All pages, revoked keys included. */
export const keysQuery = queryOptions({
  queryKey: ['keys'],
  queryFn: () => all(everyItem((page) => api.listKeys({ limit: 100, ...page }))),
  refetchInterval: slowMs,
});

/** The newest delivery, if there is one; refetched until it has ended. */
export const latestDeliveryQuery = queryOptions({
  queryKey: ['deliveries', 'latest'],
  queryFn: async () => (await api.listDeliveries({ limit: 1 })).data,
  refetchInterval: ({ state: { data } }) => (data?.every(hasEnded) && data.length > 0 ? false : liveMs),
});

/** The results of the text before stay while those of a new one are loaded. */
export const searchQuery = (text: string) =>
  queryOptions({
    queryKey: ['search', text],
    queryFn: async () => (await api.search(text)).data,
    enabled: text !== '',
    placeholderData: keepPreviousData,
  });

export const latestDeliveriesQuery = (webhookId: string) =>
  queryOptions({
    queryKey: ['deliveries', 'latest', webhookId],
    queryFn: () => api.listDeliveries({ webhook_id: webhookId, limit: 10 }),
    refetchInterval: pollEvery(liveMs),
  });

/** Those that hold up others in their order. */
export const blockingDeliveriesQuery = (webhookId: string) =>
  queryOptions({
    queryKey: ['deliveries', 'blocking', webhookId],
    queryFn: () => api.listDeliveries({ webhook_id: webhookId, blocks_line: true, limit: 10 }),
    refetchInterval: pollEvery(liveMs),
  });

/** Refetched until the delivery has ended, and blocks no other. */
export const deliveryQuery = (id: string) =>
  queryOptions({
    queryKey: ['deliveries', 'one', id],
    queryFn: () => api.getDelivery(id),
    refetchInterval: ({ state }) =>
      state.data && (state.data.ended_at === null || state.data.blocks_line) ? pollEvery(liveMs)() : false,
  });

/** Deliveries by status, for the tabs of the log. */
export const countsQuery = (search: LogSearch) => {
  const { status: _status, ...filters } = search;
  return queryOptions({
    queryKey: ['deliveries', 'counts', filters],
    queryFn: () => api.countDeliveries(toCountQuery(filters)),
    refetchInterval: pollEvery(countMs),
    placeholderData: keepPreviousData,
  });
};

/** Refetched until it has ended, and so have the deliveries that it acted on. */
export const operationQuery = (id: string) =>
  queryOptions({
    queryKey: ['operations', 'one', id],
    queryFn: () => api.getOperation(id),
    refetchInterval: ({ state: { data } }) =>
      data && data.ended_at !== null && !data.outcome?.waiting ? false : liveMs / 2,
  });

/** The latest ones whose filter names this webhook, recoveries included. */
export const webhookOperationsQuery = (webhookId: string) =>
  queryOptions({
    queryKey: ['operations', 'of-webhook', webhookId],
    queryFn: () => api.listOperations({ webhook_id: webhookId, limit: 6 }),
    refetchInterval: slowMs,
  });

const hasEnded = ({ status }: Pick<DeliverySummary, 'status'>): boolean =>
  status === 'delivered' || status === 'failed' || status === 'canceled';

/** Refetched until all deliveries of the event have ended. */
export const eventQuery = (id: string) =>
  queryOptions({
    queryKey: ['events', 'one', id],
    queryFn: () => api.getEvent(id),
    refetchInterval: ({ state }) =>
      state.data && !state.data.deliveries.every(hasEnded) ? pollEvery(liveMs)() : false,
  });

/** For `changes` of a submission: what shows a webhook, and what shows a delivery. */
export const webhookKeys = ['webhooks', 'stats', 'deliveries'];
export const deliveryKeys = ['deliveries', 'events'];
