import type { z } from 'zod';
import { eventTypeExamples } from '../../contracts/event-types.ts';
import {
  acceptedEventSchema,
  maxEventBytes,
  publishEventSchema,
  waitQuerySchema,
  type AcceptedEvent,
  type PublishEvent,
} from '../../contracts/event.ts';
import { acceptEvents, type Acceptance } from '../../db/accept-events.ts';
import { readDeliveriesOf } from '../../db/event-log.ts';
import type { NewEvent } from '../../db/insert-events.ts';
import type { ApiKey } from '../../db/api-keys-table.ts';
import type { Deps } from '../../deps.ts';
import type { Publisher } from '../../db/publisher.ts';
import type { Catalogue, EventTypes } from '../../event-types/catalogue.ts';
import { checkEventData } from '../event-data.ts';
import { refusalOf, toEventOptions } from '../event-options.ts';
import { searchKey, dataIdsOf } from '../../domain/search-keys.ts';
import { newId } from '../../domain/ids.ts';
import { toTraceparent, traceIdOf } from '../../domain/traceparent.ts';
import { membersOf } from '../../domain/json-text.ts';
import { wireBodyOf, wireTimestamp } from '../../domain/wire-body.ts';
import { accountHeader, accountIdPattern } from '../../contracts/id.ts';
import { ApiError, unavailable } from '../../errors.ts';
import { noSuchAccount } from '../auth.ts';
import type { EventWait } from '../event-waits.ts';
import { decode } from '../parse-json.ts';
import { fault, validationError } from '../problem-details.ts';
import { respondOnce } from '../respond-once.ts';
import { routesWithTag, type Context } from '../route.ts';

const defineRoute = routesWithTag('Events');
export const exampleEvent = {
  event: 'document.processed' as const,
  data: eventTypeExamples['document.processed'].data,
};

/** @throws ApiError unavailable */
export function requireCapacity({ backlog }: Deps): void {
  if (backlog.isFull())
    throw unavailable('Too many accepted deliveries wait to be started. Publish again later.', 10, 'backlog');
}

/** The account that a request publishes for. @throws ApiError */
export async function accountFor(deps: Deps, key: ApiKey, accountId: string | undefined): Promise<string> {
  if (key.accountId !== null && !key.isActing) {
    if (accountId === undefined) return key.accountId;
    throw new ApiError(
      'service_key_required',
      'account_id may be given with a service key only. Leave it out.',
      { errors: [fault('/account_id', 'needs a service key')] },
    );
  }
  if (key.isActing && accountId !== undefined && accountId !== key.accountId)
    throw validationError([fault('/account_id', `names another account than the header ${accountHeader}`)]);
  const named = key.accountId ?? accountId;
  if (named === undefined)
    throw validationError([
      fault('/account_id', `or the header ${accountHeader} is needed with a service key`),
    ]);
  const isPossible = createsAccounts(deps)
    ? accountIdPattern.test(named)
    : await deps.publisher.hasAccount(named);
  if (!isPossible) throw unknownAccount(key);
  return named;
}

/** Whether an unknown account is created at its first event, by the statement that writes the event. */
export const createsAccounts = ({ config }: Pick<Deps, 'config'>): boolean =>
  config.FLTR_CREATE_ACCOUNTS === 'on_publish';

/** 404 for the account that a key acts for, as for every call; a fault of the body where that names it. */
const unknownAccount = (key: ApiKey | null): ApiError =>
  key?.isActing ? noSuchAccount() : validationError([fault('/account_id', 'is not a known account')]);

/** `bytes`: the request, or the part of it, that the event was read from. */
export type Source = {
  /** Null: the event comes from an outbox. */
  key: ApiKey | null;
  accountId: string;
  traceparent: string | null;
  /** Null: there is no request. */
  requestId: string | null;
  bytes: Buffer;
  types: Catalogue;
  /** When it was published: its times are judged by that. Default: now. */
  at?: Date;
};

