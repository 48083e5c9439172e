import { builtInEventTypes, maxSchemaBytes, type EventTypeDefinition } from '../contracts/event-types.ts';
import { isOperational } from '../domain/subscription.ts';
import { compileSchema } from './json-schema.ts';
import type { SchemaFault } from './prepare-schema.ts';

export type { SchemaFault } from './prepare-schema.ts';

/** Whether nobody may define a type of that name: operational events have it, or it is built in. */
export function isReservedName(name: string, hasBuiltIn: boolean): boolean {
  return isOperational(name) || (hasBuiltIn && builtInEventTypes.some((each) => each === name));
}

/**
 * The faults of a definition: of its schema, and of its example by the schema. `path`: from the definition.
 *
 * @example faultsOfDefinition({ description: '', schema: { type: 'objekt' }, validation: 'open', deprecated: false })
 *   // [{ path: ['schema', 'type'], words: 'must be one of …' }]
 */
export function faultsOfDefinition({ schema, example, validation }: EventTypeDefinition): SchemaFault[] {
  if (!schema) return [];
  const below = (name: string, faults: SchemaFault[]) =>
    faults.map(({ path, words }) => ({ path: [name, ...path], words }));
  const bytes = Buffer.byteLength(JSON.stringify(schema));
  if (bytes > maxSchemaBytes)
    return [{ path: ['schema'], words: `has ${bytes} bytes: ${maxSchemaBytes} at most` }];
  const compiled = compileSchema(schema, validation === 'strict' ? 'strict' : 'open');
  if ('faults' in compiled) return below('schema', compiled.faults);
  if (!example || validation === 'none') return [];
  return below('example', compiled.check(example));
}
