import { z } from 'zod';
import { attemptOutcomes, attemptSchema } from './attempt-schema.ts';
import { timeSchema } from './time.ts';

export const deliveryStatuses = ['pending', 'retrying', 'delivered', 'failed', 'held', 'canceled'] as const;
export type DeliveryStatus = (typeof deliveryStatuses)[number];

/**
 * Why a delivery is deferred: by the hourly cap or the rate limit of its webhook, because its receiver has requested it with
 * `Retry-After`, or because its webhook is down. These deliveries are the queue of the webhook.
 */
export const queueReasons = ['hourly_cap', 'rate_limit', 'receiver_requested', 'down'] as const;
export type QueueReason = (typeof queueReasons)[number];

/** Why a delivery waits: for its next scheduled attempt, for a requested time, or for a slot under a limit. */
export type WaitReason = 'retry' | 'rescheduled' | QueueReason;

/** Why an attempt ended its delivery as failed. One that is held or deferred for too long, or past its `expires_at`, is `expired`. */
export const failureReasons = [
  'client_error',
  'blocked_address',
  'email_rejected',
  'retries_exhausted',
] as const;
export type FailureReason = (typeof failureReasons)[number];

/** The reasons of `waits_for` that the list can be filtered by. Those that wait because a webhook is down are deferred. */
export const waitFilters = ['order', 'scheduled'] as const;
export type WaitFilter = (typeof waitFilters)[number];

/** How many deliveries behind a failed one are counted. */
export const maxBehindCounted = 1000;

const at = z.iso.datetime();

/** One entry of a delivery's timeline, oldest first. */
const timelineEntrySchema = z
  .discriminatedUnion('type', [
    z.object({ at, type: z.literal('accepted') }),
    z.object({
      at,
      type: z.literal('started'),
      run_id: z.string(),
      workflow_id: z
        .string()
        .optional()
        .meta({ description: "The workflow of the run; absent: the delivery's own." }),
    }),
    z.object({
      at,
      type: z.literal('attempt'),
      id: z.string(),
      number: z.int(),
      outcome: z.enum(attemptOutcomes),
      status_code: z.int().nullable(),
      duration_ms: z.int(),
    }),
    z.object({
      at,
      type: z.literal('wait'),
      seconds: z.number(),
      until: at,
      reason: z
        .enum(['scheduled', 'rescheduled', ...queueReasons])
        .optional()
        .meta({ description: 'Why it waits; absent: for its scheduled retry.' }),
    }),
    z.object({ at, type: z.literal('signal'), name: z.string(), by: z.string() }),
    z.object({ at, type: z.literal('held') }),
    z.object({ at, type: z.literal('released') }),
    z.object({
      at,
      type: z.literal('ended'),
      status: z.enum(deliveryStatuses),
      reason: z.string().nullable(),
    }),
  ])
  .meta({ id: 'TimelineEntry' });
export type TimelineEntry = z.infer<typeof timelineEntrySchema>;

const summary = {
  id: z.string().meta({ example: 'dlv_01k' }),
  event_id: z.string(),
  event: z.string(),
  webhook_id: z.string(),
  status: z.enum(deliveryStatuses),
  reason: z.string().nullable(),
  created_at: at,
  next_attempt_at: at.nullable(),
  ended_at: at.nullable(),
  expires_at: at.nullable().meta({
    description: 'If it is not delivered by then, it ends `failed`, reason `expired`; null: never.',
  }),
  order_key: z.string().nullable().meta({
    description:
      'The `order_key` of its event, where its webhook has `ordering: "by_key"`; null: it is in no order, or in one with all events of its webhook.',
  }),
  blocks_line: z
    .object({
      since: at,
      waiting: z
        .int()
        .meta({ description: `Deliveries that wait behind it, counted up to ${maxBehindCounted}.` }),
    })
    .nullable()
    .meta({
      description:
        'It has failed and holds up those behind it in its order, because its webhook has `on_failure: "block"`; null: it does not.',
    }),
  waits_for: z
    .discriminatedUnion('reason', [
      z.object({ reason: z.literal('down'), next_probe_at: at.nullable() }),
      z.object({ reason: z.literal('order'), delivery_id: z.string() }),
      z.object({ reason: z.literal('scheduled') }),
    ])
    .nullable()
    .meta({
      description:
        '`down`: its webhook is down, and the delivery waits until an attempt succeeds. The next one is made at `next_probe_at`; null: one has succeeded, and the deliveries are sent, the oldest first. `scheduled`: for the `deliver_at` of its event, or the time to which it was moved since; `next_attempt_at` is that time. `order`: its webhook has `ordering`, and the delivery begins after the one with `delivery_id` and those before it. Null: for none of these.',
    }),
};

export const deliverySummarySchema = z
  .object({
    ...summary,
    attempt_count: z.int(),
    last_status_code: z.int().nullable(),
    last_error_code: z.string().nullable(),
  })
  .meta({ id: 'DeliverySummary' });
export type DeliverySummary = z.infer<typeof deliverySummarySchema>;

export const deliverySchema = z
  .object({
    ...summary,
    attempts: z.array(attemptSchema),
    timeline: z.array(timelineEntrySchema),
    workflow: z.object({
      id: z.string(),
      run_id: z.string().nullable(),
      url: z
        .string()
        .nullable()
        .meta({ description: 'The workflow in the Temporal Web UI, where its address is known.' }),
    }),
  })
  .meta({ id: 'Delivery' });
export type Delivery = z.infer<typeof deliverySchema>;

/** In examples; the served document replaces it by a time of tomorrow. */
export const timeToCome = '2030-01-01T12:00:00Z';

export const rescheduleSchema = z
  .strictObject({
    next_attempt_at: timeSchema.meta({ description: 'At most 30 days ahead.' }),
  })
  .meta({ id: 'Reschedule' });
