import { z } from 'zod';
import { eventDataSchemas } from '../../contracts/event-types.ts';
import {
  acceptedEventSchema,
  batchResultSchema,
  eventSchema,
  eventSummarySchema,
  maxBatchBytes,
  maxEventBytes,
  publishBatchSchema,
  publishEventSchema,
  type PublishEvent,
} from '../../contracts/event.ts';
import { idPattern } from '../../contracts/id.ts';
import { pageOf, pageQuery } from '../../contracts/page.ts';
import { accountExists } from '../../db/accounts.ts';
import type { ApiKey } from '../../db/api-keys.ts';
import { acceptEvents, findEvent, listEvents, type Acceptance, type NewEvent } from '../../db/events.ts';
import { onceForKey } from '../../db/idempotency-keys.ts';
import { withTransaction } from '../../db/pool.ts';
import type { Deps } from '../../deps.ts';
import { newId } from '../../domain/ids.ts';
import { wireBody, wireTimestamp } from '../../domain/wire-body.ts';
import { ApiError } from '../../errors.ts';
import { accountOf } from '../auth.ts';
import { fromCursor, toPage } from '../cursor.ts';
import { toFieldErrors, toProblem, validationError } from '../problem.ts';
import { digestOf, isTooDeep, validate } from '../request-body.ts';
import { defineRoute } from '../route.ts';

const tag = 'Events';

function requireRoom({ backlog }: Deps): void {
  if (backlog.isFull()) {
    throw new ApiError(
      'unavailable',
      'Too many accepted deliveries wait to be started. Publish again later.',
      { retryAfterSeconds: 10 },
    );
  }
}

/** The account that a request publishes for. @throws ApiError */
async function accountFor({ pool }: Deps, key: ApiKey, accountId: string | undefined): Promise<string> {
  if (key.accountId !== null) {
    if (accountId === undefined) return key.accountId;
    throw new ApiError(
      'service_key_required',
      'account_id may be given with a service key only. Leave it out.',
      {
        errors: [{ pointer: '/account_id', message: 'needs a service key' }],
      },
    );
  }
  if (accountId === undefined)
    throw validationError([{ pointer: '/account_id', message: 'is needed with a service key' }]);
  if (!(await accountExists(pool, accountId)))
    throw validationError([{ pointer: '/account_id', message: 'names no account' }]);
  return accountId;
}

/** A valid request as the event that it becomes: its bytes are fixed here. @throws ApiError */
function toNewEvent(request: PublishEvent, accountId: string): NewEvent {
  const { event: type, data } = request;
  if (isTooDeep(data))
    throw validationError([{ pointer: '/data', message: 'must not nest deeper than 64 levels' }]);
  const checked = eventDataSchemas[type].safeParse(data);
  if (!checked.success) throw validationError(toFieldErrors(checked.error, '/data'));
  const id = request.id ?? newId('evt');
  const timestamp = request.timestamp ?? null;
  const acceptedTimestamp = timestamp ?? wireTimestamp(new Date());
  // The data as it came, not zod's copy of it.
  return {
    accountId,
    id,
    type,
    data,
    timestamp,
    acceptedTimestamp,
    body: wireBody({ id, event: type, timestamp: acceptedTimestamp, data }),
  };
}

/** After the commit: whatever this does not start, the sweep does. */
function start({ starter }: Deps, events: readonly NewEvent[], acceptances: readonly Acceptance[]): void {
  starter.enqueue(
    acceptances.flatMap((acceptance, index) => {
      const event = events[index];
      if (acceptance.kind !== 'accepted' || !event) return [];
      return acceptance.event.deliveries
        .filter(({ status }) => status === 'pending')
        .map((delivery) => ({
          id: delivery.id,
          accountId: event.accountId,
          webhookId: delivery.webhook_id,
          eventId: event.id,
          eventType: event.type,
          attemptCount: 0,
        }));
    }),
  );
}

function conflict(id: string): ApiError {
  return new ApiError(
    'event_id_conflict',
    `The event id "${id}" was accepted before with another content. An event cannot be changed: use a new id.`,
    {
      errors: [{ pointer: '/id', message: 'belongs to another event' }],
    },
  );
}

/** A time as cursors hold it: what only looks like one, PostgreSQL would refuse, as it does the year 0. */
const createdAtPattern = {
  test: (text: string) =>
    /^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) &&
    new Date(Date.parse(text) || 0).toISOString() === text,
};

