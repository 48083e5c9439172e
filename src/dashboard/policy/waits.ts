const secondsPer = { s: 1, min: 60, m: 60, h: 3600 } as const;

/**
 * The waits of a schedule, in seconds; null if the text is none. A number without a unit means seconds.
 *
 * @example waitsIn('5, 5 min, 2h') // [5, 300, 7200]
 */
export function waitsIn(text: string): number[] | null {
  const parts = text.split(',').map((part) => /^(\d+)\s*(s|min|m|h)?$/.exec(part.trim()));
  if (text.trim() === '') return [];
  const waits = parts.map((part) =>
    part === null ? Number.NaN : Number(part[1]) * secondsPer[(part[2] ?? 's') as keyof typeof secondsPer],
  );
  return waits.some(Number.isNaN) ? null : waits;
}

/** As `waitsIn` reads them. @example waitsText([5, 300, 7200]) // '5 s, 5 min, 2 h' */
export const waitsText = (waits: readonly number[]): string => waits.map(waitText).join(', ');

function waitText(seconds: number): string {
  if (seconds % 3600 === 0) return `${seconds / 3600} h`;
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}
