import { z } from 'zod';
import { attemptSchema } from './attempt.ts';
import { eventTypes } from './event-types.ts';
import { idSchema } from './id.ts';

/** What a webhook may subscribe to: a type's name, or a family. Kept as given. */
export const eventFilters = ['*', 'document.*', 'dataset.*', ...eventTypes] as const;
export const eventFilterSchema = z
  .enum(eventFilters)
  .meta({ id: 'EventFilter', description: 'A type, `document.*`, `dataset.*`, or `*` for all seven.' });

const url = z.string().min(1).meta({
  description: 'https only in production; http only to localhost outside it.',
  example: 'https://your-app.com/webhooks/fltr',
});
const events = z
  .array(eventFilterSchema)
  .min(1)
  .max(eventFilters.length)
  .refine((list) => new Set(list).size === list.length, 'must not name a type twice');
// PostgreSQL's text cannot hold a NUL.
const description = z
  .string()
  .max(500)
  .refine((text) => !text.includes('\0'), 'must not contain a NUL character');

export const createWebhookSchema = z
  .strictObject({ url, events, description: description.optional(), active: z.boolean().optional() })
  .meta({ id: 'CreateWebhook' });

export const updateWebhookSchema = z
  .strictObject({
    url: url.optional(),
    events: events.optional(),
    description: description.nullable().optional(),
    active: z.boolean().optional(),
  })
  .refine((patch) => Object.keys(patch).length > 0, 'must change at least one field')
  .meta({ id: 'UpdateWebhook' });

export const webhookSchema = z
  .object({
    webhook_id: z.string().meta({ example: 'wh_01k' }),
    url: z.string(),
    events: z.array(z.string()),
    created_at: z.iso.datetime(),
    active: z.boolean(),
    description: z.string().nullable(),
    secret_created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'Webhook' });
export type Webhook = z.infer<typeof webhookSchema>;

export const createdWebhookSchema = webhookSchema
  .extend({ secret: z.string().meta({ description: '`whsec_` and base64 of 32 random bytes.' }) })
  .meta({ id: 'CreatedWebhook' });

export const webhookSecretSchema = z
  .object({ webhook_id: z.string(), secret: z.string() })
  .meta({ id: 'WebhookSecret' });

export const testWebhookSchema = z
  .strictObject({ webhook_id: idSchema, event: z.enum(eventTypes) })
  .meta({ id: 'TestWebhook' });

/** What came of a test event: one attempt, made at once, neither retried nor kept in the log. */
export const testResultSchema = z
  .object({ webhook_id: z.string(), event_id: z.string(), event: z.string(), attempt: attemptSchema })
  .meta({ id: 'TestResult' });
