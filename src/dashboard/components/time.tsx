import { useEffect, useState } from 'react';

const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
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
  return (
    <time dateTime={at} title={absolute.format(new Date(at))}>
      {relativeTime(at, now)}
    </time>
  );
}

/** Date and time of day. */
export function At({ at }: { at: string }) {
  return <time dateTime={at}>{absolute.format(new Date(at))}</time>;
}

/** The date; the exact time is in the tooltip. */
export function Day({ at }: { at: string }) {
  return (
    <time dateTime={at} title={absolute.format(new Date(at))}>
      {day.format(new Date(at))}
    </time>
  );
}

/** `in 1 min 05 s`, or `now` once the time has passed. */
export function Countdown({ to }: { to: string }) {
  const seconds = Math.ceil((Date.parse(to) - useNow(500)) / 1000);
  if (seconds <= 0) return <time dateTime={to}>now</time>;
  return (
    <time dateTime={to} title={absolute.format(new Date(to))} className="numeric">
      in {duration(seconds)}
    </time>
  );
}

/** A duration without trailing zeros. @example span(300) // '5 min' */
export const span = (seconds: number): string => duration(seconds).replace(/ 00 (s|min)$/, '');

/** @example duration(65) // '1 min 05 s' */
export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`;
  return `${Math.floor(hours / 24)} days ${hours % 24} h`;
}
