import { z } from 'zod';

/** RFC 9457. `code` is stable; `errors[].pointer` is a JSON pointer into the body, or `#query/name`, `#header/name`. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string(),
    detail: z.string(),
    request_id: z.string(),
    errors: z.array(z.object({ pointer: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem' });
export type Problem = z.infer<typeof problemSchema>;

/**
 * The name of a field in the message of its fault, from its pointer. The `data` of an event is left out of it.
 *
 * @example subjectOf('/data/error/code') // 'error.code'
 * @example subjectOf('#query/limit') // 'limit'
 */
export function subjectOf(pointer: string): string {
  const [, ...parts] = pointer.split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const names = parts[0] === 'data' && parts.length > 1 ? parts.slice(1) : parts;
  if (names.length === 0) return 'The body';
  return names
    .map((name, index) => (index === 0 ? name : /^\d+$/.test(name) ? `[${name}]` : `.${name}`))
    .join('');
}
