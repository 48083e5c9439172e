import type { ReactNode } from 'react';
import type { StatsRange } from '../../contracts/stats-ranges.ts';
import { axisLabels, bucketText, ticksOf } from '../chart-axis.ts';
import { useTimeZone } from '../preferences.ts';
import { ChartColumns } from './chart-columns.tsx';

/** The part of the statistics that a chart shows. */
export type ChartTime = { range: StatsRange; bucket_seconds: number };

type Props<Bucket> = {
  title: string;
  time: ChartTime;
  series: readonly { name: string; className: string }[];
  buckets: readonly Bucket[];
  /** The largest value. */
  max: number;
  format: (value: number | null) => string;
  /** A bucket's values, one per series. */
  valuesOf: (bucket: Bucket) => readonly (number | null)[];
  /** The webhook whose log a bar opens; undefined: the log of all. */
  webhookId?: string | undefined;
  /** Draws in an SVG of 10 units per bucket and 100 units from zero to `top`. */
  children: (top: number) => ReactNode;
};

/** A chart over a range: axes, a legend, the numbers of each bucket, links to the log, and the same data as a table. */
export function RangeChart<Bucket extends { at: string }>(props: Props<Bucket>) {
  const { title, time, series, buckets, max, format, valuesOf, webhookId, children } = props;
  const zone = useTimeZone();
  const ticks = ticksOf(max);
  const top = ticks.at(-1) ?? 1;
  const width = buckets.length * 10;
  const labels = axisLabels(
    time.range,
    buckets.map(({ at }) => at),
    zone,
  );
  const columns = buckets.map((bucket) => {
    const span = bucketText(time.range, bucket.at, time.bucket_seconds, zone);
    const values = valuesOf(bucket).map(format);
    const until = new Date(Date.parse(bucket.at) + time.bucket_seconds * 1000).toISOString();
    return {
      key: bucket.at,
      span,
      values,
      label: `${span}: ${series.map(({ name }, index) => `${values[index]} ${name}`).join(', ')}`,
      search: { ...(webhookId !== undefined && { webhook_id: webhookId }), since: bucket.at, until },
      details: <Details span={span} series={series} values={values} />,
    };
  });
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
      <div className="chart-plot numeric">
        <div className="chart-values" aria-hidden="true">
          {ticks.toReversed().map((value) => (
            <span key={value}>{format(value)}</span>
          ))}
        </div>
        <div className="chart-area">
          <svg viewBox={`0 0 ${width} 100`} preserveAspectRatio="none" aria-hidden="true">
            <path
              className="chart-grid"
              d={ticks.map((value) => `M0 ${100 - (value / top) * 100}H${width}`).join('')}
            />
            {children(top)}
          </svg>
          <ChartColumns title={title} columns={columns} />
        </div>
        <div className={`chart-labels chart-labels-${time.range}`} aria-hidden="true">
          {labels.map(({ index, text }) => (
            <span key={index} style={{ left: `${(index * 100) / buckets.length}%` }}>
              {text}
            </span>
          ))}
          {buckets.length > 0 && <span className="chart-now">now</span>}
        </div>
      </div>
      <div className="visually-hidden">
        <DataTable title={title} series={series} rows={columns} />
      </div>
    </figure>
  );
}

type TableProps = Pick<Props<never>, 'title' | 'series'> & {
  rows: readonly { key: string; span: string; values: readonly string[] }[];
};

function DataTable({ title, series, rows }: TableProps) {
  return (
    <table>
      <caption>{title}</caption>
      <thead>
        <tr>
          <th scope="col">Time</th>
          {series.map(({ name }) => (
            <th key={name} scope="col">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ key, span, values }) => (
          <tr key={key}>
            <th scope="row">{span}</th>
            {values.map((value, index) => (
              <td key={series[index]?.name}>{value}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

type DetailsProps = Pick<Props<never>, 'series'> & { span: string; values: readonly string[] };

function Details({ span, series, values }: DetailsProps) {
  return (
    <>
      <strong>{span}</strong>
      {series.map(({ name, className }, index) => (
        <span key={name} className="row spread">
          <span>
            <span className={`swatch ${className}`} /> {name}
          </span>
          <span>{values[index]}</span>
        </span>
      ))}
    </>
  );
}
