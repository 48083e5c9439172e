import { z } from 'zod';
import { timeSchema } from './time.ts';

export const recoveryStatuses = ['running', 'paused', 'completed', 'canceled'] as const;
export type RecoveryStatus = (typeof recoveryStatuses)[number];

export const recoveryKinds = ['failed', 'missed'] as const;
export type RecoveryKind = (typeof recoveryKinds)[number];

export const recoverWebhookSchema = z
  .strictObject({
    since: timeSchema.meta({
      description: 'Events accepted at or after this time. Not in the future.',
      example: '2024-01-10T12:00:00Z',
    }),
    until: timeSchema
      .optional()
      .meta({ description: 'Events accepted before this time; the time of the call when left out.' }),
    only: z.enum(recoveryKinds).optional().meta({
      description:
        '`failed`: deliveries that ended failed. `missed`: events that the webhook matches and never had a delivery for, such as those from before it was created. Both when left out.',
    }),
    dry_run: z.boolean().optional().meta({ description: 'Count only; nothing is sent.' }),
  })
  .meta({ id: 'RecoverWebhook' });

export const recoverySchema = z
  .object({
    id: z.string().meta({ example: 'rec_01k' }),
    webhook_id: z.string(),
    status: z.enum(recoveryStatuses),
    dry_run: z.boolean(),
    total: z.int().meta({ description: 'Deliveries to send again when it was created.' }),
    done: z.int().meta({ description: 'Sent again so far.' }),
    failed: z.int().meta({ description: 'Could not be sent again.' }),
    outcome: z
      .object({
        delivered: z.int(),
        failed: z.int(),
        canceled: z.int(),
        waiting: z.int().meta({ description: 'Not ended yet: pending, retrying or held.' }),
      })
      .nullable()
      .meta({
        description:
          'The current state of the deliveries that it sent again; null before it has ended, and for a dry run.',
      }),
    since: z.iso.datetime(),
    until: z.iso.datetime(),
    only: z.enum(recoveryKinds).nullable(),
    created_at: z.iso.datetime(),
    ended_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Recovery' });
export type Recovery = z.infer<typeof recoverySchema>;
