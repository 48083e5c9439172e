import { useEffect, useRef, type ReactNode } from 'react';
import type { LiveList } from '../live-list.ts';
import { Button } from './button.tsx';
import { Problem } from './problem-notice.tsx';
import { WindowedTable, type Column } from './table.tsx';

type Props<Row> = {
  list: LiveList<Row>;
  caption: string;
  className: string;
  columns: readonly Column<Row>[];
  currentKey?: string | undefined;
  /** In place of the table if there are no rows. */
  empty: ReactNode;
};

/** A live list as a table, to which more rows are loaded. */
export function LiveRows<Row extends { id: string }>({ list, empty, ...table }: Props<Row>) {
  const { rows, newCount, isStale, hasMore } = list;
  return (
    <>
      <Problem error={list.error} />
      {newCount > 0 && (
        <button type="button" className="button button-primary new-rows" onClick={() => scrollTo({ top: 0 })}>
          {newCount} new
        </button>
      )}
      {rows?.length === 0 && !isStale && !hasMore ? (
        empty
      ) : (
        <>
          <WindowedTable
            {...table}
            rows={rows}
            keyOf={({ id }) => id}
            skeletonRows={12}
            isStale={isStale}
            hasMore={hasMore}
          />
          {rows && <ListEnd list={list} total={rows.length} />}
        </>
      )}
    </>
  );
}

type EndProps = { list: Pick<LiveList<never>, 'hasMore' | 'isLoadingMore' | 'loadMore'>; total: number };

/** The end of a list: loads older rows when it is scrolled into view, or with its button. */
function ListEnd({ list: { hasMore, isLoadingMore, loadMore }, total }: EndProps) {
  const button = useRef<HTMLButtonElement>(null);
  const latest = useRef(loadMore);
  useEffect(() => {
    latest.current = loadMore;
  });
  useEffect(() => {
    if (!button.current || isLoadingMore) return;
    const observer = new IntersectionObserver(
      (entries) => {
        // Only after scrolling: a first page that does not fill the screen loads nothing by itself.
        if (scrollY > 0 && entries.some(({ isIntersecting }) => isIntersecting)) latest.current();
      },
      { rootMargin: '600px' },
    );
    observer.observe(button.current);
    return () => observer.disconnect();
  });
  return (
    <p className="list-end">
      {hasMore ? (
        <Button ref={button} aria-disabled={isLoadingMore} onClick={loadMore}>
          {isLoadingMore ? 'Loading …' : 'Load more'}
        </Button>
      ) : (
        <span className="muted small">{total} in total</span>
      )}
    </p>
  );
}
