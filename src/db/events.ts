import { isDeepStrictEqual } from 'node:util';
import { newId, timeOfId } from '../domain/ids.ts';
import { filtersThatMatch } from '../domain/subscription.ts';
import type { AcceptedEvent, EventSummary } from '../contracts/event.ts';
import type { Queryable } from './pool.ts';

/** `timestamp` null: the producer gave none, so `body` holds the time of acceptance. */
export type NewEvent = {
  accountId: string;
  id: string;
  type: string;
  data: unknown;
  timestamp: string | null;
  acceptedTimestamp: string;
  body: Buffer;
  /** An event about this webhook is not for it: no loops. */
  exceptWebhookId?: string;
};

export type Acceptance =
  | { kind: 'accepted'; event: AcceptedEvent }
  | { kind: 'duplicate'; event: AcceptedEvent }
  | { kind: 'conflict'; id: string };

type Delivery = AcceptedEvent['deliveries'][number];

/**
 * Writes events and one delivery for each matching webhook; call it inside a transaction. Answers in the order of
 * `events`. An id that is there already adds nothing: the same content is a duplicate, another one a conflict.
 */
export async function acceptEvents(db: Queryable, events: readonly NewEvent[]): Promise<Acceptance[]> {
  const first = new Map<string, NewEvent>();
  for (const event of events) if (!first.has(keyOf(event))) first.set(keyOf(event), event);
  // One order for all transactions: two that insert the same ids wait for each other instead of locking up.
  const candidates = [...first.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const inserted = await insertEvents(db, candidates);
  const fresh = candidates.filter((event) => inserted.has(keyOf(event)));
  const deliveries = await insertDeliveries(db, fresh);
  const known = await loadKnown(
    db,
    events.filter((event) => !inserted.has(keyOf(event))),
  );

  return events.map((event): Acceptance => {
    const key = keyOf(event);
    const created = inserted.has(key) ? first.get(key) : undefined;
    if (created === event) {
      return {
        kind: 'accepted',
        event: { id: event.id, duplicate: false, deliveries: deliveries.get(key) ?? [] },
      };
    }
    const isSame = created
      ? isSameEvent(event, JSON.parse(created.body.toString()))
      : isKnownEvent(event, known.get(key));
    if (!isSame) return { kind: 'conflict', id: event.id };
    const existing = created ? deliveries.get(key) : known.get(key)?.deliveries;
    return { kind: 'duplicate', event: { id: event.id, duplicate: true, deliveries: existing ?? [] } };
  });
}

// A space cannot stand in an id.
const keyOf = (event: { accountId: string; id: string }) => `${event.accountId} ${event.id}`;

function isSameEvent(event: NewEvent, content: unknown): boolean {
  const stored = content as { event: string; timestamp: string; data: unknown } | undefined;
  if (!stored) return false;
  return (
    stored.event === event.type &&
    (event.timestamp === null || event.timestamp === stored.timestamp) &&
    isDeepStrictEqual(stored.data, event.data)
  );
}

/** Of an event whose body is past its retention, type and time are left to compare. */
function isKnownEvent(event: NewEvent, known: Known | undefined): boolean {
  if (!known) return false;
  if (known.content !== null) return isSameEvent(event, known.content);
  return known.type === event.type && (event.timestamp === null || event.timestamp === known.timestamp);
}

async function insertEvents(db: Queryable, events: readonly NewEvent[]): Promise<Set<string>> {
  const { rows } = await db.query<{ accountId: string; id: string }>({
    name: 'insert-events',
    text: `insert into events (account_id, id, type, "timestamp", body, created_at)
      select *, date_trunc('milliseconds', clock_timestamp())
      from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[])
      on conflict (account_id, id) do nothing
      returning account_id as "accountId", id`,
    values: [
      events.map((event) => event.accountId),
      events.map((event) => event.id),
      events.map((event) => event.type),
      events.map((event) => event.acceptedTimestamp),
      events.map((event) => event.body),
    ],
  });
  return new Set(rows.map(keyOf));
}

async function insertDeliveries(
  db: Queryable,
  events: readonly NewEvent[],
): Promise<Map<string, Delivery[]>> {
  const byEvent = new Map<string, Delivery[]>(events.map((event) => [keyOf(event), []]));
  if (events.length === 0) return byEvent;
  const { rows: webhooks } = await db.query<{
    id: string;
    accountId: string;
    events: string[];
    active: boolean;
  }>({
    name: 'find-subscribed-webhooks',
    text: `select id, account_id as "accountId", events, active from webhooks
      where account_id = any($1) and deleted_at is null order by id`,
    values: [[...new Set(events.map((event) => event.accountId))]],
  });
  const rows = events.flatMap((event) => {
    const filters = filtersThatMatch(event.type);
    return webhooks
      .filter(
        (webhook) =>
          webhook.accountId === event.accountId &&
          webhook.id !== event.exceptWebhookId &&
          webhook.events.some((filter) => filters.includes(filter)),
      )
      .map((webhook) => ({
        id: newId('dlv'),
        event,
        webhook,
        status: webhook.active ? ('pending' as const) : ('held' as const),
      }));
  });
  if (rows.length === 0) return byEvent;
  for (const { id, event, webhook, status } of rows) {
    byEvent.get(keyOf(event))?.push({ id, webhook_id: webhook.id, status });
  }
  await db.query({
    name: 'insert-deliveries',
    text: `insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at, workflow_id, check_at, held_until, timeline)
      select id, account_id, webhook_id, event_id, event_type, status, created_at, id,
        case when status = 'pending' then now() + interval '10 seconds' else hold_until() end,
        case when status = 'held' then hold_until() end,
        case when status = 'held' then jsonb_build_array(jsonb_build_object(
          'at', to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'type', 'held')) else '[]' end
      from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
        as t(id, account_id, webhook_id, event_id, event_type, status, created_at)`,
    values: [
      rows.map((row) => row.id),
      rows.map((row) => row.event.accountId),
      rows.map((row) => row.webhook.id),
      rows.map((row) => row.event.id),
      rows.map((row) => row.event.type),
      rows.map((row) => row.status),
      rows.map((row) => timeOfId(row.id)),
    ],
  });
  return byEvent;
}

/** `content` null: the body is past its retention. */
type Known = { type: string; timestamp: string; content: unknown; deliveries: Delivery[] };

async function loadKnown(db: Queryable, events: readonly NewEvent[]): Promise<Map<string, Known>> {
  if (events.length === 0) return new Map();
  const accountIds = events.map((event) => event.accountId);
  const ids = events.map((event) => event.id);
  const { rows } = await db.query<
    Omit<Known, 'content'> & { accountId: string; id: string; body: Buffer | null }
  >(
    `select e.account_id as "accountId", e.id, e.type, e."timestamp", e.body, ${deliveriesOfEvent}
     from events e where (e.account_id, e.id) in (select * from unnest($1::text[], $2::text[]))`,
    [accountIds, ids],
  );
  return new Map(
    rows.map(({ body, ...row }) => [
      keyOf(row),
      { ...row, content: body === null ? null : (JSON.parse(body.toString()) as unknown) },
    ]),
  );
}

const deliveriesOfEvent = `(
  select coalesce(jsonb_agg(jsonb_build_object('id', d.id, 'webhook_id', d.webhook_id, 'status', d.status) order by d.id), '[]')
  from deliveries d where d.account_id = e.account_id and d.event_id = e.id) as deliveries`;

/** `body` null: past its retention. */
type StoredEvent = EventSummary & { body: Buffer | null };

const eventColumns = `e.id, e.type as event, e."timestamp", e.created_at, ${deliveriesOfEvent}`;

type Row<Event extends EventSummary> = Omit<Event, 'created_at'> & { created_at: Date };

export async function findEvent(db: Queryable, accountId: string, id: string): Promise<StoredEvent | null> {
  const { rows } = await db.query<Row<StoredEvent>>(
    `select ${eventColumns}, e.body from events e where e.account_id = $1 and e.id = $2`,
    [accountId, id],
  );
  return rows[0] ? { ...rows[0], created_at: rows[0].created_at.toISOString() } : null;
}

/** Newest first; `before` is where the page before ended. */
export async function listEvents(
  db: Queryable,
  accountId: string,
  before: { createdAt: string; id: string } | null,
  limit: number,
): Promise<EventSummary[]> {
  const { rows } = await db.query<Row<EventSummary>>(
    `select ${eventColumns} from events e
     where e.account_id = $1 and ($2::timestamptz is null or (e.created_at, e.id) < ($2, $3))
     order by e.created_at desc, e.id desc limit $4`,
    [accountId, before?.createdAt ?? null, before?.id ?? null, limit],
  );
  return rows.map((row) => ({ ...row, created_at: row.created_at.toISOString() }));
}

/** Whether the event can still be sent. */
export async function hasBody(db: Queryable, accountId: string, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `select 1 from events where account_id = $1 and id = $2 and body is not null`,
    [accountId, id],
  );
  return rowCount === 1;
}
