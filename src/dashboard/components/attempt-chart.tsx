import type { AttemptBucket } from '../attempt-buckets.ts';
import { formatCount } from '../format.ts';
import { RangeChart, type ChartTime } from './range-chart.tsx';

const outcomes = [
  { name: 'delivered', className: 'bar-good', of: ({ delivered }: AttemptBucket) => delivered },
  {
    name: 'retried',
    className: 'bar-warn',
    of: ({ failed_attempts: all, failed }: AttemptBucket) => all - failed,
  },
  { name: 'failed', className: 'bar-bad', of: ({ failed }: AttemptBucket) => failed },
];

const maxOf = (buckets: readonly AttemptBucket[]): number =>
  Math.max(1, ...buckets.map(({ attempts }) => attempts));

type BarsProps = { buckets: readonly AttemptBucket[]; top: number; height: number; min: number };

/** Bars of 8 units in steps of 10: delivered attempts below, failed ones on top. The smallest count is still seen. */
function Bars({ buckets, top, height, min }: BarsProps) {
  const bars = buckets.map((bucket) => {
    let y = height;
    return outcomes.map(({ of }, series) => {
      const count = of(bucket);
      const size = count === 0 ? 0 : Math.max(min, (count / top) * height);
      y -= size;
      return { series, y, size };
    });
  });
  return outcomes.map(({ name, className }, series) => (
    <path
      key={name}
      className={className}
      d={bars
        .map((bar, index) => {
          const { y, size } = bar[series] ?? { y: 0, size: 0 };
          return size === 0 ? '' : `M${index * 10 + 1} ${y}h8v${size}h-8z`;
        })
        .join('')}
    />
  ));
}

/** The attempts of 24 hours in the height of a line. */
export function Sparkline({ buckets }: { buckets: readonly AttemptBucket[] }) {
  const texts = outcomes.map(
    ({ name, of }) => `${buckets.reduce((sum, bucket) => sum + of(bucket), 0)} ${name}`,
  );
  const width = buckets.length * 10;
  return (
    <svg
      className="sparkline"
      viewBox={`0 0 ${width} 24`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`Attempts of the last 24 hours: ${texts.join(', ')}`}
    >
      <path className="chart-grid" d={`M0 24H${width}`} />
      <Bars buckets={buckets} top={maxOf(buckets)} height={24} min={2} />
    </svg>
  );
}

type Props = { time: ChartTime; buckets: readonly AttemptBucket[]; webhookId?: string };

export function AttemptChart({ time, buckets, webhookId }: Props) {
  return (
    <RangeChart
      title="Attempts"
      time={time}
      series={outcomes}
      buckets={buckets}
      max={maxOf(buckets)}
      format={(value) => formatCount(value ?? 0)}
      valuesOf={(bucket) => outcomes.map(({ of }) => of(bucket))}
      webhookId={webhookId}
    >
      {(top) => <Bars buckets={buckets} top={top} height={100} min={1.5} />}
    </RangeChart>
  );
}
