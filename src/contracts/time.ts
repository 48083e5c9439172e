import { z } from 'zod';

const leapSecond = /^(\d{4}-\d\d-\d\dT\d\d:\d\d):60(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/**
 * A time of RFC 3339 in the form that every program can parse: upper case, and a leap second as the second after it.
 *
 * @example normalizeTime('2016-12-31t23:59:60z') // '2017-01-01T00:00:00Z'
 */
export function normalizeTime(text: string): string {
  const upper = text.replace(/^(\d{4}-\d\d-\d\d)t/, '$1T').replace(/z$/, 'Z');
  const [, minute, fraction = '', zone] = leapSecond.exec(upper) ?? [];
  if (minute === undefined) return upper;
  const next = Date.parse(`${minute}:59${zone}`) + 1000;
  return Number.isNaN(next) ? upper : `${new Date(next).toISOString().slice(0, 19)}${fraction}Z`;
}

/** Every time in a body or a query. */
export const timeSchema = z
  .string()
  .max(40)
  .overwrite(normalizeTime)
  .check(
    z.iso.datetime({
      offset: true,
      error: ({ input }) =>
        typeof input === 'string' && / \d\d:?\d\d$/.test(input)
          ? 'has a space in place of the + before its offset; in a URL, write + as %2B'
          : 'must be a time such as 2024-01-10T12:01:30Z or 2024-01-10T13:01:30+01:00',
    }),
  );

/** A time in a query, as a bound of a list. */
export const queryTime = (description: string) =>
  timeSchema
    .transform((text) => new Date(text))
    .optional()
    .meta({ description, type: 'string', format: 'date-time' });
