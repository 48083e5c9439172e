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

/** @example formatDuration(5000) // '5.0 s' */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : duration(Math.round(ms / 1000));
}

/** @example offsetText('2026-01-10T12:00:00.000Z', '2026-01-10T12:00:05.000Z') // '+5.0 s' */
export const offsetText = (from: string, at: string): string =>
  `+${formatDuration(Math.max(0, Date.parse(at) - Date.parse(from)))}`;
