import { z } from 'zod';
import {
  attemptErrorCodes,
  errorsWithoutResponse,
  type AttemptErrorCode,
} from '../../contracts/attempt-schema.ts';
import { deliveryStatuses, deliverySummarySchema, waitFilters } from '../../contracts/delivery.ts';
import { deliveryCountsSchema, maxCounted } from '../../contracts/delivery-counts.ts';
import { orderKeyText } from '../../contracts/event-parts.ts';
import { eventTypeSchema } from '../../contracts/event-types.ts';
import { webhookNameSchema } from '../../contracts/external-id.ts';
import { idPattern, idSchema } from '../../contracts/id.ts';
import { pageOf, pageQuery } from '../../contracts/page.ts';
import { queryTime } from '../../contracts/time.ts';
import { countDeliveries, type Counted } from '../../db/delivery-counts.ts';
import { listDeliveries } from '../../db/delivery-log.ts';
import { eachPage } from '../../db/each-page.ts';
import { accountOf } from '../auth.ts';
import { fromCursor, pageUntil } from '../cursor.ts';
import { routesWithTag, type Context } from '../route.ts';
import { webhookIdOf } from '../webhook-id.ts';

const defineRoute = routesWithTag('Deliveries');

/** The error codes that a value of the query `error` means. */
const errorsOf = (error: AttemptErrorCode | 'no_response'): readonly AttemptErrorCode[] =>
  error === 'no_response' ? errorsWithoutResponse : [error];

const filters = {
  webhook_id: webhookNameSchema.optional(),
  event_id: idSchema.optional(),
  operation_id: idSchema.optional().meta({ description: 'The last operation that acted on it.' }),
  event: eventTypeSchema.optional(),
  deferred: z
    .enum(['true'], 'must be true')
    .optional()
    .meta({ description: 'Only deliveries that wait because of a limit.' }),
  waits_for: z.enum(waitFilters, 'must be order or scheduled').optional().meta({
    description: 'Only pending deliveries that wait for those before them in their order, or for their time.',
  }),
  blocks_line: z
    .enum(['true'], 'must be true')
    .optional()
    .meta({ description: 'Only deliveries that have failed and hold up those behind them in their order.' }),
  order_key: orderKeyText.optional().meta({
    description: 'Only deliveries to webhooks with `ordering: "by_key"` of events with this order key.',
  }),
  since: queryTime('Accepted at or after this time.'),
  until: queryTime('Accepted before this time.'),
  code: z
    .string()
    .regex(/^([1-5]\d\d|[1-5]xx)$/, 'must be a status such as 404, or a class such as 5xx')
    .optional()
    .meta({
      description: "Status code of the last attempt's response, such as `404`, or a class, such as `5xx`.",
      example: '5xx',
    }),
  error: z
    .enum([...attemptErrorCodes, 'no_response'], 'must be the error code of an attempt, or no_response')
    .optional()
    .meta({
      description:
        'Error code of the last attempt; `no_response`: any of those that mean that there was no response.',
    }),
};
const listQuery = z.strictObject({
  ...pageQuery,
  ...filters,
  status: z.enum(deliveryStatuses).optional(),
});
const countQuery = z.strictObject(filters);

async function toFilter(
  { deps, key }: Pick<Context<unknown, unknown>, 'deps' | 'key'>,
  { code, error, ...query }: z.output<typeof countQuery>,
): Promise<Counted> {
  const low = code === undefined ? 0 : Number(code.replace('xx', '00'));
  return {
    webhookId: query.webhook_id === undefined ? undefined : await webhookIdOf(deps, key, query.webhook_id),
    eventId: query.event_id,
    operationId: query.operation_id,
    eventType: query.event,
    isDeferred: query.deferred === 'true',
    waitsFor: query.waits_for,
    blocksLine: query.blocks_line === 'true',
    orderKey: query.order_key,
    since: query.since,
    until: query.until,
    code: code === undefined ? undefined : [low, code.endsWith('xx') ? low + 99 : low],
    errors: error === undefined ? undefined : errorsOf(error),
  };
}

export const deliveryLogRoutes = [
  defineRoute('get', '/v1/deliveries', 'listDeliveries', {
    summary: 'List deliveries, newest first',
    description:
      'With `Accept: application/x-ndjson`, all deliveries from there on are sent, one line of JSON each. `limit` does not apply.',
    scope: 'webhooks:read',
    query: listQuery,
    line: deliverySummarySchema,
    replies: {
      200: { description: 'A page of the log', schema: pageOf(deliverySummarySchema, 'DeliveryPage') },
    },
    async handle({ deps, key, query, wantsLines }) {
      const [before = null] = fromCursor('deliveries', query.cursor, [idPattern]) ?? [];
      const filter = { ...(await toFilter({ deps, key }, query)), status: query.status };
      const list = async (page: { before: string | null; limit: number }) => {
        const rows = await listDeliveries(deps.pool, accountOf(key), {
          ...filter,
          before: page.before,
          limit: page.limit + 1,
        });
        const last = rows.length > page.limit ? rows[page.limit - 1] : undefined;
        return { rows: rows.slice(0, page.limit), next: last?.id ?? null };
      };
      if (wantsLines) return { status: 200, pages: eachPage(before, list) };
      const { rows, next } = await list({ before, limit: query.limit });
      return { status: 200, body: pageUntil('deliveries', rows, next === null ? null : [next]) };
    },
  }),
  defineRoute('get', '/v1/deliveries/counts', 'countDeliveries', {
    summary: 'Count deliveries by status',
    description: `With the filters of the list. Each status is counted up to ${maxCounted}.`,
    scope: 'webhooks:read',
    query: countQuery,
    replies: { 200: { description: 'The counts', schema: deliveryCountsSchema } },
    async handle({ deps, key, query }) {
      const filter = await toFilter({ deps, key }, query);
      const counts = await countDeliveries(deps.pool, accountOf(key), filter, maxCounted);
      return { status: 200, body: { counts, limit: maxCounted } };
    },
  }),
];
