import { useContext, useEffect, useRef } from 'react';
import type { DeliverySummary } from '../../../contracts/delivery.ts';
import { isSelected } from '../../log/selection.ts';
import { LogRowsContext } from './log-rows-context.ts';

export const selectAllId = 'select-all-rows';

/** In the table's head. */
export function SelectLoaded() {
  const { areAllLoaded, toggleLoaded } = useContext(LogRowsContext);
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (box.current) box.current.indeterminate = areAllLoaded === 'some';
  }, [areAllLoaded]);
  return (
    <input
      ref={box}
      id={selectAllId}
      type="checkbox"
      aria-label="Select all loaded deliveries"
      checked={areAllLoaded === 'all'}
      onChange={({ target }) => toggleLoaded(target.checked)}
    />
  );
}

export function SelectRow({ delivery: { id, event } }: { delivery: DeliverySummary }) {
  const { selection, toggle } = useContext(LogRowsContext);
  return (
    <label className="row-control row-select">
      <input
        type="checkbox"
        checked={isSelected(selection, id)}
        onChange={({ target, nativeEvent }) =>
          toggle(id, target.checked, nativeEvent instanceof MouseEvent && nativeEvent.shiftKey)
        }
      />
      <span className="visually-hidden">
        Select {event} {id}
      </span>
    </label>
  );
}

/** Where a retry cannot work, the button stays reachable and says why. */
export function RetryRow({ delivery }: { delivery: DeliverySummary }) {
  const { retry, reasonOf } = useContext(LogRowsContext);
  const reason = reasonOf(delivery);
  return (
    <button
      type="button"
      className="icon-button row-control row-retry"
      aria-label="Retry"
      aria-disabled={reason !== undefined}
      title={reason ?? 'Retry'}
      onClick={() => retry(delivery)}
    >
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        <path d="M13 8a5 5 0 1 1-1.5-3.6M13 1.8v3.4H9.6" />
      </svg>
    </button>
  );
}
