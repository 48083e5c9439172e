import { z } from 'zod';

// C0, DEL and C1, line and paragraph separators, and marks that change the direction of text. On a terminal or in a list they
// can forge the text around them. Written out, because patterns in JSON Schema have no classes for them.
const hidden = '\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069';

/** Every such character, for `replaceAll`. */
export const hiddenCharacters = new RegExp(`[${hidden}]`, 'g');

/** One line of text without hidden characters. */
export const visibleText = z
  .string()
  .regex(
    new RegExp(`^[^${hidden}]*$`),
    'must not contain line breaks, control characters or marks that change the direction of text',
  );

/** Where half of a character stands alone, which neither UTF-8 nor PostgreSQL can hold. */
const half = /\p{Surrogate}/u;

/** The same, where it is compared or stored as JSON. */
export const comparedText = visibleText.refine(
  (text) => !half.test(text),
  'must not contain half of a character',
);

/** Of a key or an account. */
export const nameSchema = visibleText
  .min(1, 'must not be empty')
  .max(100, 'must have at most 100 characters');
