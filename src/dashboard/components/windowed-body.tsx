import type { ReactNode } from 'react';
import { useRowWindow } from './row-window.ts';

type Props<Row> = {
  rows: readonly Row[];
  /** Renders a `tr` with `data-row` and `aria-rowindex` (the header is row 1). */
  children: (row: Row, rowIndex: number) => ReactNode;
};

/** A table body for thousands of rows: spacers replace the rows far from the viewport. */
export function WindowedBody<Row>({ rows, children }: Props<Row>) {
  const { body, first, end, heightBefore, heightAfter } = useRowWindow(rows.length);
  return (
    <tbody ref={body}>
      <Spacer height={heightBefore} />
      {rows.slice(first, end).map((row, index) => children(row, first + index + 2))}
      <Spacer height={heightAfter} />
    </tbody>
  );
}

function Spacer({ height }: { height: number }) {
  return height > 0 && <tr aria-hidden="true" style={{ height }} />;
}
