import { z } from 'zod';
import { accountIdSchema } from './id.ts';
import { metadataSchema } from './metadata.ts';
import { nameSchema } from './visible-text.ts';

const ownLimit = (most: number, least: number) => z.int().min(least).max(most).nullable().optional();

export const putAccountSchema = z
  .strictObject({
    name: nameSchema.optional().meta({ description: 'Without it, a new account is named by its id.' }),
    metadata: metadataSchema.optional().meta({ description: 'Replaces all of it; `{}` removes it.' }),
    limits: z
      .strictObject({
        max_webhooks: ownLimit(100_000, 1).meta({ description: 'Null: FLTR_MAX_WEBHOOKS_PER_ACCOUNT.' }),
        deliveries_per_hour: ownLimit(1_000_000, 0).meta({
          description: 'Of each webhook; 0: no cap; null: FLTR_DELIVERIES_PER_HOUR.',
        }),
      })
      .optional()
      .meta({ description: 'In place of the settings, for this account alone.' }),
  })
  .meta({ id: 'PutAccount', description: 'Fields that are left out stay as they are.' });
export type AccountChange = z.infer<typeof putAccountSchema>;

/** A change by the account itself. */
export const updateOwnAccountSchema = z.strictObject({ name: nameSchema }).meta({ id: 'UpdateOwnAccount' });

/** An account as its own keys see it. */
export const ownAccountSchema = z
  .object({
    id: accountIdSchema,
    name: z.string(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'OwnAccount' });
export type OwnAccount = z.infer<typeof ownAccountSchema>;

export const accountSchema = z
  .object({
    id: accountIdSchema,
    name: z.string(),
    metadata: z.record(z.string(), z.string()),
    limits: z
      .object({ max_webhooks: z.int().nullable(), deliveries_per_hour: z.int().nullable() })
      .meta({ description: "Null: the service's setting applies." }),
    usage: z.object({ webhooks: z.int(), delivered: z.int(), failed: z.int() }).meta({
      description:
        'Its webhooks, of which 1,000 at most are counted, and its deliveries that ended in the last 24 hours, by the hour.',
    }),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    deletion: z
      .object({
        started_at: z.iso.datetime(),
        webhooks: z.int(),
        deliveries: z.int(),
        events: z.int(),
      })
      .nullable()
      .meta({
        description: 'Null, or when its deletion was requested and how many rows it has erased so far.',
      }),
  })
  .meta({ id: 'Account' });
export type Account = z.infer<typeof accountSchema>;
