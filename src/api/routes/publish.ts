import { eventDataSchemas } from '../../contracts/event-types.ts';
import {
  acceptedEventSchema,
  batchResultSchema,
  maxBatchBytes,
  maxEventBytes,
  publishBatchSchema,
  publishEventSchema,
  type AcceptedEvent,
  type PublishEvent,
} from '../../contracts/event.ts';
import { acceptEvents, type Acceptance, type NewEvent } from '../../db/accept-events.ts';
import type { ApiKey } from '../../db/api-keys.ts';
import { onceForKey } from '../../db/idempotency-keys.ts';
import { startAfterCommit } from '../../db/start-plan.ts';
import type { Deps } from '../../deps.ts';
import { newId } from '../../domain/ids.ts';
import { toTraceparent, traceIdOf } from '../../domain/traceparent.ts';
import { wireBody, wireTimestamp } from '../../domain/wire-body.ts';
import { ApiError } from '../../errors.ts';
import { toFieldErrors, toProblem, validationError } from '../problem.ts';
import { digestOf, isTooDeep, validate } from '../request-body.ts';
import { defineRoute } from '../route.ts';

const tag = 'Events';

function requireRoom({ backlog }: Deps): void {
  if (backlog.isFull()) {
    throw new ApiError(
      'unavailable',
      'Too many accepted deliveries wait to be started. Publish again later.',
      { retryAfterSeconds: 10, limit: 'backlog' },
    );
  }
}

/** The account that a request publishes for. @throws ApiError */
async function accountFor({ publisher }: Deps, key: ApiKey, accountId: string | undefined): Promise<string> {
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
  if (!(await publisher.hasAccount(accountId))) throw noSuchAccount();
  return accountId;
}

const noSuchAccount = () => validationError([{ pointer: '/account_id', message: 'names no account' }]);
const tooDeep = (pointer: string) =>
  validationError([{ pointer, message: 'must not nest deeper than 64 levels' }]);

type Source = { key: ApiKey; accountId: string; traceparent: string | null };

/** A valid request as the event that it becomes: its bytes are fixed here. @throws ApiError */
function toNewEvent(request: PublishEvent, { key, accountId, traceparent: header }: Source): NewEvent {
  const { event: type, data } = request;
  const checked = eventDataSchemas[type].safeParse(data);
  if (!checked.success) throw validationError(toFieldErrors(checked.error, '/data'));
  const id = request.id ?? newId('evt');
  const timestamp = request.timestamp ?? null;
  const acceptedTimestamp = timestamp ?? wireTimestamp(new Date());
  // The data as it came, not zod's copy of it.
  const body = wireBody({ id, event: type, timestamp: acceptedTimestamp, data });
  const named = request.traceparent ?? header;
  const traceparent = named === null ? null : toTraceparent(named);
  return { accountId, id, type, timestamp, acceptedTimestamp, traceparent, body, apiKeyId: key.id };
}

/** @throws ApiError for what was not accepted */
function acceptedOf(acceptance: Acceptance): AcceptedEvent {
  switch (acceptance.kind) {
    case 'accepted':
    case 'duplicate':
      return acceptance.event;
    case 'conflict':
      throw new ApiError(
        'event_id_conflict',
        `The event id "${acceptance.id}" was accepted before with another content. An event cannot be changed: use a new id.`,
        {
          errors: [{ pointer: '/id', message: 'belongs to another event' }],
        },
      );
    case 'no_account':
      throw noSuchAccount();
    case 'key_refused':
      throw new ApiError('unauthorized', 'This API key was revoked, or may not publish any longer.');
  }
}

/** Counts and logs an event that is answered with 202. */
function tell({ metrics, log }: Deps, requestId: string, event: NewEvent, accepted: AcceptedEvent): void {
  metrics.publish.accepted(accepted);
  if (!log.isLevelEnabled('debug')) return;
  log.debug(
    {
      request_id: requestId,
      account: event.accountId,
      event: event.id,
      type: event.type,
      duplicate: accepted.duplicate,
      deliveries: accepted.deliveries.map(({ id }) => id),
      ...(event.traceparent ? { trace_id: traceIdOf(event.traceparent) } : {}),
    },
    'event accepted',
  );
}

