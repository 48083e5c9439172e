import { z } from 'zod';

/** `limit` 1–100 (default 50) and an opaque `cursor`, as in a query string. */
export const pageQuery = {
  limit: z
    .string()
    .regex(/^([1-9][0-9]?|100)$/, 'must be a whole number from 1 to 100')
    .default('50')
    .transform(Number)
    .meta({ description: '1 to 100.', example: '50' }),
  cursor: z.string().max(500).optional().meta({ description: '`next_cursor` of the previous page.' }),
};

export function pageOf<T extends z.ZodType>(item: T, name: string) {
  return z
    .object({ data: z.array(item), next_cursor: z.string().nullable() })
    .meta({ id: name, description: 'One page of a list, newest first.' });
}
