import { readFileSync } from 'node:fs';
import { z } from 'zod';
import {
  eventTypeDefinitionSchema,
  eventTypePattern,
  type EventTypeDefinition,
} from '../contracts/event-types.ts';
import { StartError } from '../errors.ts';
import { faultsOfDefinition, isReservedName, type SchemaFault } from './definition.ts';

export type NamedDefinition = EventTypeDefinition & { name: string };

const maxFileTypes = 1000;

/**
 * The event types of FLTR_EVENT_TYPES_FILE: `{"types": {"order.paid": {"description": "…", "schema": {…}}}}`.
 *
 * @throws StartError that lists every fault
 */
export function readEventTypesFile(path: string, hasBuiltIn: boolean): NamedDefinition[] {
  const faults: string[] = [];
  const types = definitionsOf(readJson(path), faults).map(({ name, definition }) => {
    const at = `types["${name}"]`;
    if (!eventTypePattern.test(name))
      faults.push(`${at}: the name must be 2 to 6 parts of a-z, 0-9 and _, joined by full stops`);
    else if (isReservedName(name, hasBuiltIn)) faults.push(`${at}: the name is reserved`);
    const parsed = eventTypeDefinitionSchema.safeParse(definition);
    if (!parsed.success) {
      for (const { path: parts, message } of parsed.error.issues) faults.push(lineOf(at, parts, message));
      return null;
    }
    for (const fault of faultsOfDefinition(parsed.data)) faults.push(lineOf(at, fault.path, fault.words));
    return { name, ...parsed.data };
  });
  if (faults.length > 0)
    throw new StartError(
      `FLTR_EVENT_TYPES_FILE (${path}) is not valid:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
    );
  return types.filter((type) => type !== null);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new StartError(`FLTR_EVENT_TYPES_FILE cannot be read: ${why}`);
  }
}

const fileSchema = z.strictObject({ types: z.record(z.string(), z.unknown()) });

function definitionsOf(file: unknown, faults: string[]): { name: string; definition: unknown }[] {
  const parsed = fileSchema.safeParse(file);
  if (!parsed.success) {
    faults.push('it must be an object with the one field "types", an object of definitions by name');
    return [];
  }
  const types = Object.entries(parsed.data.types);
  if (types.length > maxFileTypes) faults.push(`it has more than ${maxFileTypes} types`);
  return types.slice(0, maxFileTypes).map(([name, definition]) => ({ name, definition }));
}

const lineOf = (at: string, path: SchemaFault['path'] | readonly PropertyKey[], words: string) =>
  `${at}${path.map((part) => `/${String(part)}`).join('')}: ${words}`;
