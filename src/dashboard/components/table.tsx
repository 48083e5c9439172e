import { memo, type ReactNode } from 'react';
import { useRowWindow } from './row-window.ts';

export type Column<Row> = {
  name: string;
  /** The name is for screen readers only. */
  isNameHidden?: boolean;
  /** In place of the name. */
  head?: ReactNode;
  /** Its cells name their rows. */
  isRowHeader?: boolean;
  /** Hidden on a narrow screen. */
  isWideOnly?: boolean;
  /** Of the cells. */
  className?: string;
  cell: (row: Row, index: number) => ReactNode;
};

type Props<Row> = {
  caption: string;
  className?: string;
  columns: readonly Column<Row>[];
  /** Undefined while loading. */
  rows: readonly Row[] | undefined;
  keyOf: (row: Row) => string;
  /** The number of placeholder rows while loading. */
  skeletonRows?: number;
  /** Nothing in it takes the focus, so that the table itself does: it can be scrolled with the keyboard. */
  isFocusable?: boolean;
};

export function Table<Row>(props: Props<Row>) {
  const { caption, className, columns, rows, keyOf, skeletonRows = 0, isFocusable = false } = props;
  const region = isFocusable ? { tabIndex: 0, role: 'region', 'aria-label': caption } : {};
  return (
    <div className="table-wrap" {...region}>
      <table className={className} aria-busy={rows === undefined}>
        <Head caption={caption} columns={columns} />
        <tbody>
          {rows?.map((row, index) => (
            <tr key={keyOf(row)}>
              <Cells columns={columns} row={row} index={index} />
            </tr>
          )) ?? <SkeletonRows rows={skeletonRows} columns={columns.length} />}
        </tbody>
      </table>
    </div>
  );
}

type WindowedProps<Row> = Props<Row> & {
  /** The rows belong to the previous filters. */
  isStale: boolean;
  hasMore: boolean;
  /** The key of the row that is open beside the table. */
  currentKey?: string | undefined;
};

/** A table for thousands of rows: spacers replace the rows far from the viewport. */
export function WindowedTable<Row>(props: WindowedProps<Row>) {
  const { caption, className = '', columns, rows, keyOf, skeletonRows = 0 } = props;
  const { isStale, hasMore, currentKey } = props;
  const { body, first, end, heightBefore, heightAfter } = useRowWindow(rows?.length ?? 0);
  return (
    <div className="table-wrap" data-stale={isStale}>
      <table
        className={`rows-table ${className}`}
        aria-busy={rows === undefined}
        aria-rowcount={rows && !hasMore ? rows.length + 1 : -1}
      >
        <Head caption={caption} columns={columns} rowIndex={1} />
        <tbody ref={body}>
          {!rows && <SkeletonRows rows={skeletonRows} columns={columns.length} />}
          <Spacer height={heightBefore} />
          {rows?.slice(first, end).map((row, index) => (
            <tr
              key={keyOf(row)}
              data-row
              data-key={keyOf(row)}
              aria-rowindex={first + index + 2}
              aria-current={keyOf(row) === currentKey || undefined}
            >
              <Cells columns={columns} row={row} index={first + index} />
            </tr>
          ))}
          <Spacer height={heightAfter} />
        </tbody>
      </table>
    </div>
  );
}

type HeadProps<Row> = { caption: string; columns: readonly Column<Row>[]; rowIndex?: number };

function Head<Row>({ caption, columns, rowIndex }: HeadProps<Row>) {
  return (
    <>
      <caption className="visually-hidden">{caption}</caption>
      <thead>
        <tr aria-rowindex={rowIndex}>
          {columns.map(({ name, head, isNameHidden, isWideOnly }) => (
            <th key={name} scope="col" className={isWideOnly ? 'wide-only' : undefined}>
              {head ?? (isNameHidden ? <span className="visually-hidden">{name}</span> : name)}
            </th>
          ))}
        </tr>
      </thead>
    </>
  );
}

type CellsProps<Row> = { columns: readonly Column<Row>[]; row: Row; index: number };

/** Rendered again only when the row or its columns change. */
const Cells = memo(function Cells<Row>({ columns, row, index }: CellsProps<Row>) {
  return columns.map(({ name, isRowHeader, isWideOnly, className = '', cell }) => {
    const Cell = isRowHeader ? 'th' : 'td';
    const classes = isWideOnly ? `wide-only ${className}` : className;
    return (
      <Cell key={name} scope={isRowHeader ? 'row' : undefined} className={classes || undefined}>
        {cell(row, index)}
      </Cell>
    );
  });
}) as <Row>(props: CellsProps<Row>) => ReactNode;

function SkeletonRows({ rows, columns }: { rows: number; columns: number }) {
  return Array.from({ length: rows }, (_, row) => (
    <tr key={row} className="skeleton-row" aria-hidden="true">
      {Array.from({ length: columns }, (_, column) => (
        <td key={column}>
          <span className="skeleton">&nbsp;</span>
        </td>
      ))}
    </tr>
  ));
}

function Spacer({ height }: { height: number }) {
  return height > 0 && <tr aria-hidden="true" style={{ height }} />;
}
