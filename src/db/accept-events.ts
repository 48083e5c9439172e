import type { AcceptedEvent } from '../contracts/event.ts';
import { createPauses } from '../domain/pauses.ts';
import { createAccounts } from './accounts.ts';
import { loadKnownEvents } from './event-log.ts';
import { insertEvents, type DeliveryToInsert, type NewEvent } from './insert-events.ts';
import { deliveriesOf } from './new-deliveries.ts';
import type { Queryable } from './pool.ts';
import type { ReserveOwners } from './reserve-owners.ts';
import { isKnownEvent, isSameEvent } from './same-event.ts';
import { loadSubscribers, type RefusedWebhook, type SubscriberCache } from './subscribers.ts';

export type Acceptance =
  | { kind: 'accepted'; event: AcceptedEvent }
  | { kind: 'duplicate'; event: AcceptedEvent }
  | { kind: 'conflict'; id: string }
  | Refusal
  /** There is no such account. */
  | { kind: 'no_account' }
  /** The key was revoked, or may no longer publish. */
  | { kind: 'key_refused' }
  /** The event types were changed since it was checked: it was not written. */
  | { kind: 'types_changed' }
  /** Its account's webhooks were changed in every round: the event was not written. */
  | { kind: 'contended' };

/** It is not accepted unless it was before. `webhooks`: those that it names and may not. `isExpired`: `expires_at` had come. */
export type Refusal = { kind: 'refused'; webhooks: RefusedWebhook[]; isExpired: boolean };

type Options = {
  /** Cached webhooks; the statement checks that they are current. Not inside a transaction. */
  cache?: SubscriberCache | undefined;
  /** Whether an unknown account is created at its first event. */
  createsAccounts?: boolean | undefined;
  /** Without it, the dispatcher assigns all owners after the commit. Not inside a transaction. */
  reserveOwners?: ReserveOwners | undefined;
  /** Called after deliveries were written that wait for others of their line. */
  onJoined?: (() => void) | undefined;
};

/** `creation`: the accounts that were created; null: none is. */
type RoundOptions = Omit<Options, 'createsAccounts'> & {
  typesVersion: string | null;
  creation: Set<string> | null;
};

type Item = { event: NewEvent; key: string; index: number };

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
  { cache, reserveOwners, onJoined, createsAccounts = false }: Options = {},
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
      onJoined,
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

// An id contains no space.
const keyOf = (event: { accountId: string; id: string }) => `${event.accountId} ${event.id}`;

/** Fills in the acceptances that it can; returns the items for the next round. */
async function acceptRound(
  db: Queryable,
  items: readonly Item[],
  acceptances: Acceptance[],
  { cache, reserveOwners, onJoined, typesVersion, creation }: RoundOptions,
): Promise<Item[]> {
  const accountIds = new Set(items.map(({ event }) => event.accountId));
  const subscribers = cache ? await cache.get(accountIds) : await loadSubscribers(db, [...accountIds]);
  const accounts = [...subscribers].map(([id, { version }]) => ({ id, webhooksVersion: version }));
  // Of one id given twice, the first event is written.
  const firsts = new Map<string, Item>();
  const refusals = new Map<Item, Refusal>();
  for (const item of items) {
    const ofAccount = subscribers.get(item.event.accountId);
    if (!ofAccount) continue;
    const { webhookIds = [], isExpired = false } = item.event.options ?? {};
    const webhooks = ofAccount.refused(webhookIds);
    if (webhooks.length > 0 || isExpired) refusals.set(item, { kind: 'refused', webhooks, isExpired });
    else if (!firsts.has(item.key)) firsts.set(item.key, item);
  }
  // One order for all, so that two statements that insert the same ids wait for each other and do not deadlock.
  const candidates = [...firsts.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  // In the order in which they were given: their ids, by which they are queued, have it, and so have lines.
  const { rows, shown } = await deliveriesOf([...firsts.values()], subscribers);
  const written = await writeEvents(
    db,
    { accounts, items, candidates, rows, typesVersion },
    { reserveOwners, onJoined },
  );

  const again: Item[] = [];
  const unknown: Item[] = [];
  const unknownAccounts = new Map<string, string>();
  // Comparing large contents takes long.
  const rest = createPauses();
  for (const item of items) {
    await rest();
    const { event, key, index } = item;
    const first = firsts.get(key);
    const hasAccount = subscribers.has(event.accountId);
    if (!written.areTypesCurrent) acceptances[index] = { kind: 'types_changed' };
    else if (!written.isKeyValid(event)) acceptances[index] = { kind: 'key_refused' };
    else if (!hasAccount && creation && !creation.has(event.accountId)) {
      unknownAccounts.set(event.accountId, event.apiKeyId ?? 'service');
      again.push(item);
    } else if (!hasAccount) acceptances[index] = { kind: 'no_account' };
    else if (!written.isCurrent(event)) {
      cache?.forget(event.accountId);
      again.push(item);
    } else if (refusals.has(item) || !first) unknown.push(item);
    else if (written.isInserted(first)) {
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
      const refusal = refusals.get(item);
      // One that was accepted before is a duplicate, even if it has expired or a webhook that it names was deleted since.
      if (refusal && !stored) acceptances[index] = refusal;
      // Removed in between: its retention ended.
      else if (!stored) again.push(item);
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
  { reserveOwners, onJoined }: Pick<Options, 'reserveOwners' | 'onJoined'>,
) {
  const apiKeyIds = [...new Set(items.flatMap(({ event: { apiKeyId } }) => apiKeyId ?? []))];
  const accountNumbers = new Map(accounts.map(({ id }, index) => [id, index + 1]));
  const keyNumbers = new Map(apiKeyIds.map((id, index) => [id, index + 1]));
  // Those that wait for a time or for others get their owner later.
  const pending = rows.filter(({ status, options }) => status === 'pending' && !options?.startAfter);
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
  if (rows.some(({ options }) => options?.startAfter === 'line')) onJoined?.();
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
