import { z } from 'zod';
import { attemptErrorCodes } from './attempt-schema.ts';
import { deliveryStatuses, waitFilters, type DeliveryStatus } from './delivery.ts';
import { orderKeyText } from './event-parts.ts';
import { eventTypeSchema } from './event-types.ts';
import { webhookNameSchema } from './external-id.ts';
import { idSchema } from './id.ts';
import { recoveryKinds } from './recovery.ts';
import { timeSchema } from './time.ts';

export const deliveryActions = ['retry', 'cancel', 'reschedule', 'resend'] as const;
export type DeliveryAction = (typeof deliveryActions)[number];

/** `recover`: a recovery of one webhook. */
export const operationActions = ['recover', ...deliveryActions] as const;
export type OperationAction = (typeof operationActions)[number];

export const operationStatuses = ['running', 'paused', 'completed', 'canceled'] as const;
export type OperationStatus = (typeof operationStatuses)[number];

/** The states of deliveries that an action can do something to. */
export const statusesOf: Record<DeliveryAction, readonly DeliveryStatus[]> = {
  retry: ['pending', 'retrying', 'failed'],
  cancel: ['pending', 'retrying', 'held'],
  reschedule: ['pending', 'retrying'],
  resend: ['delivered', 'failed'],
};

/** Why an action was not done to a delivery. */
export const actionFailures = [
  'not_found',
  'delivered',
  'failed',
  'canceled',
  'held',
  'waits_in_order',
  'webhook_not_active',
  'webhook_deleted',
  'payload_removed',
  'expired',
  'changed',
] as const;
export type ActionFailure = (typeof actionFailures)[number];

export const defaultPerSecond = 50;
const maxPerSecond = 1000;
const maxIds = 1000;

const selectionSchema = z
  .strictObject({
    webhook_id: webhookNameSchema.optional(),
    event_id: idSchema.optional(),
    operation_id: idSchema.optional().meta({ description: 'The last operation that acted on it.' }),
    event: eventTypeSchema.optional(),
    status: z.enum(deliveryStatuses).optional().meta({
      description:
        'One that the action can do something to. Without it and without `ids`, all of those: `pending`, `retrying` and `failed` for `retry`; `pending`, `retrying` and `held` for `cancel`; `pending` and `retrying` for `reschedule`; `delivered` and `failed` for `resend`.',
    }),
    deferred: z
      .literal(true)
      .optional()
      .meta({ description: 'Only deliveries that wait because of a limit.' }),
    waits_for: z.enum(waitFilters, 'must be order or scheduled').optional().meta({
      description:
        'Only pending deliveries that wait for those before them in their order, or for their time.',
    }),
    blocks_line: z.literal(true).optional().meta({
      description:
        'Only deliveries that have failed and hold up those behind them in their order. `cancel` applies to them, too.',
    }),
    order_key: orderKeyText.optional().meta({
      description: 'Only deliveries to webhooks with `ordering: "by_key"` of events with this order key.',
    }),
    code: z
      .string()
      .regex(/^([1-5]\d\d|[1-5]xx)$/, 'must be a status such as 404, or a class such as 5xx')
      .optional()
      .meta({
        description: "Status code of the last attempt's response, such as `404`, or a class, such as `5xx`.",
      }),
    error: z
      .enum([...attemptErrorCodes, 'no_response'], 'must be the error code of an attempt, or no_response')
      .optional()
      .meta({
        description:
          'Error code of the last attempt, such as `timeout_response`; `no_response`: any of those that mean that there was no response.',
      }),
    since: timeSchema.optional().meta({
      description:
        'Accepted at or after this time, not in the future. Required without `ids`, `event_id` and `operation_id`.',
    }),
    until: timeSchema
      .optional()
      .meta({ description: 'Accepted before this time; the time of the call when left out.' }),
    ids: z
      .array(idSchema)
      .min(1, 'must have at least one id')
      .max(maxIds, `must have at most ${maxIds} ids`)
      .optional()
      .meta({ description: 'These deliveries, as far as they match the other conditions.' }),
  })
  .meta({ id: 'DeliverySelection' });
export type DeliverySelection = z.infer<typeof selectionSchema>;

export const actOnDeliveriesSchema = z
  .strictObject({
    action: z.enum(deliveryActions).meta({
      description:
        '`retry`, `cancel` and `reschedule` have the effect of the call for one delivery; `resend` sends delivered and failed deliveries again, as `retry` with `force=true` does.',
    }),
    filter: selectionSchema,
    per_second: z
      .int()
      .min(1, `must be from 1 to ${maxPerSecond}`)
      .max(maxPerSecond, `must be from 1 to ${maxPerSecond}`)
      .default(defaultPerSecond)
      .meta({ description: 'Most deliveries that are acted on in a second.' }),
    next_attempt_at: timeSchema
      .optional()
      .meta({ description: 'Of `reschedule`, which requires it: at most 30 days ahead.' }),
    dry_run: z.boolean().optional().meta({ description: 'Count only; nothing is done.' }),
  })
  .meta({ id: 'ActOnDeliveries' });

export const operationSchema = z
  .object({
    id: z.string().meta({ example: 'op_01k', description: 'A recovery has an id that begins with `rec_`.' }),
    action: z.enum(operationActions),
    status: z.enum(operationStatuses),
    dry_run: z.boolean(),
    filter: selectionSchema.meta({ description: 'Of a recovery: its webhook and its window.' }),
    only: z.enum(recoveryKinds).nullable().meta({ description: 'Of a recovery.' }),
    per_second: z.int(),
    next_attempt_at: z.iso.datetime().nullable().meta({ description: 'Of `reschedule`.' }),
    total: z.int().meta({ description: 'Deliveries that matched when it was created.' }),
    done: z.int().meta({ description: 'Acted on so far.' }),
    failed: z.int().meta({ description: 'Could not be acted on.' }),
    failures: z.array(z.object({ reason: z.enum(actionFailures), count: z.int() })).meta({
      description:
        'Why, most frequent first. `delivered`, `failed`, `canceled`, `held`: it was in that state by then. `changed`: it no longer matched, or changed at that moment.',
    }),
    outcome: z
      .object({ delivered: z.int(), failed: z.int(), canceled: z.int(), waiting: z.int() })
      .nullable()
      .meta({
        description:
          'The current state of the deliveries that it acted on last; null before it has ended, in lists, and for a dry run.',
      }),
    requested_by: z.string().meta({ description: 'The key, or the portal link.' }),
    workflow: z.object({
      id: z.string(),
      url: z.string().nullable().meta({ description: 'In the Temporal Web UI; null for a dry run.' }),
    }),
    created_at: z.iso.datetime(),
    ended_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Operation' });
export type Operation = z.infer<typeof operationSchema>;
