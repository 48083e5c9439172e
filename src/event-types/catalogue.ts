import type { z } from 'zod';
import {
  builtInEventTypes,
  eventDataSchemas,
  eventTypeExamples,
  operationalTypes,
  type EventTypeInfo,
} from '../contracts/event-types.ts';
import { loadEventTypes, readEventTypesVersion, type EventTypeRow } from '../db/event-types-table.ts';
import type { Queryable } from '../db/pool.ts';
import { familiesOf } from '../domain/subscription.ts';
import type { NamedDefinition } from './event-types-file.ts';
import { compileSchema, type CheckValue } from './json-schema.ts';

/** The check of an event's data: a zod schema of a type that is built in, or a compiled JSON Schema. */
export type DataCheck = { zod: z.ZodType } | { check: CheckValue } | null;

export type KnownEventType = Omit<EventTypeInfo, 'schema'> & {
  /** JSON Schema; null for a type that is built in, whose schema is zod's, and for one without. */
  schema: Record<string, unknown> | null;
  /** Compiled at the first call. */
  dataCheck(): DataCheck;
};

/** All event types at one moment. */
export type Catalogue = {
  /** The statement that inserts events compares it. */
  version: string;
  all: readonly KnownEventType[];
  find(name: string): KnownEventType | undefined;
  /** Whether a webhook may have it in its `events`. */
  isFilter(filter: string): boolean;
};

export type EventTypes = ReturnType<typeof createEventTypes>;

type Sources = {
  db: Queryable;
  hasBuiltIn: boolean;
  /** Those of FLTR_EVENT_TYPES_FILE. */
  ofFile: readonly NamedDefinition[];
};

/** The event types, cached in the process. One defined in the file hides one of the same name in the database. */
export function createEventTypes({ db, hasBuiltIn, ofFile }: Sources) {
  const builtIn = hasBuiltIn ? builtInEventTypes.map(toBuiltIn) : [];
  const fixed = [...builtIn, ...ofFile.map((definition) => toKnown(definition, 'file'))];
  const fixedNames = new Set(fixed.map(({ event }) => event));
  let cached: Catalogue | null = null;
  let ofDatabase = new Map<string, KnownEventType>();

  async function load(): Promise<Catalogue> {
    const { version, types } = await loadEventTypes(db);
    // Types that did not change stay compiled.
    ofDatabase = new Map(
      types.map((row) => {
        const key = `${row.name} ${row.revision}`;
        return [key, ofDatabase.get(key) ?? toKnown(ofRow(row), 'api')];
      }),
    );
    const own = [...ofDatabase.values()].filter(({ event }) => !fixedNames.has(event));
    cached = toCatalogue(version, [...fixed, ...own]);
    return cached;
  }

  return {
    /** As they were when they were last read. A call that refuses something by them reads `current` first. */
    remembered: async (): Promise<Catalogue> => cached ?? (await load()),
    /** As they are now. It is the same object as long as nothing has changed. */
    async current(): Promise<Catalogue> {
      if (cached && cached.version === (await readEventTypesVersion(db))) return cached;
      return load();
    },
    hasBuiltIn,
    /** Whether it is defined in the file. */
    isOfFile: (name: string) => ofFile.some((type) => type.name === name),
  };
}

const ofRow = ({ revision: _revision, ...definition }: EventTypeRow): NamedDefinition => definition;

function toKnown(definition: NamedDefinition, source: 'file' | 'api'): KnownEventType {
  const { name, description, schema = null, example = null, validation, deprecated } = definition;
  let compiled: DataCheck | undefined;
  const compile = (): DataCheck => {
    if (schema === null || validation === 'none') return null;
    const result = compileSchema(schema, validation);
    // It was checked when it was defined, perhaps by another version.
    if ('faults' in result) throw new Error(`The schema of the event type ${name} is not valid`);
    return result;
  };
  return {
    event: name,
    description,
    schema,
    example,
    validation,
    deprecated,
    source,
    dataCheck: () => (compiled ??= compile()),
  };
}

function toBuiltIn(event: (typeof builtInEventTypes)[number]): KnownEventType {
  const { description, data } = eventTypeExamples[event];
  const check = { zod: eventDataSchemas[event] };
  return {
    event,
    description,
    schema: null,
    example: data,
    validation: 'strict',
    deprecated: false,
    source: 'built_in',
    dataCheck: () => check,
  };
}

function toCatalogue(version: string, all: readonly KnownEventType[]): Catalogue {
  const byName = new Map(all.map((type) => [type.event, type]));
  const names = [...byName.keys(), ...operationalTypes];
  const filters = new Set(['*', ...names, ...names.flatMap(familiesOf)]);
  return {
    version,
    all: [...byName.values()],
    find: (name) => byName.get(name),
    isFilter: (filter) => filters.has(filter),
  };
}
