import { z } from 'zod';

const orders = ['gt', 'gte', 'lt', 'lte'] as const;
const operators = ['eq', 'ne', 'in', 'not_in', ...orders, 'prefix', 'suffix', 'exists'] as const;
type FilterOperator = (typeof operators)[number];
export type FilterScalar = string | number | boolean | null;

/** A condition on one value of an event. `path`: a JSON pointer. */
export type FilterCondition = { path: string } & (
  | { op: 'eq' | 'ne'; value: FilterScalar }
  | { op: 'in' | 'not_in'; value: FilterScalar[] }
  | { op: (typeof orders)[number]; value: string | number }
  | { op: 'prefix' | 'suffix'; value: string }
  | { op: 'exists'; value?: boolean }
);
/** Which events of its types a webhook gets. */
export type WebhookFilter =
  { all: WebhookFilter[] } | { any: WebhookFilter[] } | { not: WebhookFilter } | FilterCondition;

const maxDepth = 5;
const maxConditions = 50;
const maxValues = 100;
const maxTextLength = 1000;
const maxPathLength = 500;

type Path = (string | number)[];
type Object = Record<string, unknown>;

const isObject = (value: unknown): value is Object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reports each fault of a filter, in words that follow the name of the field. */
function checkFilter(filter: unknown, report: (path: Path, words: string) => void): void {
  let conditions = 0;

  function check(value: unknown, at: Path, level: number): void {
    if (conditions > maxConditions) return;
    if (level > maxDepth) return report(at, `must not nest deeper than ${maxDepth} levels`);
    if (!isObject(value)) return report(at, 'must be an object');
    const names = Object.keys(value);
    const group = names.find((name) => name === 'all' || name === 'any' || name === 'not');
    if (group === undefined) {
      conditions += 1;
      if (conditions > maxConditions) return report([], `must have at most ${maxConditions} conditions`);
      return checkCondition(value, (path, words) => report([...at, ...path], words));
    }
    if (names.length > 1) return report(at, 'must have one of all, any and not alone, or path, op and value');
    const part = value[group];
    if (group === 'not') return check(part, [...at, group], level + 1);
    if (!Array.isArray(part)) return report([...at, group], 'must be a list');
    if (part.length === 0) return report([...at, group], 'must have at least one condition');
    part.forEach((each, index) => check(each, [...at, group, index], level + 1));
  }

  check(filter, [], 1);
}

function checkCondition(condition: Object, report: (path: Path, words: string) => void): void {
  const { path, op, value, ...others } = condition;
  if (path === undefined && op === undefined && value === undefined)
    return report([], 'must have all, any or not, or path, op and value');
  for (const name of Object.keys(others)) report([name], 'is not a known field');
  const fault = faultOfPath(path);
  if (fault) report(['path'], fault);
  if (op === undefined) return report(['op'], 'is missing');
  if (!operators.includes(op as FilterOperator))
    return report(['op'], `must be one of ${operators.join(', ')}`);
  checkValue(op as FilterOperator, value, report);
}

function faultOfPath(path: unknown): string | null {
  if (path === undefined) return 'is missing';
  if (typeof path !== 'string') return 'must be text';
  if (path.length > maxPathLength) return `must have at most ${maxPathLength} characters`;
  if (/~(?![01])/.test(path)) return 'must write ~ as ~0, and / within a name as ~1';
  if (path === '/event' || path === '/data' || path.startsWith('/data/')) return faultOfText(path);
  if (/^\/labels(\/(0|[1-9]\d*))?$/.test(path)) return null;
  return 'must be /event, /labels, or lead into the data, such as /data/status';
}

function faultOfText(text: string): string | null {
  if (text.length > maxTextLength) return `must have at most ${maxTextLength} characters`;
  // PostgreSQL's JSON holds neither.
  if (text.includes('\0')) return 'must not contain the character U+0000';
  return /\p{Surrogate}/u.test(text) ? 'must not contain half of a character' : null;
}

function checkValue(op: FilterOperator, value: unknown, report: (path: Path, words: string) => void): void {
  const isList = op === 'in' || op === 'not_in';
  const fault = isList ? faultOfList(value) : faultOfValue(op, value);
  if (fault) return report(['value'], fault);
  if (!isList) return;
  for (const [index, each] of (value as unknown[]).entries()) {
    const faultOfEach = faultOfScalar(each);
    if (faultOfEach) report(['value', index], faultOfEach);
  }
}

function faultOfList(value: unknown): string | null {
  if (value === undefined) return 'is missing';
  if (!Array.isArray(value)) return 'must be a list';
  if (value.length === 0) return 'must have at least one value';
  return value.length > maxValues ? `must have at most ${maxValues} values` : null;
}

function faultOfValue(op: Exclude<FilterOperator, 'in' | 'not_in'>, value: unknown): string | null {
  if (op === 'exists')
    return value === undefined || typeof value === 'boolean' ? null : 'must be true or false';
  if (value === undefined) return 'is missing';
  switch (op) {
    case 'eq':
    case 'ne':
      return faultOfScalar(value);
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      return typeof value === 'string' || typeof value === 'number'
        ? faultOfScalar(value)
        : 'must be text or a number';
    case 'prefix':
    case 'suffix':
      if (typeof value !== 'string') return 'must be text';
      return value === '' ? 'must not be empty' : faultOfText(value);
  }
}

function faultOfScalar(value: unknown): string | null {
  if (typeof value === 'string') return faultOfText(value);
  // A longer one has lost digits already, and would equal others than itself.
  if (typeof value === 'number')
    return Math.abs(value) <= Number.MAX_SAFE_INTEGER
      ? null
      : 'must be at most 9,007,199,254,740,991, since longer numbers are not exact';
  return value === null || typeof value === 'boolean' ? null : 'must be text, a number, true, false or null';
}

const reference = { $ref: '#/components/schemas/WebhookFilter' };
const group = { type: 'array', minItems: 1, items: reference };
const strictObject = (properties: Record<string, unknown>, required = Object.keys(properties)) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});
const asJsonSchema = {
  type: 'object',
  oneOf: [
    strictObject({ all: group }),
    strictObject({ any: group }),
    strictObject({ not: reference }),
    strictObject(
      {
        path: {
          type: 'string',
          maxLength: maxPathLength,
          description: 'A JSON pointer: `/event`, `/labels`, or into `/data`.',
          example: '/data/status',
        },
        op: { type: 'string', enum: operators },
        value: {
          description:
            'Text, a number, true, false or null; for `in` and `not_in` a list of them; for `exists` true (the default) or false.',
        },
      },
      ['path', 'op'],
    ),
  ],
};

/** Also checks rules that a schema cannot express, such as that a value fits its operator. */
export const filterSchema = z
  .custom<WebhookFilter>()
  .superRefine((value, { addIssue }) =>
    checkFilter(value, (path, message) => addIssue({ code: 'custom', path, message })),
  )
  .meta({
    id: 'WebhookFilter',
    ...asJsonSchema,
    description: `Which events of its types the webhook gets, judged once, when an event is accepted. At most ${maxConditions} conditions and ${maxDepth} levels.`,
    example: { all: [{ path: '/data/status', op: 'eq', value: 'ready' }] },
  });

/** Not `filterSchema.nullable()`, whose OpenAPI schema would refuse null. */
export const nullableFilterSchema = (description: string) =>
  z
    .custom<WebhookFilter | null>()
    .superRefine((value, { addIssue }) => {
      if (value !== null) checkFilter(value, (path, message) => addIssue({ code: 'custom', path, message }));
    })
    .meta({ type: ['object', 'null'], anyOf: [reference, { type: 'null' }], description });
