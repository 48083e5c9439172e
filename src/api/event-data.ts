import type { Catalogue } from '../event-types/catalogue.ts';
import type { SchemaFault } from '../event-types/prepare-schema.ts';
import { fault, toPointer, validationError } from './problem-details.ts';
import { validate } from './request-body.ts';

/** Faults of a JSON Schema check as those of a request; `base` is the pointer of the checked value. */
export const schemaFaults = (faults: readonly SchemaFault[], base: string) =>
  faults.map(({ path, words }) => fault(base + toPointer(path), words));

export const unknownType = (pointer: string) =>
  fault(pointer, 'is not a known type: GET /v1/event-types lists the types');

/**
 * Checks an event's data by the schema of its type.
 *
 * @throws ApiError validation_failed, also for a type that is not known
 */
export function checkEventData(types: Catalogue, type: string, data: Record<string, unknown>): void {
  const known = types.find(type);
  if (!known) throw validationError([unknownType('/event')]);
  const check = known.dataCheck();
  if (check === null) return;
  if ('zod' in check) {
    validate(check.zod, data, '/data');
    return;
  }
  const faults = check.check(data);
  if (faults.length > 0) throw validationError(schemaFaults(faults, '/data'));
}
