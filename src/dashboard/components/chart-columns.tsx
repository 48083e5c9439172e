import { Link } from '@tanstack/react-router';
import { useRef, useState, type KeyboardEvent, type ReactNode } from 'react';
import type { LogSearch } from '../log-search.ts';

export type ChartColumn = {
  key: string;
  /** For screen readers: time and values. */
  label: string;
  /** Of the log that the column opens. */
  search: LogSearch;
  /** Shown beside the column while it is pointed at or focused. */
  details: ReactNode;
};

/** A link per column of a chart, above the drawing. One of them is in the order of Tab; arrow keys go to the others. */
export function ChartColumns({ title, columns }: { title: string; columns: readonly ChartColumn[] }) {
  const group = useRef<HTMLDivElement>(null);
  const [focused, setFocused] = useState<string>();
  const [shown, setShown] = useState<string>();
  const stop = Math.max(
    columns.findIndex(({ key }) => key === focused),
    focused === undefined ? columns.length - 1 : 0,
  );
  const shownIndex = columns.findIndex(({ key }) => key === shown);

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === 'Escape') setShown(undefined);
    const next = { ArrowLeft: stop - 1, ArrowRight: stop + 1, Home: 0, End: columns.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const index = Math.min(Math.max(next, 0), columns.length - 1);
    group.current?.querySelectorAll('a')[index]?.focus();
  }

  return (
    <div
      ref={group}
      className="chart-columns"
      role="toolbar"
      tabIndex={-1}
      aria-label={`${title}: a link to the log for each bar`}
      onKeyDown={onKeyDown}
      onPointerLeave={() => setShown(undefined)}
    >
      {columns.map(({ key, label, search }, index) => (
        <Link
          key={key}
          to="/log"
          search={search}
          aria-label={label}
          tabIndex={index === stop ? 0 : -1}
          draggable={false}
          onPointerEnter={() => setShown(key)}
          onFocus={() => {
            setFocused(key);
            setShown(key);
          }}
          onBlur={() => setShown(undefined)}
        />
      ))}
      {shownIndex >= 0 && <Details columns={columns} index={shownIndex} />}
    </div>
  );
}

/** Aligned so that it stays within the chart. */
function Details({ columns, index }: { columns: readonly ChartColumn[]; index: number }) {
  const share = (index + 0.5) / columns.length;
  return (
    <div
      className="chart-details"
      aria-hidden="true"
      style={{ left: `${share * 100}%`, translate: `${share * -100}% 0` }}
    >
      {columns[index]?.details}
    </div>
  );
}
