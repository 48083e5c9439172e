import { useEffect, useRef } from 'react';

type Props = { hasMore: boolean; isLoading: boolean; loadMore: () => void; total: string };

/** The end of a list: loads older rows when it is scrolled into view, or with its button. */
export function LoadMore({ hasMore, isLoading, loadMore, total }: Props) {
  const button = useRef<HTMLButtonElement>(null);
  const latest = useRef(loadMore);
  useEffect(() => {
    latest.current = loadMore;
  });
  useEffect(() => {
    if (!button.current || isLoading) return;
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
        <button
          type="button"
          ref={button}
          className="button"
          aria-disabled={isLoading}
          onClick={() => latest.current()}
        >
          {isLoading ? 'Loading …' : 'Load more'}
        </button>
      ) : (
        <span className="muted small">{total}</span>
      )}
    </p>
  );
}
