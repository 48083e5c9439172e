import { useEffect, useState } from 'react';

/**
 * What came since the reader scrolled down is kept back, so that nothing moves what is being read.
 *
 * @param listKey of another list, nothing is kept back
 */
export function useKeptBack<Row>(
  rows: readonly Row[] | undefined,
  orderOf: (row: Row) => string,
  listKey: string,
): { shown: readonly Row[] | undefined; newCount: number; showNew: () => void } {
  const [isDown, setDown] = useState(() => scrollY > 0);
  const [held, setHeld] = useState<{ listKey: string; newest: string } | null>(null);
  useEffect(() => {
    const look = () => setDown(scrollY > 0);
    addEventListener('scroll', look, { passive: true });
    return () => removeEventListener('scroll', look);
  }, []);
  const [newest] = rows ?? [];
  const isHeld = held?.listKey === listKey;
  if (!isDown && held !== null) setHeld(null);
  if (isDown && !isHeld && newest !== undefined) setHeld({ listKey, newest: orderOf(newest) });
  const newCount = isDown && isHeld ? (rows?.findIndex((row) => orderOf(row) <= held.newest) ?? 0) : 0;
  return {
    // None is left of what was there: so much came that the list began anew.
    shown: newCount > 0 ? rows?.slice(newCount) : rows,
    newCount: Math.max(0, newCount),
    showNew: () => scrollTo({ top: 0 }),
  };
}
