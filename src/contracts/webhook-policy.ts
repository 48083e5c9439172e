import { z } from 'zod';
import { filterSchema, nullableFilterSchema } from './filter.ts';

/** The presets of `retry`; which waits each means: `src/domain/retry-policy.ts`. */
export const retryPresets = ['page', 'day', 'three_days', 'week', 'none'] as const;
export type RetryPreset = (typeof retryPresets)[number];
/** Client errors that a policy may retry. */
export const retriedClientErrors = ['408', '425', '429', '4xx'] as const;
export type RetriedClientError = (typeof retriedClientErrors)[number];

/** Which deliveries of a webhook are made one after the other. */
export const orderings = ['by_key', 'all'] as const;
export type Ordering = (typeof orderings)[number];
/** Whether the deliveries behind a failed one continue (`skip`) or wait (`block`). */
export const failureActions = ['skip', 'block'] as const;
export type OnFailure = (typeof failureActions)[number];

/** Of an attempt of a webhook that has its own time limit. */
export const maxTimeoutMs = 30_000;

const maxWaits = 20;
const maxWaitSeconds = 86_400;
const maxScheduleSeconds = 8 * 86_400;

const retrySchema = z
  .strictObject({
    preset: z.enum(retryPresets).optional().meta({
      description: '`page` is the default of the service. Either this or `schedule_seconds`.',
    }),
    schedule_seconds: z
      .array(z.int().min(1).max(maxWaitSeconds))
      .max(maxWaits, `must have at most ${maxWaits} waits`)
      .refine((waits) => waits.reduce((sum, wait) => sum + wait, 0) <= maxScheduleSeconds, {
        message: 'must last at most 8 days in all',
      })
      .optional()
      .meta({ description: 'The wait before each retry; as many retries as waits. 8 days in all at most.' }),
    also: z
      .array(z.enum(retriedClientErrors))
      .max(retriedClientErrors.length)
      .refine((list) => new Set(list).size === list.length, 'must not name a status twice')
      .optional()
      .meta({ uniqueItems: true, description: 'Client errors that are retried. Default: none.' }),
    jitter: z
      .number()
      .min(0)
      .max(0.2)
      .optional()
      .meta({ description: 'Each wait is longer or shorter by up to this share of it. Default: 0.' }),
    on_gone: z.enum(['fail', 'disable']).optional().meta({
      description: 'Effect of the response 410: the delivery fails, or the webhook is disabled, too.',
    }),
  })
  .refine((retry) => (retry.preset === undefined) !== (retry.schedule_seconds === undefined), {
    message: 'must have either preset or schedule_seconds',
  })
  .meta({ id: 'RetryPolicy', example: { preset: 'day' } });
export type RetryPolicy = z.infer<typeof retrySchema>;

const secretText = z.string().min(1, 'must not be empty').max(8192);
// Written out, because patterns in JSON Schema have no classes for them.
const controls = '\\u0000-\\u001f\\u007f-\\u009f';
const visibleAscii = 'must be visible ASCII characters';
/** RFC 6749, appendix A. */
const visibleWithSpaces = [/^[ -~]*$/, `${visibleAscii} and spaces`] as const;
const pem = z.string().min(1, 'must not be empty').max(16_384).meta({ description: 'PEM.' });

const authSchema = z
  .discriminatedUnion(
    'type',
    [
      z.strictObject({
        type: z.literal('basic'),
        username: z
          .string()
          .max(255)
          .regex(new RegExp(`^[^:${controls}]*$`), 'must have neither a colon nor control characters'),
        password: secretText.regex(new RegExp(`^[^${controls}]*$`), 'must not contain control characters'),
      }),
      z.strictObject({
        type: z.literal('bearer'),
        token: secretText.regex(/^[!-~]*$/, `${visibleAscii}, without spaces`),
      }),
      z.strictObject({
        type: z.literal('oauth2'),
        token_url: z.string().min(1, 'must not be empty').max(2048),
        client_id: z
          .string()
          .min(1, 'must not be empty')
          .max(255)
          .regex(...visibleWithSpaces),
        client_secret: secretText.regex(...visibleWithSpaces),
        scope: z
          .string()
          .max(1000)
          .regex(...visibleWithSpaces)
          .optional(),
        audience: z
          .string()
          .max(1000)
          .regex(...visibleWithSpaces)
          .optional(),
      }),
      z.strictObject({ type: z.literal('mtls'), certificate: pem, key: pem, ca: pem.optional() }),
    ],
    {
      error: ({ code }) => (code === 'invalid_union' ? 'must be basic, bearer, oauth2 or mtls' : undefined),
    },
  )
  .meta({
    id: 'WebhookAuth',
    description:
      'How requests authenticate. Write-only: responses show the type and the fields that are not secret. `oauth2`: client credentials; the service gets access tokens from `token_url`. `mtls`: a client certificate; the receiver is verified with `ca` where it is given, else with the public authorities.',
  });
export type WebhookAuth = z.infer<typeof authSchema>;

/** The part that responses show. */
const shownAuthSchema = z
  .object({
    type: z.enum(['basic', 'bearer', 'oauth2', 'mtls']),
    username: z.string().optional(),
    token_url: z.string().optional(),
    client_id: z.string().optional(),
    scope: z.string().optional(),
    audience: z.string().optional(),
  })
  .meta({ id: 'ShownWebhookAuth' });
export type ShownWebhookAuth = z.infer<typeof shownAuthSchema>;