/** A valid request as the event that it becomes: its bytes are fixed here. @throws ApiError */
export function toNewEvent(
  request: PublishEvent,
  { key, accountId, traceparent: header, requestId, bytes, types, at = new Date() }: Source,
): NewEvent {
  const { event: type } = request;
  checkEventData(types, type, request.data);
  const id = request.id ?? newId('evt');
  const timestamp = request.timestamp ?? null;
  const acceptedTimestamp = timestamp ?? wireTimestamp(new Date());
  // The text as it was sent: JSON.parse drops digits of long numbers and may reorder names.
  const data = membersOf(decode(bytes)).find(([name]) => name === 'data')?.[1] ?? '{}';
  const body = wireBodyOf({ id, event: type, timestamp: acceptedTimestamp, data });
  const given = request.traceparent ?? header;
  const traceparent = given === null ? null : toTraceparent(given);
  return {
    accountId,
    id,
    type,
    timestamp,
    acceptedTimestamp,
    traceparent,
    body,
    labels: request.labels,
    options: toEventOptions(request, at),
    searchKeys: [...(requestId === null ? [] : [requestId]), ...dataIdsOf(request.data)].map((each) =>
      searchKey(accountId, each),
    ),
    // The statement that writes the event checks this key again.
    ...(key && { apiKeyId: key.portal?.createdBy ?? key.id }),
    typesVersion: types.version,
  };
}

/** @throws ApiError for an event that was not accepted */
export function acceptedOf(key: ApiKey | null, acceptance: Acceptance | undefined): AcceptedEvent {
  switch (acceptance?.kind) {
    case 'accepted':
    case 'duplicate':
      return acceptance.event;
    case 'conflict':
      throw new ApiError(
        'event_id_conflict',
        `The event id "${acceptance.id}" was accepted before with another content. An event cannot be changed: use a new id.`,
        { errors: [fault('/id', 'belongs to another event')] },
      );
    case 'refused':
      throw refusalOf(acceptance);
    case 'no_account':
      throw unknownAccount(key);
    case 'key_refused':
      throw new ApiError('unauthorized', 'This API key was revoked, or may not publish any longer.');
    case 'contended':
      throw unavailable('The webhooks of the account are being changed. Publish again.', 1);
    case 'types_changed':
      throw unavailable('The event types are being changed. Publish again.', 1);
    case undefined:
      throw new Error('An event has no acceptance');
  }
}

