/** A field of an event's data, as a row of a table. */
export type SchemaRow = {
  /** The last part of the path: `order_id`; of the items of a list, `[ ]`. */
  name: string;
  /** From the root: unique, and the row's name for a screen reader. */
  path: string;
  /** 0: a field of the data itself. */
  depth: number;
  type: string;
  isRequired: boolean;
  description: string;
  constraints: readonly string[];
};

type Schema = Record<string, unknown>;

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
/** A schema may be nested without end by its references, or hold more fields than a table can show. */
const maxDepth = 8;
const maxRows = 300;

/**
 * The fields of a JSON Schema, in its order, nested ones below theirs. Null where it does not say what an object holds, or says
 * it in a way that a table cannot show: then the JSON itself is shown.
 *
 * @example schemaRows({ type: 'object', required: ['id'], properties: { id: { type: 'string' } } }) // one row
 */
export function schemaRows(root: Schema): SchemaRow[] | null {
  const top = resolve(root, root);
  if (top === null || !isSchema(top['properties']) || isCombined(top)) return null;
  const rows: SchemaRow[] = [];
  const isComplete = addFields(rows, root, top, '', 0);
  return isComplete && rows.length > 0 ? rows : null;
}

const isCombined = (schema: Schema): boolean =>
  ['allOf', 'oneOf', 'not', 'if', 'dependentSchemas', 'patternProperties'].some((name) => name in schema);

/** False where not everything could be shown. */
function addFields(rows: SchemaRow[], root: Schema, schema: Schema, path: string, depth: number): boolean {
  const properties = schema['properties'];
  if (!isSchema(properties)) return true;
  const required = Array.isArray(schema['required']) ? (schema['required'] as unknown[]) : [];
  return Object.entries(properties).every(([name, field]) =>
    addField(rows, root, field, {
      name,
      path: path === '' ? name : `${path}.${name}`,
      depth,
      isRequired: required.includes(name),
    }),
  );
}

type Position = Pick<SchemaRow, 'name' | 'path' | 'depth' | 'isRequired'>;

function addField(rows: SchemaRow[], root: Schema, given: unknown, position: Position): boolean {
  if (rows.length >= maxRows || position.depth >= maxDepth) return false;
  const field = given === true ? {} : isSchema(given) ? resolve(root, given) : null;
  if (field === null) return false;
  const one = withoutNull(root, field);
  rows.push({
    ...position,
    type: typeOf(root, field),
    description: typeof field['description'] === 'string' ? field['description'] : '',
    constraints: constraintsOf(one),
  });
  if (isCombined(one)) return false;
  const { path, depth } = position;
  if (!addFields(rows, root, one, path, depth + 1)) return false;
  const items = isSchema(one['items']) ? resolve(root, one['items']) : undefined;
  if (items === null) return false;
  if (items === undefined || !('properties' in items)) return true;
  return addFields(rows, root, items, `${path}[ ]`, depth + 1);
}

/** Follows `$ref` to a part of the same schema; null where it leads nowhere, or in a circle. */
function resolve(root: Schema, schema: Schema): Schema | null {
  let found = schema;
  for (let steps = 0; typeof found['$ref'] === 'string'; steps += 1) {
    const next = steps < maxDepth && partOf(root, found['$ref']);
    if (!isSchema(next)) return null;
    const { $ref: _ref, ...beside } = found;
    found = { ...next, ...beside };
  }
  return found;
}

function partOf(root: Schema, reference: string): unknown {
  if (reference === '#') return root;
  if (!reference.startsWith('#/')) return undefined;
  let part: unknown = root;
  for (const token of reference.slice(2).split('/')) {
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~');
    part = isSchema(part) && Object.hasOwn(part, name) ? part[name] : undefined;
  }
  return part;
}

/** Of `anyOf: [X, null]`, which many tools write for an optional value: X. */
function withoutNull(root: Schema, field: Schema): Schema {
  const choices = choicesOf(root, field)?.filter((choice) => choice['type'] !== 'null');
  return choices?.length === 1 ? { ...field, ...choices[0] } : field;
}

const choicesOf = (root: Schema, { anyOf }: Schema): Schema[] | null =>
  Array.isArray(anyOf) ? anyOf.map((each) => (isSchema(each) && resolve(root, each)) || {}) : null;

function typeOf(root: Schema, field: Schema): string {
  const choices = choicesOf(root, field);
  if (choices) return [...new Set(choices.map((choice) => typeOf(root, choice)))].join(' or ');
  const { type } = field;
  if (Array.isArray(type)) return type.map((each) => nameOf(root, field, each)).join(' or ');
  if (type !== undefined) return nameOf(root, field, type);
  if ('const' in field) return kindOf(field['const']);
  if (Array.isArray(field['enum'])) return [...new Set(field['enum'].map(kindOf))].join(' or ');
  return isSchema(field['properties']) ? 'object' : 'any';
}

const kindOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;

function nameOf(root: Schema, field: Schema, type: unknown): string {
  if (type !== 'array') return String(type);
  const items = isSchema(field['items']) ? resolve(root, field['items']) : null;
  return items === null ? 'array' : `array of ${typeOf(root, items)}`;
}

/** The rules for the value, in words. */
function constraintsOf(field: Schema): string[] {
  const words: [name: string, text: (value: string) => string][] = [
    ['const', (value) => `always ${value}`],
    ['enum', (value) => `one of ${value}`],
    ['format', (value) => `format ${value}`],
    ['pattern', (value) => `matches ${value}`],
    ['minLength', (value) => `at least ${value} characters`],
    ['maxLength', (value) => `at most ${value} characters`],
    ['minimum', (value) => `at least ${value}`],
    ['exclusiveMinimum', (value) => `more than ${value}`],
    ['maximum', (value) => `at most ${value}`],
    ['exclusiveMaximum', (value) => `less than ${value}`],
    ['multipleOf', (value) => `a multiple of ${value}`],
    ['minItems', (value) => `at least ${value} items`],
    ['maxItems', (value) => `at most ${value} items`],
    ['default', (value) => `default ${value}`],
  ];
  const found = words.filter(([name]) => field[name] !== undefined && !isBoundless(name, field[name]));
  const texts = found.map(([name, text]) => text(toText(name, field[name])));
  return field['uniqueItems'] === true ? [...texts, 'all items different'] : texts;
}

/** The bounds of an integer in JavaScript, which zod writes for every integer, say nothing. */
const isBoundless = (name: string, value: unknown): boolean =>
  (name === 'maximum' && value === Number.MAX_SAFE_INTEGER) ||
  (name === 'minimum' && value === Number.MIN_SAFE_INTEGER);

function toText(name: string, value: unknown): string {
  if (name === 'enum' && Array.isArray(value)) return value.map((each) => JSON.stringify(each)).join(', ');
  if (name === 'format' || name === 'pattern') return String(value);
  return typeof value === 'number' ? value.toLocaleString() : JSON.stringify(value);
}
