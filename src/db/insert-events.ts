import type { DeliveryStatus } from '../contracts/delivery.ts';
import { arrayLiteral, arrayOfUnknownLength, columns, type Columns } from './columns.ts';
import { reconcileStartAfter, type Startable } from './deliveries-table.ts';
import { bodyToStore } from './payloads.ts';
import { joinLines } from './delivery-lines.ts';
import { onlyRow, type Queryable } from './pool.ts';

/** How the producer wants an event to be delivered. */
export type EventOptions = {
  /** For these webhooks alone. */
  webhookIds?: readonly string[] | undefined;
  orderKey?: string | undefined;
  /** When it was published, this was in the future. */
  deliverAt?: Date | undefined;
  expiresAt?: Date | undefined;
  /** It had expired when it was published: it is only accepted as a duplicate. */
  isExpired?: boolean;
};

/** `timestamp` null: the producer gave none, so `body` holds the time of acceptance. */
export type NewEvent = {
  accountId: string;
  id: string;
  type: string;
  timestamp: string | null;
  acceptedTimestamp: string;
  /** The trace that it belongs to, as version 00. */
  traceparent?: string | null;
  /** For filters. */
  labels?: readonly string[] | undefined;
  /** For the search. */
  searchKeys?: readonly string[];
  /** The bytes that every attempt sends. */
  body: Buffer;
  /** Undefined: none is given. */
  options?: EventOptions | undefined;
  /** An event about this webhook is not for it: no loops. */
  exceptWebhookId?: string;
  /** The version of the event types by which it was checked; the statement compares it. Undefined: it needs no check. */
  typesVersion?: string;
  /** The key that must still be valid for publishing when the event is written; undefined: the caller has checked. */
  apiKeyId?: string;
};

/** `accountNumber` and `keyNumber` count from 1; null: no key is checked. */
type EventToInsert = { event: NewEvent; accountNumber: number; keyNumber: number | null };

export type DeliveryToInsert = Startable & {
  status: Extract<DeliveryStatus, 'pending' | 'held'>;
  createdAtMs: number;
  /** The workflow that will be started for it; null: the dispatcher assigns one later. */
  ownerId: string | null;
  /** The reconciler starts that workflow, as soon as it can. */
  isQueued: boolean;
  options?: DeliveryOptions | undefined;
};

/** Of a delivery that its event's options or its webhook's ordering concern. */
export type DeliveryOptions = {
  startAfter: 'deliver_at' | 'line' | null;
  deliverAt: Date | null;
  expiresAt: Date | null;
  orderKey: string | null;
  /** How many of the same statement stand behind it in its line; null: it does not join a line now. */
  behindIt: number | null;
};

type ToInsert = {
  /** `webhooksVersion`: of the webhooks for which the deliveries were created. */
  accounts: readonly { id: string; webhooksVersion: string }[];
  apiKeyIds: readonly string[];
  /** Of the event types; null: it is not compared. */
  typesVersion: string | null;
  /** In one order for all callers, so that two that insert the same ids wait for each other and do not deadlock. */
  events: readonly EventToInsert[];
  deliveries: readonly DeliveryToInsert[];
};

type Inserted = {
  /** Whether each account exists and has that version. Otherwise none of its events was inserted. */
  isAccountCurrent: boolean[];
  /** Whether the event types have that version. Otherwise no event was inserted. */
  areTypesCurrent: boolean;
  /** Whether each key may publish. Otherwise none of its events was inserted. */
  isKeyValid: boolean[];
  /** `account id`, space, `event id` of each event that is new; null: all are. */
  eventKeys: Set<string> | null;
};

