import { z } from 'zod';
import { comparedText } from './visible-text.ts';

const maxEntries = 20;
const nameSchema = comparedText
  .min(1, 'must have a name')
  .max(40, 'must have a name of at most 40 characters');

/** Names and values that the service keeps for its users and never sends to a receiver. */
export const metadataSchema = z
  .record(z.string(), comparedText.max(500, 'must have at most 500 characters'))
  .superRefine((entries, { addIssue }) => {
    const names = Object.keys(entries);
    if (names.length > maxEntries)
      addIssue({ code: 'custom', message: `must have at most ${maxEntries} entries` });
    for (const name of names.slice(0, maxEntries))
      for (const { message } of nameSchema.safeParse(name).error?.issues ?? [])
        addIssue({ code: 'custom', message, path: [name] });
  })
  .meta({
    maxProperties: maxEntries,
    propertyNames: { minLength: 1, maxLength: 40 },
    description: 'Texts for your own use, never sent to a receiver.',
    example: { plan: 'enterprise' },
  });
