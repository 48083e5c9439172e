import { useCallback, useEffect, useRef, useState, type RefObject } from 'react';

/** Rows beyond the screen's edge that are there already, and the steps in which the window moves. */
const spare = 20;

type RowWindow = {
  body: RefObject<HTMLTableSectionElement | null>;
  first: number;
  end: number;
  heightBefore: number;
  heightAfter: number;
};

/**
 * Which of a table's rows, all of one height, are near the screen: only these need to be in the page. The height is that
 * of a row with `data-row`, so style sheets may change it.
 */
export function useRowWindow(count: number): RowWindow {
  const body = useRef<HTMLTableSectionElement>(null);
  const [{ first, size, rowHeight }, setWindow] = useState({ first: 0, size: 60, rowHeight: 45 });
  const look = useCallback(() => {
    if (!body.current) return;
    const row = body.current.querySelector('[data-row]');
    const height = row?.getBoundingClientRect().height ?? 45;
    // Not laid out: in a page that is just left.
    if (height === 0) return;
    const above = Math.max(0, -body.current.getBoundingClientRect().top);
    const next = {
      first: Math.max(0, Math.floor(above / height / spare) * spare - spare),
      size: Math.ceil(innerHeight / height / spare) * spare + 3 * spare,
      rowHeight: height,
    };
    setWindow((now) =>
      now.first === next.first && now.size === next.size && now.rowHeight === next.rowHeight ? now : next,
    );
  }, []);
  // Rows come and go, and so does what stands above them.
  useEffect(look);
  useEffect(() => {
    addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look);
    return () => {
      removeEventListener('scroll', look);
      removeEventListener('resize', look);
    };
  }, [look]);
  const start = Math.min(first, Math.max(0, count - size));
  const end = Math.min(count, start + size);
  return { body, first: start, end, heightBefore: start * rowHeight, heightAfter: (count - end) * rowHeight };
}
