import { useEffect, useRef } from 'react';

type Props = { hasMore: boolean; isLoading: boolean; loadMore: () => void; isLast: string };

/** The end of a list: older rows come when it is reached, or by its button. */
export function LoadMore({ hasMore, isLoading, loadMore, isLast }: Props) {
  const button = useRef<HTMLButtonElement>(null);
  const latest = useRef(loadMore);
  useEffect(() => {
    latest.current = loadMore;
  });
  useEffect(() => {
    if (!button.current || isLoading) return;
    const observer = new IntersectionObserver(
      (entries) => {
        // Only who scrolls asks for more: a first page that fills no screen loads nothing by itself.
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
        <span className="muted small">{isLast}</span>
      )}
    </p>
  );
}
