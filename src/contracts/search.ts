import { z } from 'zod';
import { attemptOutcomes } from './attempt-schema.ts';
import { deliveryStatuses } from './delivery.ts';
import { operationActions, operationStatuses } from './operation.ts';
import { comparedText } from './visible-text.ts';

export const searchQuerySchema = z.strictObject({
  q: comparedText.min(1, 'must not be empty').max(2048, 'must have at most 2,048 characters').meta({
    description:
      'An id, also of a request or one in the data of events, or how the URL of a webhook begins, with or without `https://`.',
  }),
});

/** At most so many things are found. */
export const maxFound = 20;

const id = z.string();
const at = z.iso.datetime();

export const foundSchema = z
  .discriminatedUnion('type', [
    z.object({
      type: z.literal('webhook'),
      id,
      url: z.string(),
      external_id: z.string().nullable(),
      active: z.boolean(),
    }),
    z.object({ type: z.literal('event'), id, event: z.string(), created_at: at }),
    z.object({
      type: z.literal('delivery'),
      id,
      event_id: z.string(),
      event: z.string(),
      webhook_id: z.string(),
      status: z.enum(deliveryStatuses),
      created_at: at,
    }),
    z.object({
      type: z.literal('attempt'),
      id,
      delivery_id: z.string(),
      webhook_id: z.string(),
      number: z.int(),
      outcome: z.enum(attemptOutcomes),
      status_code: z.int().nullable(),
      started_at: at,
    }),
    z.object({
      type: z.literal('operation'),
      id,
      action: z.enum(operationActions),
      status: z.enum(operationStatuses),
      created_at: at,
    }),
  ])
  .meta({ id: 'Found' });
export type Found = z.infer<typeof foundSchema>;

export const searchResultSchema = z.object({ data: z.array(foundSchema) }).meta({ id: 'SearchResult' });
export type SearchResult = z.infer<typeof searchResultSchema>;
