import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { Form, InputField, SelectField } from '../../components/field.tsx';
import { TimeFilter } from '../../components/time-filter.tsx';
import { FilterChips } from '../../components/filter-chips.tsx';
import { At } from '../../components/time.tsx';
import { typesToChoose } from '../../event-filters.ts';
import { isEventFiltered, type EventSearch } from '../../event-search.ts';
import { eventTypesQuery } from '../../queries.ts';
import { periodNames } from '../../times.ts';

const all = ['', 'All'] as const;
const outcomes = [all, ['undelivered', 'Not delivered']] as const;

/** The filters are in the URL, so that a filtered list can be bookmarked and shared, and Back undoes a filter. */
export function EventFilters({ search }: { search: EventSearch }) {
  const navigate = useNavigate();
  const { data: types } = useQuery(eventTypesQuery);
  const { event = '', label, outcome = '' } = search;
  const change = (patch: Partial<EventSearch>) =>
    void navigate({ to: '/events', search: { ...search, ...patch }, resetScroll: false });
  return (
    <search>
      <Form aria-label="Event filters" className="filters">
        <SelectField
          label="Event type"
          value={event}
          options={[all, ...typesToChoose(types?.data ?? [], event)]}
          onChange={(type) => change({ event: type || undefined })}
        />
        <SelectField
          label="Outcome"
          value={outcome}
          options={outcomes}
          onChange={(chosen) => change({ outcome: chosen || undefined })}
        />
        <LabelFilter label={label} onChange={(text) => change({ label: text })} />
        <TimeFilter search={search} onChange={change} />
      </Form>
      <Chips search={search} />
    </search>
  );
}

type LabelProps = { label: string | undefined; onChange: (label: string | undefined) => void };

/** A label matches as a whole, so it is applied when it is complete: with Enter, or when the field is left. */
function LabelFilter({ label, onChange }: LabelProps) {
  const [text, setText] = useState(label ?? '');
  const [applied, setApplied] = useState(label);
  // Changed from outside, for example by clearing the filters.
  if (applied !== label) {
    setApplied(label);
    setText(label ?? '');
  }
  const apply = () => {
    const next = text.trim() || undefined;
    if (next !== label) onChange(next);
  };
  return (
    <InputField
      label="Label"
      placeholder="customer-42"
      maxLength={100}
      value={text}
      onChange={setText}
      onBlur={apply}
      onKeyDown={({ key }) => {
        if (key === 'Enter') apply();
      }}
    />
  );
}

function chipsOf({ event, label, outcome, last, since, until }: EventSearch) {
  const chips = [
    event !== undefined && { filter: 'event', name: 'Event type', value: event },
    outcome !== undefined && { filter: 'outcome', name: 'Outcome', value: 'Not delivered' },
    label !== undefined && { filter: 'label', name: 'Label', value: label },
    last !== undefined && { filter: 'last', name: 'Accepted', value: periodNames[last] },
    // A period takes precedence.
    since !== undefined &&
      last === undefined && { filter: 'since', name: 'Accepted from', value: <At at={since} /> },
    until !== undefined &&
      last === undefined && { filter: 'until', name: 'Accepted before', value: <At at={until} /> },
  ];
  return chips.filter((chip) => chip !== false);
}

function Chips({ search }: { search: EventSearch }) {
  return (
    <FilterChips
      chips={chipsOf(search)}
      isFiltered={isEventFiltered(search)}
      renderLink={(filter, className, children) => (
        <Link
          to="/events"
          search={filter === null ? {} : { ...search, [filter]: undefined }}
          resetScroll={false}
          className={className}
        >
          {children}
        </Link>
      )}
    />
  );
}
