import type { WebhookRangeStats } from '../../contracts/stats.ts';
import { formatMs } from '../format.ts';
import { RangeChart } from './range-chart.tsx';

type Bucket = WebhookRangeStats['buckets'][number];
type Percentile = keyof Bucket['response_ms'];

const percentiles: readonly Percentile[] = ['p50', 'p95', 'p99'];
const series = percentiles.map((name) => ({ name, className: `line-${name}` }));

/** A line per percentile. A bucket without responses is a gap. */
export function ResponseChart({ stats }: { stats: WebhookRangeStats }) {
  const { buckets } = stats;
  return (
    <RangeChart
      title="Response time"
      time={stats}
      series={series}
      buckets={buckets}
      max={Math.max(1, ...buckets.map(({ response_ms: ms }) => ms.p99 ?? 0))}
      format={formatMs}
      valuesOf={({ response_ms: ms }) => percentiles.map((name) => ms[name])}
      webhookId={stats.webhook_id}
    >
      {(top) =>
        percentiles.map((name) => (
          <path key={name} className={`chart-line line-${name}`} d={pathOf(buckets, name, top)} />
        ))
      }
    </RangeChart>
  );
}

/** A line needs two points, so a bucket without neighbours becomes a dash. */
function pathOf(buckets: readonly Bucket[], name: Percentile, top: number): string {
  return buckets
    .map(({ response_ms: ms }, index) => {
      const value = ms[name];
      if (value === null) return '';
      const x = (index + 0.5) * 10;
      const y = 100 - (value / top) * 100;
      const isFirst = (buckets[index - 1]?.response_ms[name] ?? null) === null;
      return isFirst ? `M${x - 3} ${y}H${x}` : `L${x} ${y}`;
    })
    .join('');
}
