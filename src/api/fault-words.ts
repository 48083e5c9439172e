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

function sizeInWords(origin: string, size: number, bound: 'at least' | 'at most'): string {
  const count = size.toLocaleString('en');
  if (origin === 'string')
    return `must have ${bound} ${size === 1 ? 'one character' : `${count} characters`}`;
  if (origin === 'array') return `must name ${bound} ${size === 1 ? 'one' : count}`;
  return `must be ${count} or ${bound === 'at least' ? 'more' : 'less'}`;
}

/**
 * The fault of a field, in plain words that follow its name.
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
      return sizeInWords(issue.origin, Number(issue.minimum), 'at least');
    case 'too_big':
      return sizeInWords(issue.origin, Number(issue.maximum), 'at most');
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
