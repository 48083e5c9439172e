import { z } from 'zod';
import { attemptSchema } from './attempt-schema.ts';
import { eventFilterSchema, eventTypeSchema } from './event-types.ts';
import { externalIdSchema, webhookNameSchema } from './external-id.ts';
import { metadataSchema } from './metadata.ts';
import { ownSecretSchema } from './own-secret.ts';
import { pageQuery } from './page.ts';
import { comparedText, visibleText } from './visible-text.ts';
import { webhookFormatSchema } from './webhook-format.ts';
import { changedPolicy, newPolicy, shownPolicy } from './webhook-policy.ts';

const url = z.string().min(1, 'must not be empty').meta({
  maxLength: 2048,
  format: 'uri',
  description: 'https only in production; http only to localhost outside it.',
  example: 'https://your-app.com/webhooks/fltr',
});
const events = z
  .array(eventFilterSchema)
  .min(1, 'must name at least one type')
  .max(100)
  .refine((list) => new Set(list).size === list.length, 'must not name a type twice')
  .meta({ uniqueItems: true });
const description = visibleText.max(500, 'must have at most 500 characters');

const format = webhookFormatSchema;

const newWebhook = {
  url,
  events,
  description: description.optional(),
  active: z.boolean().optional(),
  format: format.optional(),
  metadata: metadataSchema.optional(),
  secret: ownSecretSchema.optional(),
  ...newPolicy,
};

export const createWebhookSchema = z
  .strictObject({ ...newWebhook, external_id: externalIdSchema.optional() })
  .meta({ id: 'CreateWebhook' });

export const putWebhookSchema = z.strictObject(newWebhook).meta({ id: 'PutWebhook' });

export const updateWebhookSchema = z
  .strictObject({
    url: url.optional(),
    events: events.optional(),
    description: description.nullable().optional(),
    active: z.boolean().optional(),
    format: format.optional(),
    external_id: externalIdSchema.nullable().optional().meta({ description: '`null` removes it.' }),
    metadata: metadataSchema.optional().meta({ description: 'Replaces all of it; `{}` removes it.' }),
    ...changedPolicy,
    apply_to: z.enum(['waiting']).optional().meta({
      description:
        'With `retry`: waiting deliveries get the new schedule, too. Without it they keep their own.',
    }),
    held: z.enum(['deliver', 'discard']).optional().meta({
      description:
        'With `active: true`: whether held deliveries are delivered or discarded. Default: `deliver`.',
    }),
  })
  .refine((patch) => patch.held === undefined || patch.active === true, {
    message: 'needs active: true',
    path: ['held'],
  })
  .refine((patch) => patch.apply_to === undefined || patch.retry !== undefined, {
    message: 'needs retry',
    path: ['apply_to'],
  })
  .refine((patch) => Object.keys(patch).length > 0, 'must change at least one field')
  .meta({ id: 'UpdateWebhook' });
export type WebhookChange = z.output<typeof updateWebhookSchema>;

export const disabledReasons = ['failure_rate', 'gone', 'down'] as const;
export type DisabledReason = (typeof disabledReasons)[number];

export const webhookSchema = z
  .object({
    webhook_id: z.string().meta({ example: 'wh_01k' }),
    url: z.string(),
    events: z.array(z.string()),
    created_at: z.iso.datetime(),
    active: z.boolean(),
    description: z.string().nullable(),
    format,
    external_id: z.string().nullable(),
    metadata: z.record(z.string(), z.string()),
    warning: z
      .boolean()
      .meta({ description: 'At least half of the deliveries that ended in the last 24 hours failed.' }),
    auto_disabled: z
      .object({
        at: z.iso.datetime(),
        reason: z.enum(disabledReasons).meta({
          description:
            '`failure_rate`: too many deliveries failed. `gone`: the receiver responded 410. `down`: a webhook that probes was down for 24 hours.',
        }),
        failure_rate: z.number(),
        ended: z.int(),
        failed: z.int(),
      })
      .nullable()
      .meta({ description: 'When and why it was disabled automatically; null once it is active again.' }),
    hourly_cap: z
      .object({
        limit: z.int(),
        used: z.int().meta({ description: 'Attempts in the last hour.' }),
        next_at: z.iso.datetime().nullable().meta({ description: 'Time of the first deferred attempt.' }),
        deferred_until: z.iso
          .datetime()
          .nullable()
          .meta({ description: 'Time of the last deferred attempt.' }),
      })
      .nullable()
      .optional()
      .meta({ description: 'Only when a single webhook is requested; null: no cap.' }),
    secret_created_at: z.iso.datetime(),
    secret_due: z.boolean().meta({ description: 'The secret is older than 90 days: time to rotate it.' }),
    previous_secret_until: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'The previous secret signs until then; null without an overlap.' }),
    ...shownPolicy,
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'Webhook' });
export type Webhook = z.infer<typeof webhookSchema>;

