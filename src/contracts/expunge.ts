import { z } from 'zod';
import { idSchema } from './id.ts';

export const maxExpungedIds = 500;

export const expungeEventsSchema = z
  .strictObject({
    ids: z
      .array(idSchema)
      .min(1)
      .max(maxExpungedIds, `must hold at most ${maxExpungedIds} ids`)
      .meta({ description: 'Ids of events of the account.' }),
  })
  .meta({ id: 'ExpungeEvents' });

const ids = z.array(z.string());

export const expungedEventsSchema = z
  .object({
    expunged: ids.meta({ description: 'Expunged now, or by an earlier call.' }),
    not_found: ids.meta({ description: 'The account has no such event.' }),
  })
  .meta({ id: 'ExpungedEvents' });
export type ExpungedEvents = z.infer<typeof expungedEventsSchema>;
