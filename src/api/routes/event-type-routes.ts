import type { AuditAction } from '../../contracts/audit.ts';
import { z } from 'zod';
import {
  eventDataSchemas,
  eventTypeDefinitionSchema,
  eventTypeInfoSchema,
  eventTypePattern,
  type EventTypeInfo,
} from '../../contracts/event-types.ts';
import { eventTypeStatsSchema } from '../../contracts/stats.ts';
import { readEventTypeStats } from '../../db/event-type-stats.ts';
import { deleteEventType, maxEventTypes, putEventType } from '../../db/event-types-table.ts';
import { withTransaction, type Client } from '../../db/pool.ts';
import { insertAuditRecord } from '../../db/audit-records.ts';
import type { ApiKey } from '../../db/api-keys-table.ts';
import type { Deps } from '../../deps.ts';
import { ApiError } from '../../errors.ts';
import type { KnownEventType } from '../../event-types/catalogue.ts';
import { faultsOfDefinition, isReservedName } from '../../event-types/definition.ts';
import { accountOf } from '../auth.ts';
import { schemaFaults } from '../event-data.ts';
import { fault, requireFound, validationError } from '../problem-details.ts';
import { routesWithTag } from '../route.ts';

const defineRoute = routesWithTag('Event types');

/** A type as the API shows it. */
export function toEventTypeInfo(type: KnownEventType): EventTypeInfo {
  const { dataCheck: _check, schema, ...info } = type;
  return { ...info, schema: info.source === 'built_in' ? builtInSchema(info.event) : schema };
}

function builtInSchema(event: string): Record<string, unknown> {
  return z.toJSONSchema(eventDataSchemas[event as keyof typeof eventDataSchemas]);
}

/** @throws ApiError event_type_reserved */
function requireOwnName({ eventTypes }: Deps, name: string): void {
  if (isReservedName(name, eventTypes.hasBuiltIn))
    throw new ApiError('event_type_reserved', `${name} is a type of the service itself. Use another name.`);
  if (eventTypes.isOfFile(name))
    throw new ApiError(
      'event_type_reserved',
      `${name} is defined in the file of FLTR_EVENT_TYPES_FILE. Change it there.`,
    );
}

/** A service key, which alone has the scope, belongs to no account. */
const auditType = (client: Client, key: ApiKey, action: AuditAction, name: string) =>
  insertAuditRecord(client, { accountId: null, actor: key.id, action, target: name });

const example = {
  description: 'An order was paid.',
  schema: {
    type: 'object',
    required: ['order_id'],
    properties: { order_id: { type: 'string' }, total: { type: 'number', minimum: 0 } },
  },
  example: { order_id: 'ord_42', total: 19.99 },
};

export const eventTypeRoutes = [
  defineRoute('get', '/v1/event-types', 'listEventTypes', {
    summary: 'List the event types, each with the JSON Schema of its data and an example',
    description: `Built-in ones first, then those of the file, then those defined through the API: ${maxEventTypes} at most.`,
    scope: null,
    replies: {
      200: {
        description: 'All types',
        schema: z
          .object({ data: z.array(eventTypeInfoSchema), next_cursor: z.null() })
          .meta({ id: 'EventTypeList' }),
      },
    },
    async handle({ deps }) {
      const { all } = await deps.eventTypes.current();
      return { status: 200, body: { data: all.map(toEventTypeInfo), next_cursor: null } };
    },
  }),
  defineRoute('get', '/v1/event-types/stats', 'getEventTypeStats', {
    summary: 'Statistics of the account by event type: counts and failure rate',
    description:
      'The last 24 hours, by the hour: the present hour and the 23 before it. Types without an attempt in that time are left out; operational events are included.',
    scope: 'webhooks:read',
    replies: { 200: { description: 'Statistics', schema: eventTypeStatsSchema } },
    async handle({ deps, key }) {
      return { status: 200, body: await readEventTypeStats(deps.pool, accountOf(key), new Date()) };
    },
  }),
  defineRoute('get', '/v1/event-types/{name}', 'getEventType', {
    summary: 'Get an event type',
    scope: null,
    replies: { 200: { description: 'The type', schema: eventTypeInfoSchema } },
    async handle({ deps, id: name }) {
      const { find } = await deps.eventTypes.current();
      return { status: 200, body: toEventTypeInfo(requireFound(find(name) ?? null, 'event type')) };
    },
  }),
  defineRoute('put', '/v1/event-types/{name}', 'putEventType', {
    summary: 'Define an event type, or replace its definition',
    description:
      'Every process uses it from its next call on. Fields that are left out get their defaults: no schema, no example, `open`. Audited.',
    scope: 'event-types:write',
    body: eventTypeDefinitionSchema,
    bodyExample: example,
    maxBodyBytes: 256 * 1024,
    replies: {
      200: { description: 'Replaced', schema: eventTypeInfoSchema },
      201: { description: 'Defined', schema: eventTypeInfoSchema },
    },
    errors: ['event_type_reserved', 'event_type_limit_reached'],
    async handle({ deps, key, id: name, body }) {
      if (!eventTypePattern.test(name))
        throw validationError([
          fault(
            '#path/name',
            'must be 2 to 6 parts of a-z, 0-9 and _, joined by full stops, such as order.paid',
          ),
        ]);
      requireOwnName(deps, name);
      const { schema = null, example: data = null } = body;
      const faults = faultsOfDefinition(body);
      if (faults.length > 0) throw validationError(schemaFaults(faults, ''));
      const stored = await withTransaction(deps.pool, async (client) => {
        const result = await putEventType(client, { ...body, name, schema, example: data });
        if (result !== 'limit_reached') await auditType(client, key, 'event_type.put', name);
        return result;
      });
      if (stored === 'limit_reached')
        throw new ApiError(
          'event_type_limit_reached',
          `There may be ${maxEventTypes} event types. Delete one that is no longer needed.`,
        );
      const info: EventTypeInfo = { event: name, ...body, schema, example: data, source: 'api' };
      return { status: stored === 'created' ? 201 : 200, body: info };
    },
  }),
  defineRoute('delete', '/v1/event-types/{name}', 'deleteEventType', {
    summary: 'Delete an event type',
    description:
      'Refused while a webhook names it; a family such as `order.*` does not. Events and deliveries of the type stay. Audited.',
    scope: 'event-types:write',
    replies: { 204: { description: 'Deleted' } },
    errors: ['event_type_in_use', 'event_type_reserved'],
    async handle({ deps, key, id: name }) {
      requireOwnName(deps, name);
      const deleted = await withTransaction(deps.pool, async (client) => {
        const result = await deleteEventType(client, name);
        if (result === 'deleted') await auditType(client, key, 'event_type.deleted', name);
        return result;
      });
      if (deleted === 'in_use')
        throw new ApiError(
          'event_type_in_use',
          `A webhook names ${name} in its events. Remove it there first, or define the type as deprecated.`,
        );
      requireFound(deleted === 'deleted', 'event type');
      return { status: 204 };
    },
  }),
];