/** Accepts a request's events. @throws ApiError where the key is of no use any longer, so that nothing was accepted */
async function publish(
  { publisher }: Deps,
  events: readonly NewEvent[],
  confirmKey: () => Promise<void>,
): Promise<Acceptance[]> {
  const acceptances = events.length === 0 ? [] : await publisher.publish(events);
  if (acceptances.every(({ kind }) => kind === 'key_refused')) {
    await confirmKey();
    if (events.length > 0) {
      throw new ApiError('unavailable', 'The API key was changed at this moment. Publish again.', {
        retryAfterSeconds: 1,
      });
    }
  }
  return acceptances;
}

export const publishRoutes = [
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
    async handle({ deps, key, confirmKey, body, rawBody, idempotencyKey, requestId, traceparent }) {
      requireRoom(deps);
      const accountId = await accountFor(deps, key, body.account_id);
      if (isTooDeep(body.data)) throw tooDeep('/data');
      const event = toNewEvent(body, { key, accountId, traceparent });
      if (idempotencyKey === undefined) {
        const [acceptance] = await publish(deps, [event], confirmKey);
        if (!acceptance) throw new Error('An event was not answered');
        const accepted = acceptedOf(acceptance);
        tell(deps, requestId, event, accepted);
        return { status: 202, body: accepted };
      }
      const { pool, secretBox } = deps;
      const starts = startAfterCommit(deps.planStarts);
      const request = {
        apiKeyId: key.id,
        route: 'publishEvent',
        key: idempotencyKey,
        digest: digestOf(rawBody),
      };
      try {
        const reply = await onceForKey(pool, secretBox, request, async (client) => {
          // Of a run before this one, which a conflict has undone.
          starts.rolledBack();
          const [acceptance] = await acceptEvents(client, [event], starts);
          if (!acceptance) throw new Error('An event was not answered');
          return { status: 202, body: acceptedOf(acceptance) };
        });
        starts.committed();
        if (!reply.isReplay) tell(deps, requestId, event, reply.body as AcceptedEvent);
        return reply;
      } catch (error) {
        starts.rolledBack();
        throw error;
      }
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
    async handle({ deps, key, confirmKey, body, rawBody, requestId, traceparent }) {
      requireRoom(deps);
      // Of a smaller body, no part is too large.
      const isSizeKnown = rawBody.length <= maxEventBytes;
      const prepared: (NewEvent | ApiError)[] = [];
      for (const item of body.events) {
        prepared.push(await prepare(deps, { key, traceparent }, item, isSizeKnown));
      }
      const events = prepared.filter((item): item is NewEvent => !(item instanceof ApiError));
      const acceptances = await publish(deps, events, confirmKey);
      let next = 0;
      const data = prepared.map((item) => {
        try {
          if (item instanceof ApiError) throw item;
          const acceptance = acceptances[next];
          next += 1;
          if (!acceptance) throw new Error('An event was not answered');
          const accepted = acceptedOf(acceptance);
          tell(deps, requestId, item, accepted);
          return { status: 202, ...accepted };
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          deps.metrics.publish.refused(error.code);
          return { status: error.status, error: toProblem(error) };
        }
      });
      return { status: 207, body: { data } };
    },
  }),
];

/** One event of a batch: ready to be accepted, or the error that it is answered with. */
async function prepare(
  deps: Deps,
  { key, traceparent }: Omit<Source, 'accountId'>,
  item: unknown,
  isSizeKnown: boolean,
): Promise<NewEvent | ApiError> {
  if (isTooDeep(item)) return tooDeep('');
  const isTooLarge = () => Buffer.byteLength(JSON.stringify(item) ?? '') > maxEventBytes;
  const tooLarge = () => new ApiError('body_too_large', `An event may have at most ${maxEventBytes} bytes.`);
  try {
    const request = validate(publishEventSchema, item);
    const accountId = await accountFor(deps, key, request.account_id);
    const event = toNewEvent(request, { key, accountId, traceparent });
    // All of the item but account_id is in the body.
    const isSmall = isSizeKnown || event.body.length < maxEventBytes - 200;
    return isSmall || !isTooLarge() ? event : tooLarge();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return isSizeKnown || !isTooLarge() ? error : tooLarge();
  }
}
