import { useEffect, useState } from 'react';
import { duration, offsetText } from '../durations.ts';
import { useTimeZone } from '../preferences.ts';
import { timeText } from '../time-text.ts';

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto', style: 'short' });
const units: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

/** The current time, updated at an interval. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

export function relativeTime(at: string, now: number): string {
  const seconds = Math.round((Date.parse(at) - now) / 1000);
  const [unit, size] = units.find(([, each]) => Math.abs(seconds) >= each) ?? ['second', 1];
  return relative.format(Math.trunc(seconds / size), unit);
}

/** Relative time; the exact time is in the tooltip. */
export function Ago({ at }: { at: string }) {
  const now = useNow(1000);
  const zone = useTimeZone();
  return (
    <time dateTime={at} title={timeText(at, 'full', zone)}>
      {relativeTime(at, now)}
    </time>
  );
}

/** Date and time of day. */
export function At({ at }: { at: string }) {
  return <time dateTime={at}>{timeText(at, 'full', useTimeZone())}</time>;
}

/** Time since another one, such as `+5.0 s`. Date and time of day are shown while it is hovered or focused. */
export function Offset({ at, from }: { at: string; from: string }) {
  return (
    // Focusable, so that the time of day is shown by keyboard, too.
    <time dateTime={at} className="offset numeric" tabIndex={0}>
      {offsetText(from, at)}
      <span className="offset-time">{timeText(at, 'exact', useTimeZone())}</span>
    </time>
  );
}

/** The date; the exact time is in the tooltip. */
export function Day({ at }: { at: string }) {
  const zone = useTimeZone();
  return (
    <time dateTime={at} title={timeText(at, 'full', zone)}>
      {timeText(at, 'day', zone)}
    </time>
  );
}

/** `in 1 min 05 s`, or `now` once the time has passed. */
export function Countdown({ to }: { to: string }) {
  const seconds = Math.ceil((Date.parse(to) - useNow(500)) / 1000);
  const zone = useTimeZone();
  if (seconds <= 0) return <time dateTime={to}>now</time>;
  return (
    <time dateTime={to} title={timeText(to, 'full', zone)} className="numeric">
      in {duration(seconds)}
    </time>
  );
}