const headerValue = z.string().max(8192);
const maxHeaders = 20;
const headersSchema = <T extends z.ZodType>(value: T) =>
  z
    .record(z.string(), value)
    .refine(
      (headers) => Object.keys(headers).length <= maxHeaders,
      `must have at most ${maxHeaders} headers`,
    );

const rateLimitSchema = z
  .strictObject({ attempts: z.int().min(1).max(10_000), seconds: z.int().min(1).max(3600) })
  .meta({ id: 'RateLimit', example: { attempts: 10, seconds: 1 } });
export type RateLimit = z.infer<typeof rateLimitSchema>;

export const signatureVersions = ['v1', 'v1a'] as const;
export type SignatureVersion = (typeof signatureVersions)[number];
const signaturesSchema = z
  .array(z.enum(signatureVersions))
  .min(1, 'must name at least one version')
  .refine((list) => new Set(list).size === list.length, 'must not name a version twice')
  .meta({ uniqueItems: true });

const plainFields = {
  retry: retrySchema,
  timeout_ms: z.int().min(1000).max(maxTimeoutMs).meta({
    description: 'Time limit of an attempt, with the request for an access token if there is one.',
  }),
  auth: authSchema,
  filter: filterSchema,
  rate_limit: rateLimitSchema,
  max_concurrent: z.int().min(1).max(100).meta({ description: 'Requests under way at once.' }),
  signatures: signaturesSchema.meta({
    description:
      'Versions in `webhook-signature`: `v1` (HMAC with the secret, the default), `v1a` (ed25519, verified with the public key).',
  }),
  probe_when_down: z.boolean().meta({
    description: 'While the receiver is down, one attempt at a time tests it; the others are deferred.',
  }),
  ordering: z.enum(orderings).meta({
    description:
      '`by_key`: the events with the same `order_key` are delivered one after the other, in order of acceptance. `all`: all events are. A change applies to events that are accepted from then on.',
  }),
  on_failure: z.enum(failureActions).meta({
    description:
      'With `ordering`. `skip` (the default): after a delivery has failed, the next one is made. `block`: those behind it wait until it is retried with success or canceled.',
  }),
};

/** The policy in a new webhook, or one that replaces another: fields that are left out have their defaults. */
export const newPolicy = {
  retry: plainFields.retry.optional(),
  timeout_ms: plainFields.timeout_ms.optional(),
  headers: headersSchema(headerValue).optional(),
  auth: plainFields.auth.optional(),
  filter: plainFields.filter.optional(),
  rate_limit: plainFields.rate_limit.optional(),
  max_concurrent: plainFields.max_concurrent.optional(),
  signatures: plainFields.signatures.optional(),
  probe_when_down: plainFields.probe_when_down.optional(),
  ordering: plainFields.ordering.optional(),
  on_failure: plainFields.on_failure.optional(),
};

/** The policy in a change: `null` sets the default. */
export const changedPolicy = {
  retry: plainFields.retry.nullable().optional(),
  timeout_ms: plainFields.timeout_ms.nullable().optional(),
  headers: headersSchema(headerValue.nullable()).nullable().optional().meta({
    description: 'Headers to set; one that is `null` is removed, `null` removes all of them.',
  }),
  auth: plainFields.auth.nullable().optional(),
  filter: nullableFilterSchema('`null` removes it.').optional(),
  rate_limit: plainFields.rate_limit.nullable().optional(),
  max_concurrent: plainFields.max_concurrent.nullable().optional(),
  signatures: plainFields.signatures.nullable().optional(),
  probe_when_down: plainFields.probe_when_down.nullable().optional(),
  ordering: plainFields.ordering.nullable().optional(),
  on_failure: plainFields.on_failure.nullable().optional(),
};
const changedPolicySchema = z.object(changedPolicy);
/** A change of the policy; of a new webhook, too. */
export type PolicyChange = z.output<typeof changedPolicySchema>;

export const healthStates = ['healthy', 'failing', 'down'] as const;
export type HealthState = (typeof healthStates)[number];

/** The policy in responses, with the state that results from it. */
export const shownPolicy = {
  retry: retrySchema,
  timeout_ms: z.int().nullable().meta({ description: 'null: the time limit of the service.' }),
  headers: z.record(z.string(), z.object({ set: z.literal(true) })),
  auth: shownAuthSchema.nullable(),
  filter: nullableFilterSchema('null: it gets all events of its types.'),
  rate_limit: rateLimitSchema.nullable(),
  max_concurrent: z.int().nullable(),
  signatures: signaturesSchema,
  probe_when_down: z.boolean(),
  ordering: z.enum(orderings).nullable().meta({ description: 'null: in no order.' }),
  on_failure: z.enum(failureActions),
  blocked_lines: z.int().meta({
    description:
      'With `on_failure: "block"`: how many order keys a failed delivery blocks, counted up to 1,000.',
  }),
  health: z
    .object({
      state: z.enum(healthStates),
      since: z.iso.datetime().nullable().meta({ description: 'null: since it exists.' }),
      next_probe_at: z.iso.datetime().nullable().meta({
        description: 'When the receiver is tested next; until then all attempts are deferred.',
      }),
    })
    .meta({ id: 'WebhookHealth', description: 'From the attempts of the last hour.' }),
  paused: z
    .object({
      at: z.iso.datetime(),
      until: z.iso.datetime().nullable(),
      reason: z.string().nullable(),
    })
    .nullable()
    .meta({ description: 'Only while it is paused.' }),
};
const shownPolicySchema = z.object(shownPolicy);
export type ShownPolicy = z.infer<typeof shownPolicySchema>;
