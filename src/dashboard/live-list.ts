import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import type { Page } from '../client/pages.ts';
import { pollEvery } from './poll-every.ts';
import { liveMs } from './queries.ts';

type Loaded<Row> = { rows: Row[]; nextCursor: string | null };
type List<Row> = (page: { limit: number; cursor?: string }) => Promise<Page<Row>>;

type Options<Row> = {
  queryKey: readonly unknown[];
  list: List<Row>;
  /** The sort key; the list is in descending order. */
  orderOf: (row: Row) => string;
};
export type LiveList<Row> = ReturnType<typeof useLiveList<Row>>;

const firstPageSize = 50;
const pageSize = 100;
/** Pages read to catch up with new rows. If there are more, the list starts over. */
const maxPagesToCatchUp = 10;

/** A list, newest first. The first page is refetched; older pages stay as they were loaded. */
export function useLiveList<Row>({ queryKey, list, orderOf }: Options<Row>) {
  const [isLive, setLive] = useState(true);
  const client = useQueryClient();
  const query = useQuery({
    queryKey,
    async queryFn() {
      const known = () => client.getQueryData<Loaded<Row>>(queryKey);
      const [rows, nextCursor] = await catchUp(list, known()?.rows[0], orderOf);
      return mergeNewest(known(), { rows, nextCursor }, orderOf);
    },
    refetchInterval: isLive ? pollEvery(liveMs) : false,
    meta: { isLive },
    refetchOnWindowFocus: isLive,
    placeholderData: keepPreviousData,
  });
  const more = useMutation({
    mutationFn: (cursor: string) => list({ limit: pageSize, cursor }),
    onSuccess(page, cursor) {
      client.setQueryData<Loaded<Row>>(queryKey, (known) =>
        known?.nextCursor === cursor
          ? { rows: [...known.rows, ...page.data], nextCursor: page.next_cursor }
          : known,
      );
    },
  });
  const nextCursor = query.data?.nextCursor ?? null;
  return {
    ...useStableRows(query.data?.rows, orderOf, JSON.stringify(queryKey)),
    isLive,
    setLive(isOn: boolean): void {
      setLive(isOn);
      if (isOn) void client.invalidateQueries({ queryKey, exact: true });
    },
    error: query.error ?? more.error,
    /** The rows belong to the previous filters. */
    isStale: query.isPlaceholderData,
    hasMore: nextCursor !== null,
    isLoadingMore: more.isPending,
    loadMore() {
      if (nextCursor !== null && !more.isPending && !query.isPlaceholderData) more.mutate(nextCursor);
    },
  };
}

async function catchUp<Row>(
  list: List<Row>,
  newest: Row | undefined,
  orderOf: (row: Row) => string,
): Promise<[Row[], string | null]> {
  let page = await list({ limit: firstPageSize });
  const rows = [...page.data];
  if (newest === undefined) return [rows, page.next_cursor];
  for (let pages = 1; pages < maxPagesToCatchUp; pages += 1) {
    const oldest = rows.at(-1);
    if (oldest === undefined || page.next_cursor === null || orderOf(oldest) <= orderOf(newest)) break;
    page = await list({ limit: pageSize, cursor: page.next_cursor });
    rows.push(...page.data);
  }
  return [rows, page.next_cursor];
}

/** The newest rows, followed by the older ones that are already loaded. */
function mergeNewest<Row>(
  known: Loaded<Row> | undefined,
  now: Loaded<Row>,
  orderOf: (row: Row) => string,
): Loaded<Row> {
  const oldest = now.rows.at(-1);
  const newest = known?.rows[0];
  if (!known || !newest || !oldest || now.nextCursor === null) return now;
  if (orderOf(oldest) > orderOf(newest)) return now;
  const older = known.rows.filter((row) => orderOf(row) < orderOf(oldest));
  return older.length === 0 ? now : { rows: [...now.rows, ...older], nextCursor: known.nextCursor };
}

/**
 * Hides rows that arrive while the page is scrolled down, so that the visible rows do not move.
 *
 * @param listKey identifies the list; a change shows all rows again
 */
function useStableRows<Row>(
  rows: readonly Row[] | undefined,
  orderOf: (row: Row) => string,
  listKey: string,
): { rows: readonly Row[] | undefined; newCount: number } {
  const [isScrolled, setScrolled] = useState(() => scrollY > 0);
  const [frozen, setFrozen] = useState<{ listKey: string; newest: string } | null>(null);
  useEffect(() => {
    const onScroll = () => setScrolled(scrollY > 0);
    addEventListener('scroll', onScroll, { passive: true });
    return () => removeEventListener('scroll', onScroll);
  }, []);
  const [newest] = rows ?? [];
  const isFrozen = frozen?.listKey === listKey;
  if (!isScrolled && frozen !== null) setFrozen(null);
  if (isScrolled && !isFrozen && newest !== undefined) setFrozen({ listKey, newest: orderOf(newest) });
  if (!isScrolled || !isFrozen) return { rows, newCount: 0 };
  const newCount = Math.max(0, rows?.findIndex((row) => orderOf(row) <= frozen.newest) ?? 0);
  return { rows: rows?.slice(newCount), newCount };
}
