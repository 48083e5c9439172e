import { z } from 'zod';
import { deliveryStatuses } from './delivery.ts';
import { eventTypeSchema } from './event-types.ts';
import { problemSchema } from './problem.ts';
import { accountIdSchema, idSchema, reservedEventIds } from './id.ts';
import { timeSchema } from './time.ts';
import { eventDataSchema, labelsSchema, orderKeySchema, webhookIdsSchema } from './event-parts.ts';
import { otherWebhookSchema } from './webhook-match.ts';
import { traceparentSchema } from './trace-context.ts';

const eventId = idSchema
  .refine(
    (id) => !id.startsWith(reservedEventIds),
    `must not begin with ${reservedEventIds}: such ids are reserved`,
  )
  .meta({
    description: `Receivers deduplicate by it. Generated when left out. Ids that begin with \`${reservedEventIds}\` are reserved.`,
    example: 'evt_order_42',
  });

/** Of `deliver_at`, and of a delivery that is rescheduled. */
export const maxDaysAhead = 30;

export const publishEventSchema = z
  .strictObject({
    event: eventTypeSchema,
    data: eventDataSchema,
    id: eventId.optional(),
    timestamp: timeSchema.optional().meta({
      description:
        'When it happened, RFC 3339; the time of acceptance when left out. Sent in upper case, a leap second as the second after it.',
    }),
    labels: labelsSchema.optional(),
    account_id: accountIdSchema.optional().meta({ description: 'With a service key only.' }),
    traceparent: traceparentSchema.optional(),
    webhook_ids: webhookIdsSchema.optional(),
    deliver_at: timeSchema.optional().meta({
      description: `When its deliveries make their first attempt, at most ${maxDaysAhead} days ahead; a time in the past means now.`,
    }),
    expires_at: timeSchema.optional().meta({
      description:
        'A delivery that is not delivered by then ends `failed`, reason `expired`. After `deliver_at`, and in the future.',
    }),
    order_key: orderKeySchema.optional(),
  })
  .meta({ id: 'PublishEvent' });
export type PublishEvent = z.infer<typeof publishEventSchema>;

export const maxBatchEvents = 500;
export const maxEventBytes = 256 * 1024;
export const maxBatchBytes = 8 * 1024 * 1024;

/** Each event of a batch is validated on its own, so this schema checks only the list. */
export const publishBatchSchema = z
  .strictObject({
    events: z.array(z.unknown()).min(1).max(maxBatchEvents, `must hold at most ${maxBatchEvents} events`),
  })
  .meta({ id: 'PublishBatch' });

const acceptedDelivery = z.object({
  id: z.string(),
  webhook_id: z.string(),
  status: z.enum(deliveryStatuses),
});

const maxWaitSeconds = 60;

/** A query that waits for the deliveries of an event. */
export const waitQuerySchema = z.strictObject({
  wait: z
    .string()
    .regex(/^([1-9]|[1-5][0-9]|60)$/, `must be a whole number of seconds from 1 to ${maxWaitSeconds}`)
    .transform(Number)
    .optional()
    .meta({
      description: `Respond when all its deliveries have ended, or after so many seconds, ${maxWaitSeconds} at most.`,
      example: '10',
    }),
});

export const acceptedEventSchema = z
  .object({
    id: z.string(),
    duplicate: z
      .boolean()
      .meta({ description: 'True when this id was accepted before: nothing is sent again.' }),
    deliveries: z.array(acceptedDelivery),
  })
  .meta({ id: 'AcceptedEvent' });
export type AcceptedEvent = z.infer<typeof acceptedEventSchema>;

/** `status` is that of a single publish: 202, or a problem's. */
export const batchResultSchema = z
  .object({
    data: z.array(
      z.union([
        acceptedEventSchema.extend({ status: z.literal(202) }),
        z.object({ status: z.int(), error: problemSchema.omit({ request_id: true }) }),
      ]),
    ),
  })
  .meta({ id: 'BatchResult' });

export const eventSummarySchema = z
  .object({
    id: z.string(),
    event: z.string(),
    timestamp: z.string(),
    traceparent: z.string().nullable().meta({ description: 'The trace that its producer gave.' }),
    labels: z.array(z.string()),
    webhook_ids: z
      .array(z.string())
      .nullable()
      .meta({ description: 'The webhooks that it was published for; null: those that subscribe to it.' }),
    order_key: z.string().nullable(),
    deliver_at: z.iso.datetime().nullable().meta({ description: 'Null: at once.' }),
    expires_at: z.iso.datetime().nullable(),
    created_at: z.iso.datetime(),
    expunged_at: z.iso.datetime().nullable().meta({
      description: 'When its data was expunged: since then it has no data, labels and traceparent.',
    }),
    deliveries: z.array(acceptedDelivery),
  })
  .meta({ id: 'EventSummary' });
export type EventSummary = z.infer<typeof eventSummarySchema>;

export const eventSchema = eventSummarySchema
  .extend({
    data: z
      .record(z.string(), z.unknown())
      .nullable()
      .meta({ description: 'Null once it is past its retention or expunged.' }),
    body: z.string().nullable().meta({
      description:
        'The exact text that every attempt sends to a webhook of the format `fltr`; null once it is past its retention or expunged.',
    }),
    other_webhooks: z.array(otherWebhookSchema).meta({
      description:
        'The webhooks of the account that have no delivery of it, newest first, 100 at most, and why. Earlier versions of a webhook are not kept.',
    }),
  })
  .meta({ id: 'Event' });