/** `stored`: the stored form of the body. */
type EventRow = EventToInsert & { bodyStart: number; stored: Buffer };
const plainEvents: Columns<EventRow> = {
  account_id: ['text', ({ event }) => event.accountId],
  id: ['text', ({ event }) => event.id],
  type: ['text', ({ event }) => event.type],
  '"timestamp"': ['text', ({ event }) => event.acceptedTimestamp],
  traceparent: ['text', ({ event }) => event.traceparent ?? null],
  labels: ['text', ({ event }) => (event.labels?.length ? arrayLiteral(event.labels) : null)],
  search_keys: ['text', ({ event }) => (event.searchKeys?.length ? `{${event.searchKeys.join()}}` : null)],
  body_start: ['int', ({ bodyStart }) => bodyStart],
  body_length: ['int', ({ stored }) => stored.length],
  account_n: ['int', ({ accountNumber }) => accountNumber],
  key_n: ['int', ({ keyNumber }) => keyNumber],
};
const eventOptions: Columns<EventRow> = {
  webhook_ids: [
    'text',
    ({ event: { options } }) => (options?.webhookIds ? arrayLiteral(options.webhookIds) : null),
  ],
  order_key: ['text', ({ event }) => event.options?.orderKey ?? null],
  deliver_at: ['timestamptz', ({ event }) => event.options?.deliverAt ?? null],
  expires_at: ['timestamptz', ({ event }) => event.options?.expiresAt ?? null],
};
const plainDeliveries: Columns<DeliveryToInsert> = {
  id: ['text', ({ id }) => id],
  account_id: ['text', ({ accountId }) => accountId],
  webhook_id: ['text', ({ webhookId }) => webhookId],
  event_id: ['text', ({ eventId }) => eventId],
  event_type: ['text', ({ eventType }) => eventType],
  status: ['text', ({ status }) => status],
  created_s: ['float8', ({ createdAtMs }) => createdAtMs / 1000],
  owner_id: ['text', ({ ownerId }) => ownerId],
  is_queued: ['bool', ({ isQueued }) => isQueued],
  // As text: unnest would take arrays apart.
  schedule: ['text', ({ schedule }) => (schedule ? `{${schedule.join()}}` : null)],
};
const deliveryOptions: Columns<DeliveryToInsert> = {
  start_after: ['text', ({ options }) => options?.startAfter ?? null],
  deliver_at: ['timestamptz', ({ options }) => options?.deliverAt ?? null],
  expires_at: ['timestamptz', ({ options }) => options?.expiresAt ?? null],
  order_key: ['text', ({ options }) => options?.orderKey ?? null],
  behind_it: ['int', ({ options }) => options?.behindIt ?? null],
};

const scheduled = `case when d.start_after = 'deliver_at' then scheduled_entry(to_timestamp(d.created_s), d.deliver_at) else '[]' end
        || `;
// A full join is never made by comparing each with each. Each line has a delivery.
const fullJoinOfLines = `full join lines l
      on l.webhook_id = d.webhook_id and l.order_key = case when d.behind_it is not null then d.order_key end`;

const plain = statementOf('insert-events', plainEvents, plainDeliveries, false);
/** Where none has options, which is nearly always, they cost nothing. */
const withOptions = statementOf(
  'insert-events-with-options',
  { ...plainEvents, ...eventOptions },
  { ...plainDeliveries, ...deliveryOptions },
  true,
);

