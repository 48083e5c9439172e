import type { ErrorObject } from 'ajv';
import type { SchemaFault } from './prepare-schema.ts';

const types: Record<string, string> = {
  string: 'text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null',
};

/** More are not looked at: each is compared with those after it. */
const maxErrors = 500;

/**
 * The faults that Ajv found, each once, in words that follow the field's name. The faults of the single alternatives of an
 * `anyOf` or `oneOf` are left out: the fault of the whole is clearer.
 */
export function toFaults(all: readonly ErrorObject[]): SchemaFault[] {
  const errors = all.slice(0, maxErrors);
  const faults = new Map<string, SchemaFault>();
  errors.forEach((error, index) => {
    const isPart = errors.some(
      (other, at) => at > index && isChoice(other) && isWithin(error.instancePath, other.instancePath),
    );
    if (isPart || error.keyword === 'if' || error.keyword === 'propertyNames') return;
    const path = [...toPath(error.instancePath), ...nameOf(error)];
    const key = JSON.stringify(path);
    // One for each field: the first one.
    if (!faults.has(key)) faults.set(key, { path, words: wordsOf(error) });
  });
  return [...faults.values()];
}

const isChoice = ({ keyword }: ErrorObject) =>
  keyword === 'anyOf' || keyword === 'oneOf' || keyword === 'contains';
const isWithin = (path: string, parent: string) => path === parent || path.startsWith(`${parent}/`);

const toPath = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

/** The field that an object lacks, or should not have. */
function nameOf({ keyword, params, propertyName }: ErrorObject): string[] {
  const { missingProperty, additionalProperty, unevaluatedProperty } = params as Record<string, string>;
  const name =
    missingProperty ??
    additionalProperty ??
    unevaluatedProperty ??
    (keyword === 'type' ? undefined : propertyName);
  return name === undefined ? [] : [name];
}

function wordsOf({ keyword, params }: ErrorObject): string {
  const { type, limit, comparison, allowedValue, allowedValues, multipleOf } = params as {
    type?: string | string[];
    limit?: number;
    comparison?: string;
    allowedValue?: unknown;
    allowedValues?: unknown[];
    multipleOf?: number;
  };
  const count = Number(limit).toLocaleString('en');
  switch (keyword) {
    case 'required':
    case 'dependentRequired':
      return 'is missing';
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return 'is not a known field';
    case 'type':
      return `must be ${[type ?? []]
        .flat()
        .map((each) => types[each] ?? each)
        .join(' or ')}`;
    case 'enum':
      return `must be one of ${brief((allowedValues ?? []).map((each) => textOf(each)).join(', '))}`;
    case 'const':
      return `must be ${brief(textOf(allowedValue))}`;
    case 'minLength':
      return limit === 1 ? 'must not be empty' : `must have at least ${count} characters`;
    case 'maxLength':
      return `must have at most ${count} characters`;
    case 'minItems':
      return `must have at least ${count} items`;
    case 'maxItems':
      return `must have at most ${count} items`;
    case 'minProperties':
      return `must have at least ${count} fields`;
    case 'maxProperties':
      return `must have at most ${count} fields`;
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum':
      return `must be ${comparison ?? ''} ${count}`;
    case 'multipleOf':
      return `must be a multiple of ${multipleOf}`;
    case 'uniqueItems':
      return 'must not hold an item twice';
    case 'pattern':
      return 'does not have the right form';
    case 'anyOf':
    case 'oneOf':
      return 'matches none, or several, of the forms that its type allows';
    case 'contains':
      return 'lacks an item that its type requires';
    case 'false schema':
      return 'is not allowed';
    default:
      return `does not match "${keyword}" of its schema`;
  }
}

const textOf = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
const brief = (text: string) => (text.length > 200 ? `${text.slice(0, 200)}…` : text);
