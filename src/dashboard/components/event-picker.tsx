import { useQuery } from '@tanstack/react-query';
import { useId, useState } from 'react';
import { families, isCovered, operationalFilters, togglePick, typesOf } from '../event-filters.ts';
import type { EventFilter } from '../event-filters.ts';
import { eventTypesQuery } from '../queries.ts';

type Props = {
  picked: readonly EventFilter[];
  onChange: (picked: EventFilter[]) => void;
  error: string | undefined;
};

/** Which events a webhook gets: all, a family, or single types; events of the service itself apart. */
export function EventPicker({ picked, onChange, error }: Props) {
  const id = useId();
  const { data: types } = useQuery(eventTypesQuery);
  // At first only: what is unpicked does not shut the list it stands in.
  const [isOpenAtFirst] = useState(() => picked.some((filter) => filter in operationalFilters));
  const choice = (filter: EventFilter, description: string) => (
    <EventChoice
      key={filter}
      filter={filter}
      description={description}
      isPicked={picked.includes(filter)}
      isCovered={isCovered(picked, filter)}
      onToggle={() => onChange(togglePick(picked, filter))}
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
      {choice('*', 'All seven types.')}
      <div className="columns">
        {families.map(({ name, filter }) => (
          <fieldset key={filter}>
            <legend>{name}</legend>
            {choice(filter, 'The whole family.')}
            {typesOf(filter).map((type) =>
              choice(type, types?.data.find(({ event }) => event === type)?.description ?? '\u00a0'),
            )}
          </fieldset>
        ))}
      </div>
      <details open={isOpenAtFirst}>
        <summary>Events of the service itself</summary>
        <div className="columns">
          {operational.map(([filter, description]) => choice(filter, description))}
        </div>
      </details>
    </fieldset>
  );
}

type ChoiceProps = {
  filter: string;
  description: string;
  isPicked: boolean;
  isCovered: boolean;
  onToggle: () => void;
};

function EventChoice({ filter, description, isPicked, isCovered, onToggle }: ChoiceProps) {
  const id = useId();
  return (
    <div className="choice">
      <input
        id={id}
        type="checkbox"
        aria-describedby={`${id}-hint`}
        checked={isPicked || isCovered}
        disabled={isCovered && !isPicked}
        onChange={onToggle}
      />
      <div className="choice-text">
        <label htmlFor={id} className="mono">
          {filter}
        </label>
        <span id={`${id}-hint`} className="hint">
          {description}
        </span>
      </div>
    </div>
  );
}