// All bodies are one binary value ($4) that is cut here: an array would be written, sent and read as hex.
// Nothing here sorts or hashes the events, so they keep the order of the arrays.
// $5 is the number of events, $6 the version of the event types. Nearly always all are new; then no delivery looks for its event.
// Lines are locked after the events are written, in one order for all, so that two statements do not deadlock.
function statementOf(
  name: string,
  events: Columns<EventRow>,
  deliveries: Columns<DeliveryToInsert>,
  hasOptions: boolean,
) {
  const e = columns('e', events, 7);
  const d = columns('d', deliveries, 7 + Object.keys(events).length);
  const hold = hasOptions ? 'hold_until_after(d.deliver_at)' : 'hold_until()';
  const text = `
  with checked as materialized (
    select
      array(
        select coalesce(a.webhooks_version = given.version, false)
        from unnest(${arrayOfUnknownLength(1, 'text')}, $2::bigint[]) with ordinality as given(id, version, n)
        left join accounts a on a.id = given.id order by given.n
      ) as accounts,
      array(
        select coalesce(k.revoked_at is null and 'events:write' = any(k.scopes), false)
        from unnest(${arrayOfUnknownLength(3, 'text')}) with ordinality as given(id, n) left join api_keys k on k.id = given.id order by given.n
      ) as keys,
      $6::bigint is null or (select version from event_types_version) = $6 as are_types_current
  ),
  inserted as (
    insert into events (account_id, id, type, "timestamp", traceparent, labels, search_keys, body, created_at
      ${hasOptions ? ', webhook_ids, order_key, deliver_at, expires_at' : ''})
    select e.account_id, e.id, e.type, e."timestamp", e.traceparent, e.labels::text[], e.search_keys::bigint[], substring($4::bytea from e.body_start for e.body_length),
      date_trunc('milliseconds', clock_timestamp())
      ${hasOptions ? ', e.webhook_ids::text[], e.order_key, e.deliver_at, e.expires_at' : ''}
    from ${e.table}
    where (select are_types_current from checked)
      and (select accounts from checked)[e.account_n]
      and (e.key_n is null or (select keys from checked)[e.key_n])
    on conflict (account_id, id) do nothing
    returning account_id, id
  )${
    hasOptions
      ? `,
  ${linesOf(d.table)}`
      : ''
  },
  written as (
    insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, created_at, owner_id, reconcile_at,
      held_until, timeline, schedule
      ${hasOptions ? ', start_after, deliver_at, expires_at, order_key, line_position' : ''})
    select d.id, d.account_id, d.webhook_id, d.event_id, d.event_type, d.status, to_timestamp(d.created_s), d.owner_id,
      case when d.status = 'held' then ${hold}
        when d.is_queued then now()
        when d.owner_id is not null then now() + ${reconcileStartAfter} end,
      case when d.status = 'held' then ${hold} end,
      ${hasOptions ? scheduled : ''}case when d.status = 'held' then timeline_entry('held', to_timestamp(d.created_s)) else '[]' end,
      d.schedule::int[]
      ${hasOptions ? ', d.start_after, d.deliver_at, d.expires_at, d.order_key, l.last_position - d.behind_it' : ''}
    from ${d.table}
    ${hasOptions ? fullJoinOfLines : ''}
    where (select count(*) from inserted) = $5
      or (d.account_id, d.event_id) in (select account_id, id from inserted)
  )
  select accounts as "isAccountCurrent", keys as "isKeyValid", are_types_current as "areTypesCurrent",
    case when (select count(*) from inserted) < $5
      then array(select account_id || ' ' || id from inserted) end as "eventKeys"
  from checked`;
  return { name, text, events: e, deliveries: d };
}

/** The lines that deliveries join; an event that is not new leaves a gap in the positions. */
function linesOf(deliveries: string): string {
  return joinLines(`select distinct d.webhook_id, d.order_key from ${deliveries}
    where d.behind_it is not null and (select count(*) from inserted) > 0`);
}

/**
 * Writes events and their deliveries with one statement. An event is left out, with its deliveries, where its account or the
 * event types are not current, its key may not publish, or its id exists.
 */
export async function insertEvents(db: Queryable, toInsert: ToInsert): Promise<Inserted> {
  const { accounts, apiKeyIds, typesVersion, events, deliveries } = toInsert;
  let nextStart = 1;
  const eventRows = events.map((each): EventRow => {
    const bodyStart = nextStart;
    const stored = bodyToStore(db, each.event);
    nextStart += stored.length;
    return { ...each, bodyStart, stored };
  });
  const hasOptions =
    events.some(({ event }) => event.options !== undefined) ||
    deliveries.some(({ options }) => options !== undefined);
  const statement = hasOptions ? withOptions : plain;
  const { rows } = await db.query<Omit<Inserted, 'eventKeys'> & { eventKeys: string[] | null }>({
    name: statement.name,
    text: statement.text,
    values: [
      accounts.map(({ id }) => id),
      accounts.map(({ webhooksVersion }) => webhooksVersion),
      apiKeyIds,
      Buffer.concat(eventRows.map(({ stored }) => stored)),
      events.length,
      typesVersion,
      ...statement.events.values(eventRows),
      ...statement.deliveries.values(deliveries),
    ],
  });
  const row = onlyRow(rows, 'insert-events');
  return { ...row, eventKeys: row.eventKeys && new Set(row.eventKeys) };
}
