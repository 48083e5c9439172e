import type { WebhookStats } from '../../contracts/webhook.ts';
import { formatMs } from '../format.ts';
import { dayAndHourOf, hourOf } from './charts.tsx';

type Hour = WebhookStats['hourly'][number];
type Share = keyof Hour['response_ms'];

const shares: readonly Share[] = ['p50', 'p95', 'p99'];
const [width, height] = [10, 100];

/** Response times by the hour, a line for each percentile, with the same as a table. An hour without responses is a gap. */
export function ResponseChart({ hourly }: { hourly: readonly Hour[] }) {
  const times = hourly.flatMap(({ response_ms: { p99 } }) => p99 ?? []);
  const most = Math.max(1, ...times);
  const [first] = hourly;
  return (
    <figure className="chart">
      <figcaption>
        <span>Response times, by the hour</span>
        <span className="legend">
          {shares.map((share) => (
            <span key={share} className="legend">
              <span className={`swatch line-${share}`} /> {share}
            </span>
          ))}
        </span>
      </figcaption>
      <div className="chart-plot">
        <span className="chart-most numeric">{formatMs(times.length === 0 ? null : most)}</span>
        <svg
          viewBox={`0 0 ${hourly.length * width} ${height}`}
          preserveAspectRatio="none"
          aria-hidden="true"
          className="lines"
        >
          {shares.map((share) => (
            <path key={share} className={`line-${share}`} d={pathOf(hourly, share, most)} />
          ))}
        </svg>
        <span className="chart-from">{first && dayAndHourOf(first.hour)}</span>
        <span className="chart-to">{first && 'now'}</span>
      </div>
      <table className="visually-hidden">
        <caption>Response times, by the hour</caption>
        <thead>
          <tr>
            <th scope="col">Hour</th>
            {shares.map((share) => (
              <th key={share} scope="col">
                {share}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {hourly.map(({ hour, response_ms: ms }) => (
            <tr key={hour}>
              <th scope="row">{hourOf(hour)}</th>
              {shares.map((share) => (
                <td key={share}>{formatMs(ms[share])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}

/** A lone hour becomes a dash, for a line wants two points. */
function pathOf(hourly: readonly Hour[], share: Share, most: number): string {
  return hourly
    .map(({ response_ms: ms }, index) => {
      const value = ms[share];
      if (value === null) return '';
      const x = (index + 0.5) * width;
      const y = height - (value / most) * (height - 4) - 2;
      const isFirst = (hourly[index - 1]?.response_ms[share] ?? null) === null;
      return isFirst ? `M${x - width / 3} ${y}H${x}` : `L${x} ${y}`;
    })
    .join('');
}
