import { z } from 'zod';
import { comparedText } from './visible-text.ts';

/** A webhook's name in the systems of its account. Unique among the account's webhooks. */
export const externalIdSchema = comparedText
  .min(1, 'must not be empty')
  .max(200, 'must have at most 200 characters')
  .refine((text) => !text.startsWith('wh_'), 'must not begin with wh_: so do the ids that the service makes')
  .refine((text) => text === text.trim(), 'must not begin or end with white space')
  // A client removes them from a path.
  .refine((text) => text !== '.' && text !== '..', 'must not be . or ..')
  .meta({
    description:
      'Your own id of the webhook, unique in the account. Calls accept it wherever they accept the id.',
    example: 'customer-42',
  });

/** How a call names a webhook: by its id, or by its external id. */
export const webhookNameSchema = z
  .string()
  .min(1, 'must not be empty')
  .max(200, 'must have at most 200 characters')
  .meta({ description: "The webhook's id, or its external id." });
