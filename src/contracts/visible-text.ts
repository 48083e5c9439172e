import { z } from 'zod';

// C0, DEL and C1, the separators of lines and paragraphs, and what turns the direction of text. On a terminal, or in a list,
// these can forge what stands around them. Spelled out: JSON Schema's patterns have no classes for it.
const hidden = '\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069';

/** Every such character, for `replaceAll`. */
export const hiddenCharacters = new RegExp(`[${hidden}]`, 'g');

/** One line of text that reads as what it is. */
export const visibleText = z
  .string()
  .regex(
    new RegExp(`^[^${hidden}]*$`),
    'must not contain line breaks, control characters or marks that change the direction of text',
  );

/** Of a key or an account. */
export const nameSchema = visibleText
  .min(1, 'must not be empty')
  .max(100, 'must have at most 100 characters');
