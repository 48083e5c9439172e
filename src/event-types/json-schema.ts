import { Ajv2020, type AnySchemaObject } from 'ajv/dist/2020.js';
import { CheckTooLong, spend, withBudget } from './check-budget.ts';
import { patternEngine } from './linear-patterns.ts';
import { costKeyword, prepareSchema, type JsonSchema, type SchemaFault } from './prepare-schema.ts';
import { toFaults } from './schema-faults.ts';

/** Returns the faults of a value; empty: it is valid. */
export type CheckValue = (value: unknown) => SchemaFault[];

/** `format` is an annotation, as the specification's default is, and unknown keywords are allowed, as OpenAPI has some. */
const options = { strict: false, allErrors: true, validateFormats: false } as const;

let ofSchemas: Ajv2020 | undefined;

/** The faults of a schema itself, by the meta-schema of 2020-12. */
function faultsOfSchema(schema: JsonSchema): SchemaFault[] {
  ofSchemas ??= new Ajv2020(options);
  const { $schema: _dialect, ...rest } = schema;
  return ofSchemas.validateSchema(rest) === true ? [] : toFaults(ofSchemas.errors ?? []);
}

/**
 * Compiles the schema of an event type's data. Compiling takes up to 0.1 s, so it is done once for each process.
 *
 * @returns the check, or the faults of the schema
 * @example compileSchema({ type: 'object', required: ['id'] }, 'open').check?.({}) // [{ path: ['id'], words: 'is missing' }]
 */
export function compileSchema(
  schema: JsonSchema,
  validation: 'strict' | 'open',
): { check: CheckValue } | { faults: SchemaFault[] } {
  const invalid = faultsOfSchema(schema);
  if (invalid.length > 0) return { faults: invalid };
  const prepared = prepareSchema(schema, validation);
  if (prepared.faults.length > 0) return { faults: prepared.faults };
  try {
    return { check: toCheck(prepared.schema) };
  } catch (error) {
    // A reference that leads nowhere.
    return { faults: [{ path: [], words: `is not valid: ${error instanceof Error ? error.message : ''}` }] };
  }
}

function toCheck(schema: AnySchemaObject): CheckValue {
  // An instance of its own: a shared one would keep every schema for ever.
  const ajv = new Ajv2020({
    ...options,
    meta: false,
    validateSchema: false,
    messages: false,
    // Copies of a part for each reference to it could be many.
    inlineRefs: false,
    code: { regExp: patternEngine, optimize: false },
  });
  ajv.addKeyword({
    keyword: costKeyword,
    schemaType: 'number',
    errors: false,
    validate: (cost: number) => {
      spend(cost);
      return true;
    },
  });
  // Ajv's own compares each item with each other one.
  ajv.removeKeyword('uniqueItems').addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    validate: (isOn: boolean, items: unknown[]) =>
      !isOn || new Set(items.map((item) => canonical(item))).size === items.length,
  });
  const validate = ajv.compile(schema);
  return (value) =>
    withBudget(() => {
      try {
        return validate(value) ? [] : toFaults(validate.errors ?? []);
      } catch (error) {
        // A RangeError: references that lead in a circle, deeper than the stack.
        if (error instanceof CheckTooLong || error instanceof RangeError)
          return [{ path: [], words: 'takes too long to check against the schema of its type: send less' }];
        throw error;
      }
    });
}

/** The same text for equal values, in any order of their names. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}
