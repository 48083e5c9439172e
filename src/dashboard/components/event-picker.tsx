import { useQuery } from '@tanstack/react-query';
import { useId, useState } from 'react';
import { familiesOf, isCovered, operationalFilters, toggleFilter } from '../event-filters.ts';
import { eventTypesQuery } from '../queries.ts';
import { DescribedCheck } from './choices.tsx';

type Props = {
  selected: readonly string[];
  onChange: (selected: string[]) => void;
  error: string | undefined;
};

/** Selects the events of a webhook: all, a family, or single types; operational events are listed apart. */
export function EventPicker({ selected, onChange, error }: Props) {
  const id = useId();
  const { data } = useQuery(eventTypesQuery);
  const families = familiesOf(data?.data ?? []);
  // Evaluated once: deselecting the last filter must not close the list.
  const [isOpenInitially] = useState(() => selected.some((filter) => filter in operationalFilters));
  const [initial] = useState(selected);
  const choice = (filter: string, description: string) => (
    <DescribedCheck
      key={filter}
      label={filter}
      hint={description}
      isChecked={selected.includes(filter) || isCovered(selected, filter)}
      isDisabled={isCovered(selected, filter) && !selected.includes(filter)}
      onToggle={() => onChange(toggleFilter(selected, filter))}
    />
  );
  const listed = new Set([
    '*',
    ...families.flatMap(({ filter, types }) => [filter, ...types.map(({ event }) => event)]),
    ...Object.keys(operationalFilters),
  ]);
  const others = data ? initial.filter((filter) => !listed.has(filter)) : [];
  return (
    <fieldset
      className="event-picker"
      tabIndex={-1}
      aria-describedby={error ? `${id}-error` : undefined}
      aria-invalid={error ? true : undefined}
    >
      <legend>Events</legend>
      {error && (
        <div id={`${id}-error`} className="field-error">
          {error}
        </div>
      )}
      {choice('*', 'All event types except those of operational events.')}
      <div className="columns">
        {families.map(({ name, filter, types }) => (
          <fieldset key={filter}>
            <legend>{name}</legend>
            {choice(filter, 'All types of this family.')}
            {types.map(({ event, description, deprecated }) =>
              choice(event, deprecated ? `Deprecated. ${description}` : description),
            )}
          </fieldset>
        ))}
        {others.length > 0 && (
          <fieldset>
            <legend>Other</legend>
            {others.map((filter) => choice(filter, 'Not in the list of event types.'))}
          </fieldset>
        )}
      </div>
      <details open={isOpenInitially}>
        <summary>Operational events</summary>
        <div className="columns">
          {Object.entries(operationalFilters).map(([filter, description]) => choice(filter, description))}
        </div>
      </details>
    </fieldset>
  );
}
