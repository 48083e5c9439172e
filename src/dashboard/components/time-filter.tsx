import { useState } from 'react';
import { periodNames, type Times } from '../times.ts';
import { SelectField } from './field.tsx';
import { TimeField } from './time-field.tsx';

const periods = [
  ['', 'Any time'],
  ['1h', periodNames['1h']],
  ['24h', periodNames['24h']],
  ['7d', periodNames['7d']],
  ['range', 'Custom range'],
] as const;

/** When the rows of a list were accepted: a period that ends now, or a range. */
export function TimeFilter({ search, onChange }: { search: Times; onChange: (times: Times) => void }) {
  const { last, since, until } = search;
  const [isRange, setRange] = useState(false);
  const showsRange = last === undefined && (isRange || since !== undefined || until !== undefined);
  const choose = (period: (typeof periods)[number][0]) => {
    setRange(period === 'range');
    onChange({
      last: period === '' || period === 'range' ? undefined : period,
      since: undefined,
      until: undefined,
    });
  };
  const isReversed = since !== undefined && until !== undefined && until <= since;
  return (
    <>
      <SelectField
        label="Accepted"
        value={showsRange ? 'range' : (last ?? '')}
        options={periods}
        onChange={choose}
      />
      {showsRange && (
        <div className="time-range">
          <TimeField label="From" value={since} onChange={(time) => onChange({ since: time, until })} />
          <TimeField
            label="To"
            error={isReversed ? 'Must be after “From”.' : undefined}
            value={until}
            onChange={(time) => onChange({ since, until: time })}
          />
        </div>
      )}
    </>
  );
}
