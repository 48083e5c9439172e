import { createContext } from 'react';
import type { DeliverySummary } from '../../../contracts/delivery.ts';
import { nothing, type Selection } from '../../log/selection.ts';

/** The data of the log's cells besides their row, so that a change renders these cells again, and not all rows. */
type LogRows = {
  selection: Selection;
  toggle: (id: string, isOn: boolean, isRange: boolean) => void;
  areAllLoaded: 'all' | 'some' | 'none';
  toggleLoaded: (isOn: boolean) => void;
  retry: (delivery: DeliverySummary) => void;
  reasonOf: (delivery: DeliverySummary) => string | undefined;
};

const unused = () => undefined;
export const LogRowsContext = createContext<LogRows>({
  selection: nothing,
  toggle: unused,
  areAllLoaded: 'none',
  toggleLoaded: unused,
  retry: unused,
  reasonOf: unused,
});
