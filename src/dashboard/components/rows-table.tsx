import type { ReactNode } from 'react';
import { SkeletonRows } from './skeleton-rows.tsx';
import { WindowedBody } from './windowed-body.tsx';

type Props<Row> = {
  caption: string;
  columns: readonly string[];
  className: string;
  /** Undefined while loading. */
  rows: readonly Row[] | undefined;
  /** The rows belong to the previous filters. */
  isStale?: boolean;
  hasMore: boolean;
  /** Renders a `tr` for `WindowedBody`. */
  children: (row: Row, rowIndex: number) => ReactNode;
};

/** A table for any number of rows. */
export function RowsTable<Row>(props: Props<Row>) {
  const { caption, columns, className, rows, isStale = false, hasMore, children } = props;
  return (
    <div className="table-wrap" data-stale={isStale}>
      <table
        className={`rows-table ${className}`}
        aria-busy={rows === undefined}
        aria-rowcount={rows && !hasMore ? rows.length + 1 : -1}
      >
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        {rows ? (
          <WindowedBody rows={rows}>{children}</WindowedBody>
        ) : (
          <tbody>
            <SkeletonRows rows={12} columns={columns.length} />
          </tbody>
        )}
      </table>
    </div>
  );
}
