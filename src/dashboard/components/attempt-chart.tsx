import { formatCount } from '../format.ts';
import { HourlyFigure, hourOf } from './hourly-figure.tsx';

type Hour = { hour: string; delivered: number; failed_attempts: number };

const maxOf = (hourly: readonly Hour[]): number =>
  Math.max(1, ...hourly.map(({ delivered, failed_attempts: failed }) => delivered + failed));

const countsText = ({ delivered, failed_attempts: failed }: Omit<Hour, 'hour'>) =>
  `${delivered} delivered, ${failed} failed`;

/** The attempts of 24 hours in the height of a line: delivered below, failed on top. */
export function Sparkline({ hourly }: { hourly: readonly Hour[] }) {
  const max = maxOf(hourly);
  const total = {
    delivered: hourly.reduce((sum, hour) => sum + hour.delivered, 0),
    failed_attempts: hourly.reduce((sum, hour) => sum + hour.failed_attempts, 0),
  };
  return (
    <svg
      className="sparkline"
      viewBox={`0 0 ${hourly.length * 4} 24`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`Attempts of the last 24 hours: ${countsText(total)}`}
    >
      {hourly.map((hour, index) => (
        <Bar key={hour.hour} hour={hour} x={index * 4} width={3} height={24} max={max} />
      ))}
    </svg>
  );
}

type BarProps = { hour: Hour; x: number; width: number; height: number; max: number };

function Bar({ hour: { delivered, failed_attempts: failed }, x, width, height, max }: BarProps) {
  const good = (delivered / max) * (height - 1);
  const bad = (failed / max) * (height - 1);
  return (
    <>
      <rect className="bar-none" x={x} y={height - 1} width={width} height={1} />
      <rect className="bar-good" x={x} y={height - good} width={width} height={good} />
      <rect className="bar-bad" x={x} y={height - good - bad} width={width} height={bad} />
    </>
  );
}

const series = [
  { name: 'delivered', className: 'bar-good' },
  { name: 'failed', className: 'bar-bad' },
];

export function AttemptChart({ hourly }: { hourly: readonly Hour[] }) {
  return (
    <HourlyFigure
      title="Attempts per hour"
      series={series}
      hourly={hourly}
      max={maxOf(hourly)}
      format={formatCount}
      valuesOf={({ delivered, failed_attempts: failed }) => [delivered, failed]}
    >
      {(top) =>
        hourly.map((hour, index) => (
          <g key={hour.hour}>
            <title>{`${hourOf(hour.hour)}: ${countsText(hour)}`}</title>
            <Bar hour={hour} x={index * 10 + 1} width={8} height={100} max={top} />
          </g>
        ))
      }
    </HourlyFigure>
  );
}
