import { isDeepStrictEqual } from 'node:util';
import type { AcceptedEvent } from '../contracts/event.ts';
import type { EventValues } from '../domain/filter.ts';
import { newId, timeOfId } from '../domain/ids.ts';
import { membersOf } from '../domain/json-text.ts';
import { createPauses } from '../domain/pauses.ts';
import { isSameJson } from '../domain/same-json.ts';
import { createAccounts } from './accounts.ts';
import { loadKnownEvents, type KnownEvent } from './event-log.ts';
import { insertEvents, type DeliveryToInsert, type NewEvent } from './insert-events.ts';
import type { Queryable } from './pool.ts';
import type { ReserveOwners } from './reserve-owners.ts';
import { valuesOfStored } from '../domain/webhook-match.ts';
import { loadSubscribers, type SubscriberCache, type Subscribers } from './subscribers.ts';

export type Acceptance =
  | { kind: 'accepted'; event: AcceptedEvent }
  | { kind: 'duplicate'; event: AcceptedEvent }
  | { kind: 'conflict'; id: string }
  /** There is no such account. */
  | { kind: 'no_account' }
  /** The key was revoked, or may no longer publish. */
  | { kind: 'key_refused' }
  /** The event types were changed since it was checked: it was not written. */
  | { kind: 'types_changed' }
  /** Its account's webhooks were changed in every round: the event was not written. */
  | { kind: 'contended' };

type Options = {
  /** Cached webhooks; the statement checks that they are current. Not inside a transaction. */
  cache?: SubscriberCache | undefined;
  /** Whether an unknown account is created at its first event. */
  createsAccounts?: boolean | undefined;
  /** Without it, the dispatcher assigns all owners after the commit. Not inside a transaction. */
  reserveOwners?: ReserveOwners | undefined;
};

/** `creation`: the accounts that were created; null: none is. */
type RoundOptions = Omit<Options, 'createsAccounts'> & {
  typesVersion: string | null;
  creation: Set<string> | null;
};

type Item = { event: NewEvent; key: string; index: number };
type Delivery = AcceptedEvent['deliveries'][number];

/** Rounds that use the cache; later ones read the webhooks from the database. */
const cachedRounds = 2;
const maxRounds = 6;

/**
 * Writes events and one delivery for each matching webhook, inside a transaction or without one. An id that exists already
 * adds nothing: the same content is a duplicate, other content a conflict.
 *
 * @returns one for each event, in the order of `events`
 */
export async function acceptEvents(
  db: Queryable,
  events: readonly NewEvent[],
  { cache, reserveOwners, createsAccounts = false }: Options = {},
): Promise<Acceptance[]> {
  const acceptances: Acceptance[] = [];
  const typesVersion = newestVersion(events);
  let open: Item[] = [];
  events.forEach((event, index) => {
    const isOutdated = event.typesVersion !== undefined && event.typesVersion !== typesVersion;
    if (isOutdated) acceptances[index] = { kind: 'types_changed' };
    else open.push({ event, key: keyOf(event), index });
  });
  const creation = createsAccounts ? new Set<string>() : null;
  for (let round = 1; open.length > 0 && round <= maxRounds; round += 1) {
    open = await acceptRound(db, open, acceptances, {
      cache: round > cachedRounds ? undefined : cache,
      reserveOwners,
      typesVersion,
      creation,
    });
  }
  for (const { index } of open) acceptances[index] = { kind: 'contended' };
  return acceptances;
}

/** Of the event types by which events were checked; null: none was. Requests of one statement may have different ones. */
function newestVersion(events: readonly NewEvent[]): string | null {
  let newest: string | null = null;
  for (const { typesVersion } of events) {
    if (typesVersion === undefined || typesVersion === newest) continue;
    if (newest === null || BigInt(typesVersion) > BigInt(newest)) newest = typesVersion;
  }
  return newest;
}

// A space cannot stand in an id.
const keyOf = (event: { accountId: string; id: string }) => `${event.accountId} ${event.id}`;

