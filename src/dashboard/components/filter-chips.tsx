import { useEffect, useRef, type ReactNode } from 'react';

export type Chip = { filter: string; name: string; value: ReactNode };

type Props = {
  chips: readonly Chip[];
  /** Whether any filter is in force, also one that has no chip. */
  isFiltered: boolean;
  /** The link to the page without this filter; null: without any. */
  renderLink: (filter: string | null, className: string, children: ReactNode) => ReactNode;
};

/** The filters in force, each with a link that removes it. */
export function FilterChips({ chips, isFiltered, renderLink }: Props) {
  const list = useRef<HTMLUListElement>(null);
  const before = useRef(chips.length);
  useEffect(() => {
    // The link that had the focus is gone.
    if (chips.length < before.current && document.activeElement === document.body) list.current?.focus();
    before.current = chips.length;
  });
  return (
    <ul ref={list} tabIndex={-1} className="chips" aria-label="Active filters">
      {chips.map(({ filter, name, value }) => (
        <li key={filter}>
          {renderLink(
            filter,
            'chip',
            <>
              <span className="visually-hidden">Remove filter </span>
              <span className="chip-text">
                {name}: {value}
              </span>
              <span aria-hidden="true">×</span>
            </>,
          )}
        </li>
      ))}
      {isFiltered && <li>{renderLink(null, 'chips-clear', 'Clear')}</li>}
    </ul>
  );
}
