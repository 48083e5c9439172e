import { z } from 'zod';
import { eventTypeSchema } from './event-types.ts';
import { eventDataSchema, labelsSchema } from './event-parts.ts';
import { nullableFilterSchema } from './filter.ts';

export const matchEventSchema = z
  .strictObject({ event: eventTypeSchema, data: eventDataSchema, labels: labelsSchema.optional() })
  .meta({ id: 'MatchEvent' });
export type MatchEvent = z.infer<typeof matchEventSchema>;

/** Why a webhook, with its present settings, does not get an event. */
export const mismatchReasons = ['type', 'filter', 'about_itself'] as const;
const otherReasons = ['not_named', 'created_later', 'changed_later', 'data_removed'] as const;

const message = z.string().meta({ description: 'The reason in words.' });
const condition = nullableFilterSchema(
  'The part of the filter that the event does not meet; null where it does, or has no filter.',
);

export const matchSchema = z
  .object({
    matches: z.boolean(),
    because: z
      .object({ reason: z.enum(mismatchReasons), message, condition })
      .nullable()
      .meta({ description: 'Why it does not match; null where it does.' }),
  })
  .meta({ id: 'WebhookMatch' });
export type WebhookMatch = z.infer<typeof matchSchema>;

export const otherWebhookSchema = z
  .object({
    webhook_id: z.string(),
    because: z.object({
      reason: z.enum([...mismatchReasons, ...otherReasons]).meta({
        description:
          '`type`: not among its event types. `filter`: its filter. `about_itself`: an operational event about this webhook. `not_named`: the event names other webhooks. `created_later`, `changed_later`: it was created, or its types or filter were changed, after the event. `data_removed`: its filter cannot be judged, because the data was removed.',
      }),
      message,
      condition,
    }),
    matches_now: z.boolean().nullable().meta({
      description: 'Whether it would get the event as it is now; null where that cannot be judged.',
    }),
  })
  .meta({ id: 'OtherWebhook' });
export type OtherWebhook = z.infer<typeof otherWebhookSchema>;
