import { z } from 'zod';
import type { DeliveryCountQuery, DeliveryQuery } from '../client/pages.ts';
import { attemptErrorCodes } from '../contracts/attempt-schema.ts';
import { deliveryStatuses, waitFilters } from '../contracts/delivery.ts';
import { eventTypePattern } from '../contracts/event-types.ts';
import { timesInUrl, toTimeQuery } from './times.ts';

/** Invalid values in the URL are ignored. */
const filtersSchema = z.object({
  webhook_id: z.coerce.string().optional().catch(undefined),
  /** The last operation that acted on them. */
  operation_id: z.coerce.string().optional().catch(undefined),
  event: z.string().regex(eventTypePattern).optional().catch(undefined),
  status: z.enum(deliveryStatuses).optional().catch(undefined),
  /** Only those that wait because of a limit. */
  deferred: z.literal(true).optional().catch(undefined),
  /** Only those that wait in their order, or for their time. */
  waits_for: z.enum(waitFilters).optional().catch(undefined),
  /** Only those that have failed and hold up others in their order. */
  blocks_line: z.literal(true).optional().catch(undefined),
  order_key: z.coerce.string().optional().catch(undefined),
  code: z.coerce.string().optional().catch(undefined),
  error: z
    .enum(['no_response', ...attemptErrorCodes])
    .optional()
    .catch(undefined),
  event_id: z.coerce.string().optional().catch(undefined),
  ...timesInUrl,
});
/** The filters. */
export type LogSearch = z.output<typeof filtersSchema>;

export const logSearchSchema = filtersSchema.extend({
  /** The delivery in the panel beside the list. */
  open: z.coerce.string().optional().catch(undefined),
});

/** A status code or a class, as in the API. */
export const codePattern = /^([1-5]\d\d|[1-5]xx)$/;

/** The filters as query parameters of the API. */
export function toDeliveryQuery({ last, since, until, ...filters }: LogSearch): DeliveryQuery {
  const query = { ...filters, ...toTimeQuery({ last, since, until }) };
  return Object.fromEntries(
    Object.entries(query).filter(([, value]) => value !== undefined),
  ) as DeliveryQuery;
}

/** The filters whose deliveries are counted by status. */
export function toCountQuery({ status: _status, ...filters }: LogSearch): DeliveryCountQuery {
  return toDeliveryQuery(filters);
}

export const isFiltered = (search: LogSearch): boolean =>
  Object.values(search).some((value) => value !== undefined);