export const eventRoutes = [
  defineRoute({
    method: 'post',
    path: '/v1/events',
    operationId: 'publishEvent',
    tag,
    summary: 'Publish an event',
    description:
      'Answers once the event and its deliveries are committed. The same `id` again is answered with `duplicate: true` and sends nothing.',
    scope: 'events:write',
    body: publishEventSchema,
    maxBodyBytes: maxEventBytes,
    takesIdempotencyKey: true,
    replies: { 202: { description: 'Accepted', schema: acceptedEventSchema } },
    errors: ['event_id_conflict', 'service_key_required'],
    async handle({ deps, key, body, rawBody, idempotencyKey }) {
      requireRoom(deps);
      const { pool, secretBox } = deps;
      const event = toNewEvent(body, await accountFor(deps, key, body.account_id));
      let acceptance: Acceptance | undefined;
      const accept = async (client: Parameters<typeof acceptEvents>[0]) => {
        [acceptance] = await acceptEvents(client, [event]);
        if (!acceptance || acceptance.kind === 'conflict') throw conflict(event.id);
        return { status: 202, body: acceptance.event };
      };
      const request = {
        apiKeyId: key.id,
        route: 'publishEvent',
        key: idempotencyKey ?? '',
        digest: digestOf(rawBody),
      };
      const reply =
        idempotencyKey === undefined
          ? await withTransaction(pool, accept)
          : await onceForKey(pool, secretBox, request, accept);
      if (acceptance) start(deps, [event], [acceptance]);
      return reply;
    },
  }),
  defineRoute({
    method: 'post',
    path: '/v1/events/batch',
    operationId: 'publishEvents',
    tag,
    summary: 'Publish up to 500 events',
    description:
      'Each event is answered for itself, in order: one that is refused does not touch the others.',
    scope: 'events:write',
    body: publishBatchSchema,
    maxBodyBytes: maxBatchBytes,
    replies: { 207: { description: 'One answer an event', schema: batchResultSchema } },
    async handle({ deps, key, body }) {
      requireRoom(deps);
      // Each account that the batch names is looked up once.
      const accounts = new Map<string | undefined, Promise<string>>();
      const accountOfEvent = (accountId: string | undefined): Promise<string> => {
        const known = accounts.get(accountId) ?? accountFor(deps, key, accountId);
        accounts.set(accountId, known);
        return known;
      };
      const prepared: (NewEvent | ApiError)[] = [];
      for (const item of body.events) prepared.push(await prepare(item, accountOfEvent));
      const events = prepared.filter((item): item is NewEvent => !(item instanceof ApiError));
      const acceptances =
        events.length === 0 ? [] : await withTransaction(deps.pool, (client) => acceptEvents(client, events));
      start(deps, events, acceptances);
      const answers = new Map(events.map((event, index) => [event, acceptances[index]]));
      const data = prepared.map((item) => {
        const acceptance = item instanceof ApiError ? item : answers.get(item);
        if (acceptance instanceof ApiError)
          return { status: acceptance.status, error: toProblem(acceptance) };
        if (!acceptance || acceptance.kind === 'conflict') {
          const error = conflict(acceptance?.id ?? '');
          return { status: error.status, error: toProblem(error) };
        }
        return { status: 202, ...acceptance.event };
      });
      return { status: 207, body: { data } };
    },
  }),
  defineRoute({
    method: 'get',
    path: '/v1/events',
    operationId: 'listEvents',
    tag,
    summary: 'List events, newest first, with their deliveries',
    scope: 'webhooks:read',
    query: z.strictObject(pageQuery),
    replies: { 200: { description: 'A page of events', schema: pageOf(eventSummarySchema, 'EventPage') } },
    async handle({ deps, key, query }) {
      const [createdAt, id] = fromCursor('events', query.cursor, [createdAtPattern, idPattern]) ?? [];
      const before = createdAt === undefined || id === undefined ? null : { createdAt, id };
      const rows = await listEvents(deps.pool, accountOf(key), before, query.limit + 1);
      const positionOf = (row: (typeof rows)[number]) => [row.created_at, row.id];
      const body = toPage('events', rows, query.limit, positionOf, (row) => row);
      return { status: 200, body };
    },
  }),
  defineRoute({
    method: 'get',
    path: '/v1/events/{id}',
    operationId: 'getEvent',
    tag,
    summary: 'Get an event with its data and its deliveries',
    scope: 'webhooks:read',
    replies: { 200: { description: 'The event', schema: eventSchema } },
    async handle({ deps, key, id }) {
      const event = await findEvent(deps.pool, accountOf(key), id);
      if (!event) throw new ApiError('not_found', 'There is no such event.');
      const { body, ...summary } = event;
      const { data } = body === null ? { data: null } : (JSON.parse(body.toString()) as { data: unknown });
      return { status: 200, body: { ...summary, data } };
    },
  }),
];

/** One event of a batch: ready to be accepted, or the error that it is answered with. */
async function prepare(
  item: unknown,
  accountOfEvent: (accountId: string | undefined) => Promise<string>,
): Promise<NewEvent | ApiError> {
  try {
    if (isTooDeep(item))
      throw validationError([{ pointer: '', message: 'must not nest deeper than 64 levels' }]);
    if (Buffer.byteLength(JSON.stringify(item) ?? '') > maxEventBytes) {
      throw new ApiError('body_too_large', `An event may have at most ${maxEventBytes} bytes.`);
    }
    const request = validate(publishEventSchema, item);
    return toNewEvent(request, await accountOfEvent(request.account_id));
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}
