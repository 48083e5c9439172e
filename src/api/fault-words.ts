import type { z } from 'zod';

type Issue = z.core.$ZodRawIssue;

const types: Record<string, string> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
};

const counted = (count: unknown, one: string, many: string): string =>
  Number(count) === 1 ? one : `${Number(count).toLocaleString('en')} ${many}`;

/**
 * What is wrong with a field, in plain words that follow its name.
 *
 * @example faultInWords({ code: 'invalid_type', expected: 'string', input: undefined }) // 'is missing'
 */
export function faultInWords(issue: Issue): string {
  if (issue.input === undefined) return 'is missing';
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${types[issue.expected] ?? `of the type ${issue.expected}`}`;
    case 'too_small':
      if (issue.origin === 'string' && issue.minimum === 1) return 'must not be empty';
      if (issue.origin === 'string')
        return `must have at least ${counted(issue.minimum, 'one character', 'characters')}`;
      if (issue.origin === 'array')
        return `must name at least ${counted(issue.minimum, 'one', '')}`.trimEnd();
      return `must be ${Number(issue.minimum).toLocaleString('en')} or more`;
    case 'too_big':
      if (issue.origin === 'string')
        return `must have at most ${counted(issue.maximum, 'one character', 'characters')}`;
      if (issue.origin === 'array') return `must name at most ${counted(issue.maximum, 'one', '')}`.trimEnd();
      return `must be ${Number(issue.maximum).toLocaleString('en')} or less`;
    case 'invalid_format':
      return issue.format === 'datetime'
        ? 'must be a time such as 2026-01-10T12:00:00Z'
        : 'does not have the right form';
    case 'invalid_value':
      return issue.values.length === 1
        ? `must be ${String(issue.values[0])}`
        : `must be one of ${issue.values.map(String).join(', ')}`;
    // Schemas of requests have a message of their own for these.
    case 'custom':
    case 'invalid_element':
    case 'invalid_key':
    case 'invalid_union':
    case 'not_multiple_of':
    case 'unrecognized_keys':
      return 'is not valid';
  }
}
