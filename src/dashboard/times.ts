import { z } from 'zod';
import { timeSchema } from '../contracts/time.ts';

const hourMs = 3_600_000;
const periods = { '1h': hourMs, '24h': 24 * hourMs, '7d': 7 * 24 * hourMs } as const;

/** So many minutes from now, without the seconds. */
export const minutesFromNow = (minutes: number): string =>
  new Date((Math.floor(Date.now() / 60_000) + minutes) * 60_000).toISOString();

/** Of `last`. */
export const periodNames = { '1h': 'Last hour', '24h': 'Last 24 hours', '7d': 'Last 7 days' } as const;

/** In the URL of a list; invalid values are ignored. */
export const timesInUrl = {
  /** A period that ends now; takes precedence over `since` and `until`. */
  last: z.enum(['1h', '24h', '7d']).optional().catch(undefined),
  since: timeSchema.optional().catch(undefined),
  until: timeSchema.optional().catch(undefined),
};
export type Times = z.output<z.ZodObject<typeof timesInUrl>>;

/** As query parameters of the API. */
export const toTimeQuery = ({ last, since, until }: Times) => ({
  since: last === undefined ? since : new Date(Date.now() - periods[last]).toISOString(),
  until: last === undefined ? until : undefined,
});
