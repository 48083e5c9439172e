import { useState } from 'react';
import type { DeliverySummary } from '../../../contracts/delivery.ts';
import type { LogSearch } from '../../log-search.ts';
import { idsBetween, nothing, selectAll, setRows, type Selection } from '../../log/selection.ts';

/** The selected rows of the log. Other filters select nothing. */
export function useSelection(search: LogSearch, rows: readonly DeliverySummary[]) {
  const key = JSON.stringify(search);
  const [state, setState] = useState<{ key: string; selection: Selection; last: string | null }>({
    key,
    selection: nothing,
    last: null,
  });
  const selection = state.key === key ? state.selection : nothing;
  const change = (next: Selection, last: string | null) => setState({ key, selection: next, last });
  return {
    selection,
    /** `isRange`: also the rows between it and the one before. */
    toggle(id: string, isOn: boolean, isRange: boolean) {
      const ids = isRange && state.last !== null ? idsBetween(rows, state.last, id) : [id];
      change(setRows(selection, rows, ids, isOn), id);
    },
    toggleLoaded(isOn: boolean) {
      const ids = rows.map(({ id }) => id);
      change(isOn ? setRows(selection, rows, ids, true) : nothing, null);
    },
    selectAll: () => change(selectAll(search, rows, Date.now()), null),
    clear: () => change(nothing, null),
  };
}
export type LogSelection = ReturnType<typeof useSelection>;
