import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { deliveryActions } from '../../../contracts/operation.ts';
import type { DeliverySummary } from '../../../contracts/delivery.ts';
import { Button } from '../../components/button.tsx';
import { formatCount } from '../../format.ts';
import { deliveriesText } from '../../log/bulk-text.ts';
import { countOf } from '../../log/counts.ts';
import { targetOf, toSelectedQuery } from '../../log/selection.ts';
import type { LogSearch } from '../../log-search.ts';
import { countsQuery, webhooksQuery } from '../../queries.ts';
import { api } from '../../session-api.ts';
import { BulkAction } from './bulk-action.tsx';
import { selectAllId } from './row-controls.tsx';
import { useExport } from './use-export.ts';
import type { LogSelection } from './use-selection.ts';

type Props = {
  search: LogSearch;
  rows: readonly DeliverySummary[];
  hasMore: boolean;
  selected: LogSelection;
};

/** The actions on the selected deliveries. */
export function SelectionBar({ search, rows, hasMore, selected }: Props) {
  const { selection, selectAll, clear } = selected;
  const { data: counts } = useQuery(countsQuery(search));
  const matching = counts && countOf(counts, search.status);
  useEffect(
    () => () => {
      // The button that had the focus is gone with the bar.
      if (document.activeElement === document.body)
        document.getElementById(selectAllId)?.focus({ preventScroll: true });
    },
    [],
  );
  const chosen = selection.kind === 'all' ? [] : rows.filter(({ id }) => selection.ids.has(id));
  const mayHaveMore = hasMore || chosen.length < rows.length;
  return (
    <section className="selection-bar" aria-label="Selected deliveries">
      <p className="selection-count" aria-live="polite">
        {selection.kind === 'all' ? `All ${matching ?? ''} that match` : formatCount(chosen.length)} selected
      </p>
      {selection.kind === 'rows' && matching !== undefined && mayHaveMore && (
        <Button look="small" onClick={selectAll}>
          Select all {matching} that match
        </Button>
      )}
      <div className="row selection-actions">
        {deliveryActions.map((action) => (
          <BulkAction
            key={action}
            action={action}
            target={targetOf(action, selection, rows, search)}
            onDone={clear}
          />
        ))}
        <ExportButtons
          rowsOf={() =>
            selection.kind === 'all' ? api.exportDeliveries(toSelectedQuery(search, selection)) : chosen
          }
        />
      </div>
      <Button look="small" onClick={clear}>
        Clear selection
      </Button>
    </section>
  );
}

type ExportProps = { rowsOf: () => AsyncIterable<DeliverySummary> | Iterable<DeliverySummary> };

function ExportButtons({ rowsOf }: ExportProps) {
  const { data: webhooks = [] } = useQuery(webhooksQuery);
  const { count, start, stop } = useExport(webhooks);
  if (count !== null)
    return <Button onClick={stop}>Stop export{count > 0 && ` (${deliveriesText(count)} so far)`}</Button>;
  return (
    <>
      <Button onClick={() => void start('csv', rowsOf())}>Export CSV</Button>
      <Button onClick={() => void start('ndjson', rowsOf())}>Export NDJSON</Button>
    </>
  );
}
