import { z } from 'zod';
import { idSchema } from './id.ts';
import { comparedText } from './visible-text.ts';

const isObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

// Not z.record: its copy would lack a field named __proto__.
export const eventDataSchema = z
  .custom<Record<string, unknown>>(isObject, {
    error: ({ input }) => (input === undefined ? 'is missing' : 'must be an object'),
  })
  .meta({
    type: 'object',
    additionalProperties: {},
    description:
      'See `GET /v1/event-types` for the schema of each type. Sent exactly as written, except for white space between tokens.',
  });

const maxLabels = 10;

export const labelSchema = comparedText
  .min(1, 'must not be empty')
  .max(100, 'must have at most 100 characters');

/** Texts that the filters of webhooks read. */
export const labelsSchema = z
  .array(labelSchema)
  .max(maxLabels, `must have at most ${maxLabels} labels`)
  .refine((labels) => new Set(labels).size === labels.length, 'must not name a label twice')
  .meta({
    uniqueItems: true,
    description: 'For the filters of webhooks; never sent to a receiver.',
    example: ['region:eu'],
  });

const maxNamedWebhooks = 100;

/** The webhooks that an event is for. */
export const webhookIdsSchema = z
  .array(idSchema)
  .min(1, 'must name a webhook')
  .max(maxNamedWebhooks, `must name at most ${maxNamedWebhooks} webhooks`)
  .refine((ids) => new Set(ids).size === ids.length, 'must not name a webhook twice')
  .meta({
    uniqueItems: true,
    description:
      'Only these webhooks get it. Their event types and filters do not apply. Each must be one of the account, and not one that sends e-mails.',
  });

/** The `order_key` of an event, or one to find deliveries by. */
export const orderKeyText = comparedText
  .min(1, 'must not be empty')
  .max(200, 'must have at most 200 characters');

export const orderKeySchema = orderKeyText.meta({
  description: 'Webhooks with `ordering` get the events of one key one after the other.',
  example: 'order-42',
});
