import type { WebhookStats } from '../../contracts/webhook.ts';
import { formatMs } from '../format.ts';
import { HourlyFigure } from './hourly-figure.tsx';

type Hour = WebhookStats['hourly'][number];
type Percentile = keyof Hour['response_ms'];

const percentiles: readonly Percentile[] = ['p50', 'p95', 'p99'];
const series = percentiles.map((name) => ({ name, className: `line-${name}` }));

/** A line per percentile. An hour without responses is a gap. */
export function ResponseChart({ hourly }: { hourly: readonly Hour[] }) {
  return (
    <HourlyFigure
      title="Response times per hour"
      series={series}
      hourly={hourly}
      max={Math.max(1, ...hourly.map(({ response_ms: ms }) => ms.p99 ?? 0))}
      format={formatMs}
      valuesOf={({ response_ms: ms }) => percentiles.map((name) => formatMs(ms[name]))}
    >
      {(top) =>
        percentiles.map((name) => (
          <path key={name} className={`chart-line line-${name}`} d={pathOf(hourly, name, top)} />
        ))
      }
    </HourlyFigure>
  );
}

/** A line needs two points, so an hour without neighbours becomes a dash. */
function pathOf(hourly: readonly Hour[], name: Percentile, top: number): string {
  return hourly
    .map(({ response_ms: ms }, index) => {
      const value = ms[name];
      if (value === null) return '';
      const x = (index + 0.5) * 10;
      const y = 100 - (value / top) * 100;
      const isFirst = (hourly[index - 1]?.response_ms[name] ?? null) === null;
      return isFirst ? `M${x - 3} ${y}H${x}` : `L${x} ${y}`;
    })
    .join('');
}
