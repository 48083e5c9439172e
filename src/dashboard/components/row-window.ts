import { useCallback, useEffect, useRef, useState, type RefObject } from 'react';

/** Rows rendered beyond the viewport, and the step in which the window moves. */
const overscan = 20;

type RowWindow = {
  body: RefObject<HTMLTableSectionElement | null>;
  first: number;
  end: number;
  heightBefore: number;
  heightAfter: number;
};

/**
 * The range of a table's rows that is near the viewport, for virtual scrolling. All rows have the height of the first row
 * with `data-row`.
 */
export function useRowWindow(count: number): RowWindow {
  const body = useRef<HTMLTableSectionElement>(null);
  const [{ first, size, rowHeight }, setWindow] = useState({ first: 0, size: 60, rowHeight: 45 });
  const measure = useCallback(() => {
    if (!body.current) return;
    const row = body.current.querySelector('[data-row]');
    const height = row?.getBoundingClientRect().height ?? 45;
    // No layout: the page is being left.
    if (height === 0) return;
    const above = Math.max(0, -body.current.getBoundingClientRect().top);
    const next = {
      first: Math.max(0, Math.floor(above / height / overscan) * overscan - overscan),
      size: Math.ceil(innerHeight / height / overscan) * overscan + 3 * overscan,
      rowHeight: height,
    };
    setWindow((now) =>
      now.first === next.first && now.size === next.size && now.rowHeight === next.rowHeight ? now : next,
    );
  }, []);
  // After each render: rows and the content above them change.
  useEffect(measure);
  useEffect(() => {
    addEventListener('scroll', measure, { passive: true });
    addEventListener('resize', measure);
    return () => {
      removeEventListener('scroll', measure);
      removeEventListener('resize', measure);
    };
  }, [measure]);
  const start = Math.min(first, Math.max(0, count - size));
  const end = Math.min(count, start + size);
  return { body, first: start, end, heightBefore: start * rowHeight, heightAfter: (count - end) * rowHeight };
}
