import { useState } from 'react';
import { Field } from '../../components/field.tsx';
import { fromLocalInput, toLocalInput } from '../../local-time.ts';
import type { LogSearch } from '../../log-search.ts';

type Times = Pick<LogSearch, 'last' | 'since' | 'until'>;

export function TimeFilter({ search, onChange }: { search: Times; onChange: (times: Times) => void }) {
  const { last, since, until } = search;
  const [isRange, setRange] = useState(false);
  const showsRange = last === undefined && (isRange || since !== undefined || until !== undefined);
  const choose = (value: string) => {
    setRange(value === 'range');
    const period = (['1h', '24h', '7d'] as const).find((each) => each === value);
    onChange({ last: period, since: undefined, until: undefined });
  };
  const isReversed = since !== undefined && until !== undefined && until <= since;
  return (
    <>
      <Field label="Accepted">
        {(control) => (
          <select
            {...control}
            value={showsRange ? 'range' : (last ?? '')}
            onChange={({ target }) => choose(target.value)}
          >
            <option value="">Any time</option>
            <option value="1h">Last hour</option>
            <option value="24h">Last 24 hours</option>
            <option value="7d">Last 7 days</option>
            <option value="range">Custom range</option>
          </select>
        )}
      </Field>
      {showsRange && (
        <div className="time-range">
          <Field label="From">
            {(control) => (
              <input
                {...control}
                type="datetime-local"
                value={toLocalInput(since)}
                onChange={({ target }) => onChange({ since: fromLocalInput(target.value), until })}
              />
            )}
          </Field>
          <Field label="To" error={isReversed ? 'Must be after “From”.' : undefined}>
            {(control) => (
              <input
                {...control}
                type="datetime-local"
                value={toLocalInput(until)}
                onChange={({ target }) => onChange({ since, until: fromLocalInput(target.value) })}
              />
            )}
          </Field>
        </div>
      )}
    </>
  );
}
