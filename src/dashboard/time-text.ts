/** In which times are shown; undefined: that of the browser. */
export type TimeZone = 'UTC' | undefined;

const styles = {
  /** Date and time of day. */
  full: { dateStyle: 'medium', timeStyle: 'medium' },
  /** With milliseconds. */
  exact: {
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: 'numeric',
    minute: '2-digit',
    second: '2-digit',
    fractionalSecondDigits: 3,
  },
  /** The date alone. */
  day: { dateStyle: 'medium' },
} as const satisfies Record<string, Intl.DateTimeFormatOptions>;
type Style = keyof typeof styles;

// Making one takes longer than using it.
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(style: Style, zone: TimeZone): Intl.DateTimeFormat {
  const name = `${style} ${zone}`;
  const known = formats.get(name);
  if (known) return known;
  const made = new Intl.DateTimeFormat(undefined, { ...styles[style], timeZone: zone });
  formats.set(name, made);
  return made;
}

/**
 * A time in words.
 *
 * @example timeText('2024-01-10T12:01:30Z', 'full', 'UTC') // 'Jan 10, 2024, 12:01:30 PM UTC'
 */
export const timeText = (at: string, style: Style, zone: TimeZone): string =>
  withZone(formatOf(style, zone).format(new Date(at)), zone);

/** Names the zone, unless it is the browser's. */
export const withZone = (text: string, zone: string | undefined): string =>
  zone === undefined ? text : `${text} ${zone}`;

/** A time as the value of `<input type="datetime-local">`, to the minute; empty for undefined. */
export function toTimeInput(iso: string | undefined, zone: TimeZone): string {
  if (iso === undefined) return '';
  const time = new Date(iso);
  const offset = zone === undefined ? time.getTimezoneOffset() : 0;
  return new Date(time.getTime() - offset * 60_000).toISOString().slice(0, 16);
}

/** The chosen time in UTC; undefined for an empty input. */
export function fromTimeInput(text: string, zone: TimeZone): string | undefined {
  const time = new Date(zone === undefined ? text : `${text}Z`);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}
