import { lockEventTypes } from '../../db/event-types-table.ts';
import type { Client } from '../../db/pool.ts';
import type { Deps } from '../../deps.ts';
import { fault, validationError } from '../problem-details.ts';

/**
 * Checks the event types of a webhook. The function that it returns must run in the transaction that writes the webhook: it
 * keeps the types from being deleted until then.
 *
 * @throws ApiError validation_failed
 */
export async function checkEventFilters(
  { eventTypes }: Deps,
  filters: readonly string[],
): Promise<(client: Client) => Promise<void>> {
  const types = await eventTypes.current();
  requireEach(filters, (filter) => types.isFilter(filter));
  const removable = filters.filter((filter) => types.find(filter)?.source === 'api');
  return async (client) => {
    if (removable.length === 0) return;
    const existing = await lockEventTypes(client, removable);
    requireEach(filters, (filter) => existing.has(filter) || !removable.includes(filter));
  };
}

function requireEach(filters: readonly string[], isKnown: (filter: string) => boolean): void {
  const faults = filters.flatMap((filter, index) =>
    isKnown(filter)
      ? []
      : [
          fault(
            `/events/${index}`,
            `(${filter}) is not a known type or family: GET /v1/event-types lists the types`,
          ),
        ],
  );
  if (faults.length > 0) throw validationError(faults);
}
