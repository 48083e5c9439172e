import { z } from 'zod';
import { deliveryStatuses } from './delivery.ts';

/** Deliveries are counted up to this number, so that a count of a large log is as fast as one of a small log. */
export const maxCounted = 10_000;

export const deliveryCountsSchema = z
  .object({
    counts: z
      .record(z.enum(deliveryStatuses), z.int())
      .meta({ description: 'A count that equals `limit` means `limit` or more.' }),
    limit: z.int().meta({ example: maxCounted }),
  })
  .meta({ id: 'DeliveryCounts' });
export type DeliveryCounts = z.infer<typeof deliveryCountsSchema>;
