import {
  batchResultSchema,
  maxBatchBytes,
  publishBatchSchema,
  publishEventSchema,
  type AcceptedEvent,
} from '../../contracts/event.ts';
import { acceptEvents, type Acceptance, type NewEvent } from '../../db/accept-events.ts';
import { onceForKey } from '../../db/idempotency-keys.ts';
import type { Deps } from '../../deps.ts';
import { createPauses } from '../../domain/pauses.ts';
import { ApiError, type ErrorCode } from '../../errors.ts';
import { bytesOf, parseBatch, parseItem, type BatchItem } from '../batch-body.ts';
import { fromKept, toKept, type BatchResult } from '../kept-batch.ts';
import { maxListedFaults, toProblem } from '../problem.ts';
import { digestOf, validate } from '../request-body.ts';
import { defineRoute } from '../route.ts';
import {
  acceptedOf,
  accountFor,
  exampleEvent,
  keyRefused,
  publish,
  requireRoom,
  tag,
  tell,
  toNewEvent,
  type Source,
} from './publish.ts';

export const publishBatchRoutes = [
  defineRoute({
    method: 'post',
    path: '/v1/events/batch',
    operationId: 'publishEvents',
    tag,
    summary: 'Publish up to 500 events',
    description:
      'Each event is answered for itself, in order: one that is refused does not touch the others. The first 100 faults are listed, of all events together. With an `Idempotency-Key`, a call that is repeated after a lost response has that response again, and nothing is published twice; an event that was refused stays refused under that key.',
    scope: 'events:write',
    body: publishBatchSchema,
    bodyExample: { events: [exampleEvent] },
    parse: parseBatch,
    maxBodyBytes: maxBatchBytes,
    takesIdempotencyKey: true,
    replies: { 207: { description: 'One answer an event', schema: batchResultSchema } },
    async handle({ deps, key, confirmKey, body, rawBody, idempotencyKey, requestId, traceparent }) {
      requireRoom(deps);
      const prepared: Prepared[] = [];
      const rest = createPauses();
      for (const item of body.events as BatchItem[]) {
        prepared.push(await prepare(deps, { key, traceparent }, item));
        await rest();
      }
      const events = prepared.filter((item): item is NewEvent => !(item instanceof ApiError));
      if (idempotencyKey === undefined) {
        const data = resultsOf(prepared, await publish(deps, events, confirmKey));
        report(deps, requestId, prepared, data);
        return { status: 207, body: { data } };
      }
      const { pool, secretBox } = deps;
      const request = {
        apiKeyId: key.id,
        route: 'publishEvents',
        key: idempotencyKey,
        digest: digestOf(rawBody),
      };
      const accountIds = prepared.map((item) => (item instanceof ApiError ? null : item.accountId));
      const reply = await onceForKey(
        pool,
        secretBox,
        request,
        async (client) => {
          const acceptances = events.length === 0 ? [] : await acceptEvents(client, events);
          // Not a response to keep: with a valid key the same request may be sent again.
          if (acceptances.some(({ kind }) => kind === 'key_refused')) throw keyRefused();
          return { status: 207, body: { data: resultsOf(prepared, acceptances) } };
        },
        {
          toKept: (body) => toKept(body as { data: BatchResult[] }, accountIds),
          fromKept,
        },
      );
      deps.wakeDispatcher();
      if (!reply.isReplay) report(deps, requestId, prepared, (reply.body as { data: BatchResult[] }).data);
      return reply;
    },
  }),
];

type Prepared = NewEvent | ApiError;

/**
 * One event of a batch: ready to be accepted, or the error that it is answered with.
 *
 * @throws ApiError malformed_json: then the batch is no JSON
 */
async function prepare(
  deps: Deps,
  { key, traceparent }: Omit<Source, 'accountId' | 'bytes'>,
  item: BatchItem,
): Promise<Prepared> {
  try {
    const request = validate(publishEventSchema, parseItem(item));
    const accountId = await accountFor(deps, key, request.account_id);
    return toNewEvent(request, { key, accountId, traceparent, bytes: bytesOf(item) });
  } catch (error) {
    if (!(error instanceof ApiError) || error.code === 'malformed_json') throw error;
    return error;
  }
}

/** One result for each event, in order; `acceptances`: of those that could be accepted. */
function resultsOf(prepared: readonly Prepared[], acceptances: readonly Acceptance[]): BatchResult[] {
  let next = 0;
  let faults = 0;
  return prepared.map((item) => {
    try {
      if (item instanceof ApiError) throw item;
      const acceptance = acceptances[next];
      next += 1;
      if (!acceptance) throw new Error('An event was not answered');
      return { status: 202, ...acceptedOf(acceptance) };
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

/** Counts and logs what a batch came to. */
function report(
  deps: Deps,
  requestId: string,
  prepared: readonly Prepared[],
  results: readonly BatchResult[],
): void {
  results.forEach((result, index) => {
    const item = prepared[index];
    if ('error' in result) deps.metrics.publish.refused(result.error.code as ErrorCode);
    else if (item && !(item instanceof ApiError)) tell(deps, requestId, item, result satisfies AcceptedEvent);
  });
}
