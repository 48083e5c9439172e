import {
  batchResultSchema,
  maxBatchBytes,
  publishBatchSchema,
  publishEventSchema,
  type AcceptedEvent,
} from '../../contracts/event.ts';
import { acceptEvents, type Acceptance } from '../../db/accept-events.ts';
import type { ApiKey } from '../../db/api-keys-table.ts';
import type { Deps } from '../../deps.ts';
import type { Catalogue } from '../../event-types/catalogue.ts';
import { createPauses } from '../../domain/pauses.ts';
import { ApiError, type ErrorCode } from '../../errors.ts';
import { bytesOf, parseBatch, parseItem, type BatchItem } from '../batch-body.ts';
import { fromKept, toKept, type BatchResult } from '../kept-batch.ts';
import { maxListedFaults, toProblem } from '../problem-details.ts';
import { validate } from '../request-body.ts';
import { respondOnce } from '../respond-once.ts';
import { routesWithTag } from '../route.ts';
import {
  acceptedOf,
  accountFor,
  createsAccounts,
  exampleEvent,
  isNewEvent,
  publish,
  recordAccepted,
  requireCapacity,
  toNewEvent,
  type Prepared,
  type Source,
} from './publish.ts';

const defineRoute = routesWithTag('Events');

export const publishBatchRoutes = [
  defineRoute('post', '/v1/events/batch', 'publishEvents', {
    summary: 'Publish up to 500 events',
    description:
      'Each event is accepted or refused on its own, and `data` holds one result per event, in order. The first 100 faults are listed, of all events together. With an `Idempotency-Key`, a call that is repeated after a lost response gets that response again, and nothing is published twice; an event that was refused stays refused under that key.',
    scope: 'events:write',
    body: publishBatchSchema,
    bodyExample: { events: [exampleEvent] },
    parse: parseBatch,
    maxBodyBytes: maxBatchBytes,
    takesIdempotencyKey: true,
    replies: { 207: { description: 'One result per event', schema: batchResultSchema } },
    async handle(context) {
      const { deps, key, confirmKey, body, requestId, traceparent } = context;
      requireCapacity(deps);
      const prepareAll = async (types: Catalogue) => {
        const prepared: Prepared[] = [];
        const rest = createPauses();
        for (const item of body.events as BatchItem[]) {
          prepared.push(await prepare(deps, { key, traceparent, requestId, types }, item));
          await rest();
        }
        return prepared;
      };
      if (context.idempotencyKey === undefined) {
        const { prepared, acceptances } = await publish(deps, confirmKey, prepareAll);
        const data = resultsOf(key, prepared, acceptances);
        report(deps, requestId, prepared, data);
        return { status: 207, body: { data } };
      }
      const prepared = await prepareAll(await deps.eventTypes.current());
      const events = prepared.filter(isNewEvent);
      const accountIds = prepared.map((item) => (item instanceof ApiError ? null : item.accountId));
      const reply = await respondOnce<{ data: BatchResult[] }>(
        context,
        { route: 'publishEvents', keeping: { toKept: (kept) => toKept(kept, accountIds), fromKept } },
        async (client) => {
          const acceptances =
            events.length === 0
              ? []
              : await acceptEvents(client, events, { createsAccounts: createsAccounts(deps) });
          // Not a response to store: the same request may succeed later.
          for (const each of acceptances) if (unstored.includes(each.kind)) acceptedOf(key, each);
          return { status: 207, body: { data: resultsOf(key, prepared, acceptances) } };
        },
      );
      deps.wakeDispatcher();
      for (const { options } of events) if (options?.deliverAt) deps.expectScheduled(options.deliverAt);
      if (!reply.isReplay) report(deps, requestId, prepared, reply.body.data);
      return reply;
    },
  }),
];

const unstored: Acceptance['kind'][] = ['key_refused', 'contended', 'types_changed'];

/**
 * One event of a batch: ready to be accepted, or the error of its result.
 *
 * @throws ApiError malformed_json: then the batch is not JSON
 */
async function prepare(
  deps: Deps,
  { key, traceparent, requestId, types }: Omit<Source, 'key' | 'accountId' | 'bytes'> & { key: ApiKey },
  item: BatchItem,
): Promise<Prepared> {
  try {
    const request = validate(publishEventSchema, parseItem(item));
    const accountId = await accountFor(deps, key, request.account_id);
    return toNewEvent(request, { key, accountId, traceparent, requestId, types, bytes: bytesOf(item) });
  } catch (error) {
    if (!(error instanceof ApiError) || error.code === 'malformed_json') throw error;
    return error;
  }
}

/** One result for each event, in order; `acceptances`: of those that were prepared without an error. */
function resultsOf(
  key: ApiKey,
  prepared: readonly Prepared[],
  acceptances: readonly Acceptance[],
): BatchResult[] {
  let next = 0;
  let faults = 0;
  return prepared.map((item) => {
    try {
      if (item instanceof ApiError) throw item;
      const acceptance = acceptances[next];
      next += 1;
      return { status: 202, ...acceptedOf(key, acceptance) };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const { errors = [], ...problem } = toProblem(error);
      const listed = errors.slice(0, maxListedFaults - faults);
      faults += listed.length;
      return {
        status: error.status,
        error: listed.length > 0 ? { ...problem, errors: listed } : problem,
      };
    }
  });
}

/** Counts and logs the results of a batch. */
function report(
  deps: Deps,
  requestId: string,
  prepared: readonly Prepared[],
  results: readonly BatchResult[],
): void {
  results.forEach((result, index) => {
    const item = prepared[index];
    if ('error' in result) deps.metrics.publish.refused(result.error.code as ErrorCode);
    else if (item && isNewEvent(item)) recordAccepted(deps, requestId, item, result satisfies AcceptedEvent);
  });
}
