import { linearPattern } from './linear-patterns.ts';

export type JsonSchema = Record<string, unknown>;
/** `path`: names and indexes from the schema's root. */
export type SchemaFault = { path: (string | number)[]; words: string };

export const maxSubschemas = 500;
const dialect = 'https://json-schema.org/draft/2020-12/schema';
/** The keyword that counts the steps of a check. */
export const costKeyword = '$fltr-cost';

/** How a subschema applies: to a value below the one of its parent, to the same value, or where a reference leads to it. */
type Position = 'below' | 'same' | 'definition';

type Shape = 'one' | 'list' | 'by_name';

/** Every keyword that holds subschemas: alone, in a list, or by name. */
const keywords: ReadonlyMap<string, { shape: Shape; position: Position }> = new Map(
  (
    [
      ['one', 'same', 'not if then else'],
      ['list', 'same', 'allOf anyOf oneOf'],
      ['by_name', 'same', 'dependentSchemas'],
      [
        'one',
        'below',
        'items contains additionalProperties propertyNames unevaluatedItems unevaluatedProperties',
      ],
      ['list', 'below', 'prefixItems'],
      ['by_name', 'below', 'properties patternProperties'],
      ['by_name', 'definition', '$defs definitions'],
    ] as const
  ).flatMap(([shape, position, names]) => names.split(' ').map((name) => [name, { shape, position }])),
);
/** They would change the targets of references or the meaning of keywords. */
const refused = ['$id', '$vocabulary', '$dynamicRef', '$recursiveRef'];

const isObject = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Checks the rules that the meta-schema lacks, and returns a copy that counts the steps of a check, and, for `strict`, refuses
 * fields that no schema names. The schema must be valid by its meta-schema.
 *
 * @example prepareSchema({ type: 'object', properties: { id: {} } }, 'strict').schema.unevaluatedProperties // false
 */
export function prepareSchema(
  root: JsonSchema,
  validation: 'strict' | 'open' | 'none',
): { schema: JsonSchema; faults: SchemaFault[] } {
  const faults: SchemaFault[] = [];
  let count = 0;
  const blame = (path: SchemaFault['path'], words: string) => void faults.push({ path, words });

  function prepare(schema: unknown, path: SchemaFault['path'], position: Position): unknown {
    if (!isObject(schema)) return schema;
    count += 1;
    if (count > maxSubschemas) {
      if (count === maxSubschemas + 1) blame([], `has more than ${maxSubschemas} subschemas`);
      return {};
    }
    checkKeywords(schema, path, blame);
    const copy: JsonSchema = { ...schema };
    for (const [name, value] of Object.entries(schema)) {
      const keyword = keywords.get(name);
      if (!keyword) continue;
      const each = (below: unknown, key?: string | number) =>
        prepare(below, key === undefined ? [...path, name] : [...path, name, key], keyword.position);
      copy[name] = mapParts(value, keyword.shape, each);
    }
    copy[costKeyword] = costOf(schema);
    if (validation === 'strict' && position === 'below' && isClosable(schema) && namesFields(schema, root))
      copy['unevaluatedProperties'] = false;
    return copy;
  }

  const schema = prepare(root, [], 'below') as JsonSchema;
  return { schema, faults };
}

function mapParts(
  value: unknown,
  shape: Shape,
  each: (part: unknown, key?: string | number) => unknown,
): unknown {
  if (shape === 'one') return each(value);
  if (shape === 'list')
    return Array.isArray(value) ? value.map((part: unknown, index) => each(part, index)) : value;
  return isObject(value)
    ? Object.fromEntries(Object.entries(value).map(([key, part]) => [key, each(part, key)]))
    : value;
}

function checkKeywords(
  schema: JsonSchema,
  path: SchemaFault['path'],
  blame: (path: SchemaFault['path'], words: string) => void,
): void {
  for (const name of refused) if (name in schema) blame([...path, name], 'is not supported');
  const { $schema, $ref, pattern, patternProperties } = schema;
  if ($schema !== undefined && $schema !== dialect) blame([...path, '$schema'], `must be ${dialect}`);
  if (typeof $ref === 'string' && !$ref.startsWith('#'))
    blame([...path, '$ref'], 'must lead to a part of the same schema, such as #/$defs/address');
  const checkPattern = (text: string, at: SchemaFault['path']) => {
    try {
      linearPattern(text);
    } catch (error) {
      blame(at, `is not a pattern of RE2: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  if (typeof pattern === 'string') checkPattern(pattern, [...path, 'pattern']);
  if (isObject(patternProperties))
    for (const text of Object.keys(patternProperties))
      checkPattern(text, [...path, 'patternProperties', text]);
}

/** Steps of evaluating a subschema once, without those below it. */
function costOf({ enum: values, const: value, required }: JsonSchema): number {
  const compared = values === undefined && value === undefined ? 0 : JSON.stringify([values, value]).length;
  return 1 + Math.ceil(compared / 16) + (Array.isArray(required) ? Math.ceil(required.length / 4) : 0);
}

/** Whether it has no rule of its own for other fields. */
const isClosable = (schema: JsonSchema) =>
  !('additionalProperties' in schema) && !('unevaluatedProperties' in schema);

/** Whether the schema, or one that applies to the same value, names fields. One that does not is for any object. */
function namesFields(schema: JsonSchema, root: JsonSchema, seen = new Set<unknown>()): boolean {
  if (seen.has(schema)) return false;
  seen.add(schema);
  if ('properties' in schema || 'patternProperties' in schema) return true;
  const same = Object.entries(schema).flatMap(([name, value]) => {
    if (name === '$ref') return typeof value === 'string' ? [resolve(value, root)] : [];
    const keyword = keywords.get(name);
    if (keyword?.position !== 'same') return [];
    return keyword.shape === 'by_name' && isObject(value) ? Object.values(value) : [value].flat();
  });
  return same.some((each) => isObject(each) && namesFields(each, root, seen));
}

/** The target of a reference such as `#/$defs/address`; undefined for an anchor, and where there is none. */
function resolve(ref: string, root: JsonSchema): unknown {
  return ref
    .split('/')
    .slice(1)
    .map((part) => decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>(
      (value, name) => (typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined),
      ref === '#' || ref.startsWith('#/') ? root : undefined,
    );
}
