import { z } from 'zod';
import type { EventQuery } from '../client/pages.ts';
import { eventTypePattern } from '../contracts/event-types.ts';
import { timesInUrl, toTimeQuery } from './times.ts';

/** Invalid values in the URL are ignored. */
export const eventSearchSchema = z.object({
  /** The id of an event to open. */
  id: z.coerce.string().optional().catch(undefined),
  event: z.string().regex(eventTypePattern).optional().catch(undefined),
  label: z.coerce.string().min(1).optional().catch(undefined),
  outcome: z.enum(['undelivered']).optional().catch(undefined),
  ...timesInUrl,
});
export type EventSearch = z.output<typeof eventSearchSchema>;

/** The filters as query parameters of the API. */
export function toEventQuery({ id: _id, last, since, until, ...filters }: EventSearch): EventQuery {
  const query = { ...filters, ...toTimeQuery({ last, since, until }) };
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)) as EventQuery;
}

export const isEventFiltered = ({ id: _id, ...filters }: EventSearch): boolean =>
  Object.values(filters).some((value) => value !== undefined);