/** Fills in what it can; returns the items for the next round. */
async function acceptRound(
  db: Queryable,
  items: readonly Item[],
  acceptances: Acceptance[],
  { cache, reserveOwners, typesVersion, creation }: RoundOptions,
): Promise<Item[]> {
  const accountIds = new Set(items.map(({ event }) => event.accountId));
  const subscribers = cache ? await cache.get(accountIds) : await loadSubscribers(db, [...accountIds]);
  const accounts = [...subscribers].map(([id, { version }]) => ({ id, webhooksVersion: version }));
  // Of one id given twice, the first event is written.
  const firsts = new Map<string, Item>();
  for (const item of items) {
    if (!firsts.has(item.key) && subscribers.has(item.event.accountId)) firsts.set(item.key, item);
  }
  // One order for all, so that two statements that insert the same ids wait for each other and do not deadlock.
  const candidates = [...firsts.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  const { rows, shown } = await deliveriesOf(candidates, subscribers);
  const written = await writeEvents(db, { accounts, items, candidates, rows, typesVersion }, reserveOwners);

  const again: Item[] = [];
  const unknown: Item[] = [];
  const unknownAccounts = new Map<string, string>();
  // Comparing large contents takes long.
  const rest = createPauses();
  for (const item of items) {
    await rest();
    const { event, key, index } = item;
    const first = firsts.get(key);
    if (!written.areTypesCurrent) acceptances[index] = { kind: 'types_changed' };
    else if (!written.isKeyValid(event)) acceptances[index] = { kind: 'key_refused' };
    else if (!first && creation && !creation.has(event.accountId)) {
      unknownAccounts.set(event.accountId, event.apiKeyId ?? 'service');
      again.push(item);
    } else if (!first) acceptances[index] = { kind: 'no_account' };
    else if (!written.isCurrent(event)) {
      cache?.forget(event.accountId);
      again.push(item);
    } else if (written.isInserted(first)) {
      const accepted = { id: event.id, duplicate: first !== item, deliveries: shown.get(key) ?? [] };
      if (first === item) acceptances[index] = { kind: 'accepted', event: accepted };
      else if (!isSameEvent(event, first.event)) acceptances[index] = { kind: 'conflict', id: event.id };
      else acceptances[index] = { kind: 'duplicate', event: accepted };
    } else if (written.isKeyValid(first.event)) unknown.push(item);
    // The key of the first one was refused, so this one is the first now.
    else again.push(item);
  }
  if (unknown.length > 0) {
    const events = unknown.map(({ event }) => event);
    const known = await loadKnownEvents(db, events);
    for (const item of unknown) {
      await rest();
      const { event, key, index } = item;
      const stored = known.get(key);
      // Removed in between: its retention ended.
      if (!stored) again.push(item);
      else if (!isKnownEvent(event, stored)) acceptances[index] = { kind: 'conflict', id: event.id };
      else {
        const accepted = { id: event.id, duplicate: true, deliveries: stored.deliveries };
        acceptances[index] = { kind: 'duplicate', event: accepted };
      }
    }
  }
  if (unknownAccounts.size > 0) {
    // Only once: one that is unknown afterwards is being deleted.
    for (const accountId of unknownAccounts.keys()) creation?.add(accountId);
    await createAccounts(db, unknownAccounts);
  }
  return again;
}

/** One delivery for each webhook that gets an event, as a row and as it is shown. */
async function deliveriesOf(candidates: readonly Item[], subscribers: ReadonlyMap<string, Subscribers>) {
  const rows: (DeliveryToInsert & { key: string })[] = [];
  const shown = new Map<string, Delivery[]>();
  // Filters of many webhooks and large data take long.
  const rest = createPauses();
  for (const { event, key } of candidates) {
    const deliveries: Delivery[] = [];
    let values: EventValues | null = null;
    for (const webhook of subscribers.get(event.accountId)?.of(event.type) ?? []) {
      if (webhook.id === event.exceptWebhookId) continue;
      if (webhook.filter?.((values ??= valuesOfStored(event)))) continue;
      const id = newId('dlv');
      const status = webhook.active ? 'pending' : 'held';
      rows.push({
        id,
        accountId: event.accountId,
        webhookId: webhook.id,
        eventId: event.id,
        eventType: event.type,
        attemptCount: 0,
        retriesUsed: 0,
        nextAttemptAt: null,
        waitReason: null,
        runId: null,
        bodyBytes: event.body.length,
        schedule: webhook.schedule,
        mayShare: webhook.mayShare,
        status,
        createdAtMs: timeOfId(id).getTime(),
        ownerId: null,
        isQueued: false,
        key,
      });
      deliveries.push({ id, webhook_id: webhook.id, status });
    }
    shown.set(key, deliveries);
    if (values) await rest();
  }
  return { rows, shown };
}

type ToWrite = {
  accounts: { id: string; webhooksVersion: string }[];
  items: readonly Item[];
  candidates: readonly Item[];
  rows: (DeliveryToInsert & { key: string })[];
  typesVersion: string | null;
};

/** The statement, with the reservation of owners around it. */
async function writeEvents(
  db: Queryable,
  { accounts, items, candidates, rows, typesVersion }: ToWrite,
  reserveOwners: ReserveOwners | undefined,
) {
  const apiKeyIds = [...new Set(items.flatMap(({ event: { apiKeyId } }) => apiKeyId ?? []))];
  const accountNumbers = new Map(accounts.map(({ id }, index) => [id, index + 1]));
  const keyNumbers = new Map(apiKeyIds.map((id, index) => [id, index + 1]));
  const pending = rows.filter(({ status }) => status === 'pending');
  const reservation = pending.length > 0 ? reserveOwners?.(pending) : undefined;
  for (const row of pending) {
    const owner = reservation?.owners.get(row.id);
    row.ownerId = owner?.id ?? null;
    row.isQueued = owner?.isQueued ?? false;
  }
  const toInsert = {
    accounts,
    apiKeyIds,
    typesVersion,
    events: candidates.map(({ event }) => ({
      event,
      accountNumber: accountNumbers.get(event.accountId) ?? 0,
      keyNumber: event.apiKeyId === undefined ? null : (keyNumbers.get(event.apiKeyId) ?? 0),
    })),
    deliveries: rows,
  };
  const { isAccountCurrent, isKeyValid, areTypesCurrent, eventKeys } = await insertEvents(db, toInsert).catch(
    (error: unknown) => {
      reservation?.release();
      throw error;
    },
  );
  const inserted = eventKeys === null ? pending : pending.filter(({ key }) => eventKeys.has(key));
  if (inserted.length > 0) reservation?.committed(inserted);
  else reservation?.release();
  return {
    areTypesCurrent,
    isInserted: ({ key }: Item) => eventKeys === null || eventKeys.has(key),
    isCurrent: ({ accountId }: NewEvent) =>
      isAccountCurrent[(accountNumbers.get(accountId) ?? 0) - 1] === true,
    isKeyValid: ({ apiKeyId }: NewEvent) =>
      apiKeyId === undefined || isKeyValid[(keyNumbers.get(apiKeyId) ?? 0) - 1] === true,
  };
}

function isSameEvent(
  event: NewEvent,
  stored: { body: Buffer; labels?: readonly string[] | undefined },
): boolean {
  if (!isSameLabels(event, stored)) return false;
  if (event.body.equals(stored.body)) return true;
  const [one, other] = [event.body, stored.body].map((body): Partial<Record<string, string>> =>
    Object.fromEntries(membersOf(body.toString())),
  );
  return (
    one?.['event'] === other?.['event'] &&
    (event.timestamp === null || one?.['timestamp'] === other?.['timestamp']) &&
    isSameJson(one?.['data'] ?? '', other?.['data'] ?? '')
  );
}

/** They decide who gets the event, so they are a part of it; their order is not. */
const isSameLabels = (one: Pick<NewEvent, 'labels'>, other: Pick<NewEvent, 'labels'>): boolean =>
  isDeepStrictEqual(new Set(one.labels), new Set(other.labels));

/** Where the body is past its retention, type and time are compared. */
function isKnownEvent(event: NewEvent, known: KnownEvent): boolean {
  const { body, labels } = known;
  if (body !== null) return isSameEvent(event, { body, labels });
  return (
    isSameLabels(event, known) &&
    known.type === event.type &&
    (event.timestamp === null || event.timestamp === known.timestamp)
  );
}
