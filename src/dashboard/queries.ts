import { QueryClient, queryOptions } from '@tanstack/react-query';
import { FltrWebhooksError } from '../client/request.ts';
import { everyItem } from '../client/fltr-webhooks.ts';
import { api, readSession } from './session-api.ts';

/** An answer that says no is an answer: only what was not answered is asked for again. */
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

/** How often what may change by itself is asked for again, while the page is looked at. */
export const liveMs = 2000;
const slowMs = 15_000;

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
/** At most 100, the limit of an account. */
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
export const statsQuery = queryOptions({
  queryKey: ['stats'],
  queryFn: () => api.getStats(),
  refetchInterval: slowMs,
});
export const webhookStatsQuery = (id: string) =>
  queryOptions({
    queryKey: ['stats', id],
    queryFn: () => api.getWebhookStats(id),
    refetchInterval: slowMs,
  });
export const eventTypesQuery = queryOptions({
  queryKey: ['event-types'],
  queryFn: () => api.listEventTypes(),
  staleTime: Infinity,
});
export const settingsQuery = queryOptions({
  queryKey: ['settings'],
  queryFn: () => api.getSettings(),
  staleTime: 60_000,
});
/** At most 100 valid ones, and those that were revoked. */
export const keysQuery = queryOptions({
  queryKey: ['keys'],
  queryFn: () => all(everyItem((page) => api.listKeys({ limit: 100, ...page }))),
});
