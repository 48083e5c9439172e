const percent = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 1 });
const count = new Intl.NumberFormat();

/** @example formatShare(0.125) // '12.5%' */
export const formatShare = (share: number | null): string => (share === null ? '–' : percent.format(share));

/** @example formatCount(1200) // '1,200' */
export const formatCount = (value: number): string => count.format(value);

/** @example countText(10_000, true) // '10,000+' */
export const countText = (value: number, isCapped: boolean): string =>
  `${formatCount(value)}${isCapped ? '+' : ''}`;

/** @example formatMs(1200) // '1,200 ms' */
export const formatMs = (ms: number | null): string =>
  ms === null ? '–' : `${count.format(Math.round(ms))} ms`;

/** @example withoutScheme('https://your-app.com/fltr') // 'your-app.com/fltr' */
export const withoutScheme = (url: string): string => url.replace(/^(https?:\/\/|mailto:)/, '');

const maxHeading = 80;

/** A URL as a heading: shortened, and without its query, which may hold a password. */
export function headingOf(url: string): string {
  const text = withoutScheme(url).replace(/\?.*$/, '');
  return text.length > maxHeading ? `${text.slice(0, maxHeading - 1)}…` : text;
}
