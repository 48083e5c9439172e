import { useQuery } from '@tanstack/react-query';
import type { RangeStats } from '../../../contracts/stats.ts';
import type { StatsRange } from '../../../contracts/stats-ranges.ts';
import { AttemptChart } from '../../components/attempt-chart.tsx';
import { sumBuckets } from '../../attempt-buckets.ts';
import { Problem } from '../../components/problem-notice.tsx';
import { RangeChoice, rangeText } from '../../components/range-choice.tsx';
import { Section } from '../../components/section.tsx';
import { statsQuery } from '../../queries.ts';

/** The attempts of all webhooks over a range. */
export function AccountTraffic({ range }: { range: StatsRange }) {
  const { data: stats, error } = useQuery(statsQuery(range));
  return (
    <Section title="All webhooks" className="stack-small" beside={<RangeChoice />}>
      <Problem error={error} />
      <div className="card chart-card">{stats && <Chart stats={stats} />}</div>
    </Section>
  );
}

function Chart({ stats }: { stats: RangeStats }) {
  const buckets = sumBuckets(stats.data.map((each) => each.buckets));
  if (buckets.every(({ attempts }) => attempts === 0))
    return <p className="muted">No attempts in the {rangeText(stats.range)}.</p>;
  return <AttemptChart time={stats} buckets={buckets} />;
}