export const webhookQuerySchema = z
  .strictObject({
    ...pageQuery,
    external_id: externalIdSchema.optional(),
    metadata_key: comparedText.optional().meta({
      description: 'Only webhooks whose metadata has an entry of this name.',
      example: 'plan',
    }),
    metadata_value: comparedText.optional().meta({
      description: 'With `metadata_key`: only those where it has this value.',
      example: 'pro',
    }),
  })
  .refine((query) => query.metadata_value === undefined || query.metadata_key !== undefined, {
    message: 'needs metadata_key',
    path: ['metadata_value'],
  });

const secret = z
  .string()
  .meta({ description: '`whsec_` and base64 of 32 random bytes, unless it was given.' });

export const createdWebhookSchema = webhookSchema.extend({ secret }).meta({ id: 'CreatedWebhook' });

export const rotateSecretSchema = z
  .strictObject({
    overlap_seconds: z.int().min(0).max(604_800).default(86_400).meta({
      description: 'How long the previous secret continues to sign: 0 to 7 days. 0 ends it at once.',
    }),
    secret: ownSecretSchema.optional(),
    end_overlap: z.boolean().default(false).meta({
      description:
        'Rotate during the overlap of an earlier rotation: the secret before the current one ends at once.',
    }),
  })
  .meta({ id: 'RotateSecret' });

export const rotatedWebhookSchema = webhookSchema.extend({ secret }).meta({ id: 'RotatedWebhook' });

export const webhookSecretSchema = z
  .object({
    webhook_id: z.string(),
    secret,
    previous_secret: secret
      .nullable()
      .meta({ description: 'The previous secret, while it still signs; null without an overlap.' }),
    previous_secret_until: z.iso.datetime().nullable(),
  })
  .meta({ id: 'WebhookSecret' });

export const testWebhookSchema = z
  .strictObject({ webhook_id: webhookNameSchema, event: eventTypeSchema })
  .meta({ id: 'TestWebhook' });

/** The outcome of a test event: one attempt, made at once, neither retried nor logged. */
export const testResultSchema = z
  .object({ webhook_id: z.string(), event_id: z.string(), event: z.string(), attempt: attemptSchema })
  .meta({ id: 'TestResult' });

export const attemptCounts = {
  attempts: z.int(),
  failed_attempts: z
    .int()
    .meta({ description: 'Attempts that did not deliver, including those that are retried.' }),
  delivered: z.int().meta({ description: 'Deliveries that ended delivered.' }),
  failed: z.int().meta({ description: 'Deliveries that ended failed.' }),
};
export const failureRate = z
  .number()
  .nullable()
  .meta({ description: 'failed / (delivered + failed); null where none ended.' });
/** The states in which a delivery waits. */
export const webhookWaiting = z
  .object({
    pending: z.int().meta({ description: 'Not attempted yet, or deferred.' }),
    deferred: z.int().meta({ description: 'Those of `pending` that wait because of a limit.' }),
    scheduled: z
      .int()
      .meta({ description: 'Those of `pending` that wait for the `deliver_at` of their event.' }),
    retrying: z.int(),
    held: z.int(),
  })
  .meta({
    description: 'Deliveries that have not ended. Each number is 1,000 at most.',
  });
export type WebhookWaiting = z.infer<typeof webhookWaiting>;
export const responseMs = z
  .object({ p50: z.number().nullable(), p95: z.number().nullable(), p99: z.number().nullable() })
  .meta({
    description:
      'Response times in ms, rounded to the steps of a histogram. Attempts without a response do not count.',
  });

export const webhookStatsSchema = z
  .object({
    webhook_id: z.string(),
    since: z.iso.datetime(),
    until: z.iso.datetime(),
    ...attemptCounts,
    failure_rate: failureRate,
    waiting: webhookWaiting,
    response_ms: responseMs,
    hourly: z.array(z.object({ hour: z.iso.datetime(), ...attemptCounts, response_ms: responseMs })),
  })
  .meta({ id: 'WebhookStats' });
export type WebhookStats = z.infer<typeof webhookStatsSchema>;
