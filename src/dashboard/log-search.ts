import { z } from 'zod';
import { deliveryStatuses } from '../contracts/delivery.ts';
import { eventTypes, operationalTypes } from '../contracts/event-types.ts';

/** What cannot be read from the address is as if it were not there. */
export const logSearchSchema = z.object({
  webhook_id: z.string().optional().catch(undefined),
  event: z
    .enum([...eventTypes, ...operationalTypes])
    .optional()
    .catch(undefined),
  status: z.enum(deliveryStatuses).optional().catch(undefined),
  code: z.coerce.string().optional().catch(undefined),
  since: z.iso.datetime({ offset: true }).optional().catch(undefined),
  until: z.iso.datetime({ offset: true }).optional().catch(undefined),
});
export type LogSearch = z.output<typeof logSearchSchema>;
