import type { ReactNode } from 'react';

type Props<Hour> = {
  title: string;
  series: readonly { name: string; className: string }[];
  hourly: readonly Hour[];
  /** The largest value; the axis ends at a round number at or above it. */
  max: number;
  format: (value: number) => string;
  /** An hour's values, one per series, for the table that replaces the drawing for screen readers. */
  valuesOf: (hour: Hour) => readonly ReactNode[];
  /** Draws an SVG of 10 units per hour and 100 units from zero to `top`. */
  children: (top: number) => ReactNode;
};

/** A chart by the hour with axes, a legend and the same data as a table. */
export function HourlyFigure<Hour extends { hour: string }>(props: Props<Hour>) {
  const { title, series, hourly, max, format, valuesOf, children } = props;
  const top = 2 * roundUp(max / 2);
  const width = hourly.length * 10;
  // The last tick would overlap "now".
  const ticks = hourly.map(({ hour }, index) => ({ hour, index })).filter(({ index }) => index % 6 === 0);
  const shown = ticks.filter(({ index }) => index < hourly.length - 2);
  return (
    <figure className="chart">
      <figcaption>
        <span>{title}</span>
        <span className="legend">
          {series.map(({ name, className }) => (
            <span key={name} className="legend">
              <span className={`swatch ${className}`} /> {name}
            </span>
          ))}
        </span>
      </figcaption>
      <div className="chart-plot numeric" aria-hidden="true">
        <div className="chart-values">
          {[top, top / 2, 0].map((value) => (
            <span key={value}>{format(value)}</span>
          ))}
        </div>
        <svg viewBox={`0 0 ${width} 100`} preserveAspectRatio="none">
          <path
            className="chart-grid"
            d={['M0 0H', 'M0 50H', 'M0 100H'].map((line) => line + width).join('')}
          />
          <path className="chart-grid" d={shown.map(({ index }) => `M${index * 10} 0V100`).join('')} />
          {children(top)}
        </svg>
        <div className="chart-hours">
          {shown.map(({ hour, index }) => (
            <span key={hour} style={{ left: `${(index * 100) / hourly.length}%` }}>
              {index === 0 ? dayAndHourOf(hour) : hourOf(hour)}
            </span>
          ))}
          {hourly.length > 0 && <span className="chart-now">now</span>}
        </div>
      </div>
      <table className="visually-hidden">
        <caption>{title}</caption>
        <thead>
          <tr>
            <th scope="col">Hour</th>
            {series.map(({ name }) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {hourly.map((hour) => (
            <tr key={hour.hour}>
              <th scope="row">{hourOf(hour.hour)}</th>
              {valuesOf(hour).map((value, index) => (
                <td key={series[index]?.name}>{value}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}

/** @example roundUp(41.5) // 50 */
function roundUp(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return unit * ([1, 2, 5].find((factor) => factor * unit >= value) ?? 10);
}

export const hourOf = (iso: string) =>
  new Date(iso).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });

/** With the weekday: the first of 24 hours was yesterday. */
const dayAndHourOf = (iso: string) =>
  `${new Date(iso).toLocaleDateString(undefined, { weekday: 'short' })} ${hourOf(iso)}`;
