import { Link } from '@tanstack/react-router';
import { statsRanges, type StatsRange } from '../../contracts/stats-ranges.ts';

export const defaultRange = '24h' satisfies StatsRange;

const names: Record<StatsRange, string> = {
  '1h': 'last hour',
  '24h': 'last 24 hours',
  '7d': 'last 7 days',
  '30d': 'last 30 days',
};

/** @example rangeText('7d') // 'last 7 days' */
export const rangeText = (range: StatsRange): string => names[range];

/** Links to the same page with another range; the present one is marked as current. */
export function RangeChoice() {
  return (
    <nav className="segments" aria-label="Time range">
      {statsRanges.map((each) => (
        <Link
          key={each}
          to="."
          search={(search) => ({ ...search, range: each === defaultRange ? undefined : each })}
          resetScroll={false}
          activeOptions={{ exact: true }}
        >
          {each.replace(/[hd]/, ' $&')}
        </Link>
      ))}
    </nav>
  );
}
