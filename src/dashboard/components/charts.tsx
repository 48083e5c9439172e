import { formatCount } from '../format.ts';

type Hour = { hour: string; delivered: number; failed_attempts: number };

export const hourOf = (iso: string) =>
  new Date(iso).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });

/** With its day: the first of 24 hours is yesterday's. */
export const dayAndHourOf = (iso: string) =>
  `${new Date(iso).toLocaleDateString(undefined, { weekday: 'short' })} ${hourOf(iso)}`;

/** A day of attempts in a line's height: delivered below, failed on top of it. */
export function Sparkline({ hourly }: { hourly: readonly Hour[] }) {
  const most = Math.max(1, ...hourly.map(({ delivered, failed_attempts: failed }) => delivered + failed));
  const delivered = hourly.reduce((sum, hour) => sum + hour.delivered, 0);
  const failed = hourly.reduce((sum, hour) => sum + hour.failed_attempts, 0);
  return (
    <svg
      className="sparkline"
      viewBox={`0 0 ${hourly.length * 4} 24`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`Attempts of the last 24 hours: ${delivered} delivered, ${failed} failed`}
    >
      {hourly.map((hour, index) => (
        <Bar key={hour.hour} hour={hour} x={index * 4} width={3} height={24} most={most} />
      ))}
    </svg>
  );
}

type BarProps = { hour: Hour; x: number; width: number; height: number; most: number };

function Bar({ hour: { delivered, failed_attempts: failed }, x, width, height, most }: BarProps) {
  const good = (delivered / most) * (height - 1);
  const bad = (failed / most) * (height - 1);
  return (
    <>
      <rect className="bar-none" x={x} y={height - 1} width={width} height={1} />
      <rect className="bar-good" x={x} y={height - good} width={width} height={good} />
      <rect className="bar-bad" x={x} y={height - good - bad} width={width} height={bad} />
    </>
  );
}

/** Attempts by the hour, delivered and failed, with the same as a table for who cannot see it. */
export function HourlyChart({ hourly }: { hourly: readonly Hour[] }) {
  const most = Math.max(1, ...hourly.map(({ delivered, failed_attempts: failed }) => delivered + failed));
  const [first, last] = [hourly[0], hourly.at(-1)];
  return (
    <figure className="chart">
      <figcaption>
        <span>Attempts, by the hour</span>
        <span className="legend">
          <span className="swatch bar-good" /> delivered <span className="swatch bar-bad" /> failed
        </span>
      </figcaption>
      <div className="chart-plot">
        <span className="chart-most numeric">{formatCount(most)}</span>
        <svg viewBox={`0 0 ${hourly.length * 10} 100`} preserveAspectRatio="none" aria-hidden="true">
          {hourly.map((hour, index) => (
            <g key={hour.hour}>
              <title>{`${hourOf(hour.hour)}: ${hour.delivered} delivered, ${hour.failed_attempts} failed`}</title>
              <Bar hour={hour} x={index * 10 + 1} width={8} height={100} most={most} />
            </g>
          ))}
        </svg>
        <span className="chart-from">{first && dayAndHourOf(first.hour)}</span>
        <span className="chart-to">{last && 'now'}</span>
      </div>
      <table className="visually-hidden">
        <caption>Attempts, by the hour</caption>
        <thead>
          <tr>
            <th scope="col">Hour</th>
            <th scope="col">Delivered</th>
            <th scope="col">Failed</th>
          </tr>
        </thead>
        <tbody>
          {hourly.map(({ hour, delivered, failed_attempts: failed }) => (
            <tr key={hour}>
              <th scope="row">{hourOf(hour)}</th>
              <td>{delivered}</td>
              <td>{failed}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}
