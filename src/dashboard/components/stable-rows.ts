import { useEffect, useState } from 'react';

/**
 * Hides rows that arrive while the page is scrolled down, so that the visible rows do not move.
 *
 * @param listKey identifies the list; a change shows all rows again
 */
export function useStableRows<Row>(
  rows: readonly Row[] | undefined,
  orderOf: (row: Row) => string,
  listKey: string,
): { shown: readonly Row[] | undefined; newCount: number; showNew: () => void } {
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
  const newCount =
    isScrolled && isFrozen ? (rows?.findIndex((row) => orderOf(row) <= frozen.newest) ?? 0) : 0;
  return {
    shown: newCount > 0 ? rows?.slice(newCount) : rows,
    newCount: Math.max(0, newCount),
    showNew: () => scrollTo({ top: 0 }),
  };
}
