import type { StatsRange } from '../contracts/stats-ranges.ts';
import { withZone } from './time-text.ts';

/**
 * Evenly spaced values of an axis: from zero to a round number at or above the largest value, at most 5 steps.
 *
 * @example ticksOf(83) // [0, 20, 40, 60, 80, 100]
 */
export function ticksOf(max: number): number[] {
  const rough = Math.max(1, max) / 5;
  const unit = Math.max(1, 10 ** Math.floor(Math.log10(rough)));
  const step = unit * ([1, 2, 5].find((factor) => factor * unit >= rough) ?? 10);
  return Array.from({ length: Math.ceil(Math.max(1, max) / step) + 1 }, (_, index) => index * step);
}

type Label = { index: number; text: string };

/** No label where it would overlap "now". */
const endShare = 0.87;

/**
 * The labels below a chart, each at the beginning of a bucket. Buckets of a day are days in UTC; the others are labeled in the
 * zone.
 */
export function axisLabels(range: StatsRange, starts: readonly string[], zone: string | undefined): Label[] {
  const write = (options: Intl.DateTimeFormatOptions, timeZone = zone) => {
    const format = new Intl.DateTimeFormat(undefined, { ...options, timeZone });
    return (at: string) => format.format(new Date(at));
  };
  const time = write({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  const weekday = write({ weekday: 'short' });
  const date = write({ weekday: 'short', day: 'numeric' });
  const dateUtc = write({ day: 'numeric', month: 'short' }, 'UTC');
  const minuteOf = (at: string) => Number(time(at).slice(-2));
  const hourOf = (at: string) => Number(time(at).slice(0, 2));
  const all = starts.map((at, index) => ({ at, index }));
  const kept = (() => {
    if (range === '1h') return all.filter(({ at }) => minuteOf(at) % 15 === 0);
    if (range === '24h') return all.filter(({ at }) => hourOf(at) % 6 === 0);
    if (range === '30d') return all.filter(({ index }) => index % 5 === 0);
    return all.filter(({ at, index }) => index > 0 && date(at) !== date(starts[index - 1] ?? at));
  })();
  const textOf = (at: string, isFirst: boolean) => {
    if (range === '1h') return time(at);
    if (range === '7d') return date(at);
    if (range === '30d') return dateUtc(at);
    if (hourOf(at) === 0) return date(at);
    return isFirst ? `${weekday(at)} ${time(at)}` : time(at);
  };
  return kept
    .filter(({ index }) => index < starts.length * endShare)
    .map(({ at, index }, position) => ({ index, text: textOf(at, position === 0) }));
}

/**
 * A bucket's time in words.
 *
 * @example bucketText('24h', '2024-01-10T12:00:00Z', 3600, 'UTC') // 'Wed 10 Jan, 12:00 to 13:00 UTC'
 */
export function bucketText(range: StatsRange, at: string, seconds: number, zone: string | undefined): string {
  const day = { weekday: 'short', day: 'numeric', month: 'short' } as const;
  const start = new Date(at);
  if (range === '30d')
    return withZone(start.toLocaleDateString(undefined, { ...day, timeZone: 'UTC' }), 'UTC');
  const time = (value: Date) =>
    value.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', timeZone: zone });
  const text = `${start.toLocaleDateString(undefined, { ...day, timeZone: zone })}, ${time(start)}`;
  const end = new Date(start.getTime() + seconds * 1000);
  return withZone(range === '1h' ? text : `${text} to ${time(end)}`, zone);
}
