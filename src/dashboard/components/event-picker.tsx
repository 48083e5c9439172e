import { useQuery } from '@tanstack/react-query';
import { useId, useState } from 'react';
import {
  families,
  isCovered,
  operationalFilters,
  toggleFilter,
  typesOf,
  type EventFilter,
} from '../event-filters.ts';
import { eventTypesQuery } from '../queries.ts';
import { DescribedCheck } from './choices.tsx';

type Props = {
  selected: readonly EventFilter[];
  onChange: (selected: EventFilter[]) => void;
  error: string | undefined;
};

/** Selects the events of a webhook: all, a family, or single types; operational events are listed apart. */
export function EventPicker({ selected, onChange, error }: Props) {
  const id = useId();
  const { data: types } = useQuery(eventTypesQuery);
  // Evaluated once: deselecting the last filter must not close the list.
  const [isOpenInitially] = useState(() => selected.some((filter) => filter in operationalFilters));
  const choice = (filter: EventFilter, description: string) => (
    <DescribedCheck
      key={filter}
      label={filter}
      hint={description}
      isChecked={selected.includes(filter) || isCovered(selected, filter)}
      isDisabled={isCovered(selected, filter) && !selected.includes(filter)}
      onToggle={() => onChange(toggleFilter(selected, filter))}
    />
  );
  const operational = Object.entries(operationalFilters) as [EventFilter, string][];
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
      {choice('*', 'All seven event types.')}
      <div className="columns">
        {families.map(({ name, filter }) => (
          <fieldset key={filter}>
            <legend>{name}</legend>
            {choice(filter, 'All types of this family.')}
            {typesOf(filter).map((type) =>
              choice(type, types?.data.find(({ event }) => event === type)?.description ?? '\u00a0'),
            )}
          </fieldset>
        ))}
      </div>
      <details open={isOpenInitially}>
        <summary>Operational events</summary>
        <div className="columns">
          {operational.map(([filter, description]) => choice(filter, description))}
        </div>
      </details>
    </fieldset>
  );
}