/** Counts and logs an accepted event. */
export function recordAccepted(
  { metrics, log }: Pick<Deps, 'metrics' | 'log'>,
  requestId: string | null,
  event: NewEvent,
  accepted: AcceptedEvent,
): void {
  metrics.publish.accepted(accepted);
  if (!log.isLevelEnabled('debug')) return;
  log.debug(
    {
      ...(requestId === null ? {} : { request_id: requestId }),
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

/** The result of `run`, or the ApiError that it throws. */
export function resultOf<Result>(run: () => Result): Result | ApiError {
  try {
    return run();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}

/** An event that is ready to be accepted, or why it is refused. */
export type Prepared = NewEvent | ApiError;

export const isNewEvent = (item: Prepared): item is NewEvent => !(item instanceof ApiError);

/** Rounds of a request while event types change. */
const maxTypeRounds = 3;

/**
 * Prepares a request's events by the cached event types, and accepts them. By outdated types none is accepted, and none is
 * refused: then all are prepared again.
 *
 * @returns the acceptances are those of the prepared events that are not errors, in order
 * @throws ApiError where none was accepted because of the key or of too many waiting events
 */
export async function publish(
  { publisher, eventTypes }: { publisher: Pick<Publisher, 'publish'>; eventTypes: EventTypes },
  confirmKey: () => Promise<void>,
  prepare: (types: Catalogue) => Promise<Prepared[]>,
): Promise<{ prepared: Prepared[]; acceptances: Acceptance[] }> {
  let types = await eventTypes.remembered();
  for (let round = 1; ; round += 1) {
    const prepared = await prepare(types);
    if (round < maxTypeRounds && !prepared.every(isNewEvent)) {
      const known = types;
      types = await eventTypes.current();
      if (types !== known) continue;
    }
    const events = prepared.filter(isNewEvent);
    const acceptances = events.length === 0 ? [] : await publisher.publish(events);
    if (acceptances === null)
      throw unavailable('Too many events wait to be written. Publish again.', 1, 'memory');
    if (acceptances.every(({ kind }) => kind === 'key_refused')) {
      await confirmKey();
      if (events.length > 0)
        throw unavailable('The API key was changed during the request. Publish again.', 1);
    }
    if (round === maxTypeRounds || !acceptances.some(({ kind }) => kind === 'types_changed'))
      return { prepared, acceptances };
    types = await eventTypes.current();
  }
}

export const publishRoutes = [
  defineRoute('post', '/v1/events', 'publishEvent', {
    summary: 'Publish an event',
    description:
      'Responds once the event and its deliveries are committed. The same `id` again gets `duplicate: true`, and nothing is sent. With `wait`, it responds when they have ended, or after so many seconds, with their states. An account may have 100 requests that wait.',
    scope: 'events:write',
    query: waitQuerySchema,
    body: publishEventSchema,
    bodyExample: exampleEvent,
    maxBodyBytes: maxEventBytes,
    takesIdempotencyKey: true,
    replies: { 202: { description: 'Accepted', schema: acceptedEventSchema } },
    errors: ['event_id_conflict', 'service_key_required'],
    async handle(context) {
      const { deps, key, body, query } = context;
      requireCapacity(deps);
      const accountId = await accountFor(deps, key, body.account_id);
      if (query.wait === undefined) return publishOne(context, accountId);
      const eventWait = deps.eventWaits.open(accountId);
      try {
        const reply = await publishOne(context, accountId);
        return { ...reply, later: whenEnded(deps, accountId, reply, { eventWait, seconds: query.wait }) };
      } catch (error) {
        eventWait.leave();
        throw error;
      }
    },
  }),
];

type Published = { status: number; body: AcceptedEvent; isReplay?: boolean };
type PublishContext = Context<z.output<typeof waitQuerySchema>, PublishEvent>;

async function publishOne(context: PublishContext, accountId: string): Promise<Published> {
  const { deps, key, confirmKey, body, rawBody, requestId, traceparent } = context;
  const source = { key, accountId, traceparent, requestId, bytes: rawBody };
  if (context.idempotencyKey === undefined) {
    const { prepared, acceptances } = await publish(deps, confirmKey, (types) =>
      Promise.resolve([resultOf(() => toNewEvent(body, { ...source, types }))]),
    );
    const [event] = prepared;
    if (!event || event instanceof ApiError) throw event;
    const accepted = acceptedOf(key, acceptances[0]);
    recordAccepted(deps, requestId, event, accepted);
    return { status: 202, body: accepted };
  }
  const event = toNewEvent(body, { ...source, types: await deps.eventTypes.current() });
  const reply = await respondOnce(context, { route: 'publishEvent' }, async (client) => {
    const [acceptance] = await acceptEvents(client, [event], { createsAccounts: createsAccounts(deps) });
    return { status: 202, body: acceptedOf(key, acceptance) };
  });
  deps.wakeDispatcher();
  if (event.options?.deliverAt) deps.expectScheduled(event.options.deliverAt);
  if (!reply.isReplay) recordAccepted(deps, requestId, event, reply.body);
  return reply;
}

/** The same reply with the deliveries as they are then. */
const whenEnded =
  (
    { pool }: Deps,
    accountId: string,
    reply: Published,
    { eventWait, seconds }: { eventWait: EventWait; seconds: number },
  ) =>
  async (isGone: AbortSignal): Promise<Published> => {
    const { id, deliveries } = reply.body;
    await eventWait.until({ eventId: id, deliveries, seconds }, isGone);
    const now = await readDeliveriesOf(pool, accountId, id);
    return { ...reply, body: { ...reply.body, deliveries: now ?? deliveries } };
  };
