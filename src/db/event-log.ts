import type { AcceptedEvent, EventSummary } from '../contracts/event.ts';
import type { OtherWebhookRules } from '../domain/webhook-match.ts';
import { arrayOfUnknownLength } from './columns.ts';
import { storedBody } from './payloads.ts';
import type { Queryable } from './pool.ts';

/** `body` null: past its retention, or expunged. */
export type KnownEvent = {
  type: string;
  timestamp: string;
  body: Buffer | null;
  isExpunged: boolean;
  labels: string[];
  webhookIds: string[] | null;
  orderKey: string | null;
  deliveries: AcceptedEvent['deliveries'];
};

/** Those of the events that exist, by account id, space, event id. */
export async function loadKnownEvents(db: Queryable, events: readonly { accountId: string; id: string }[]) {
  const { rows } = await db.query<KnownEvent & { accountId: string; id: string }>(
    `select e.account_id as "accountId", e.id, e.type, e."timestamp", e.body, e.expunged_at is not null as "isExpunged", ${labelsOfEvent},
       e.webhook_ids as "webhookIds", e.order_key as "orderKey", ${deliveriesOfEvent}
     from events e where (e.account_id, e.id) in (select * from unnest($1::text[], $2::text[]))`,
    [events.map(({ accountId }) => accountId), events.map(({ id }) => id)],
  );
  return new Map<string, KnownEvent>(
    rows.map((row) => [
      `${row.accountId} ${row.id}`,
      { ...row, body: row.body && storedBody(db, row, row.body) },
    ]),
  );
}

const labelsOfEvent = `coalesce(e.labels, '{}') as labels`;

const deliveriesOfEvent = `(
  select coalesce(jsonb_agg(jsonb_build_object('id', d.id, 'webhook_id', d.webhook_id, 'status', d.status) order by d.id), '[]')
  from deliveries d where d.account_id = e.account_id and d.event_id = e.id) as deliveries`;

export const eventColumns = `e.id, e.type as event, e."timestamp", e.traceparent, ${labelsOfEvent},
  e.webhook_ids, e.order_key, e.deliver_at, e.expires_at, e.created_at, e.expunged_at, ${deliveriesOfEvent}`;

type EventTimes = {
  created_at: Date;
  deliver_at: Date | null;
  expires_at: Date | null;
  expunged_at: Date | null;
};
export type EventRow = Omit<EventSummary, keyof EventTimes> & EventTimes;

export const toEventSummary = <Row extends EventRow>(row: Row) => ({
  ...row,
  deliver_at: row.deliver_at?.toISOString() ?? null,
  expires_at: row.expires_at?.toISOString() ?? null,
  created_at: row.created_at.toISOString(),
  expunged_at: row.expunged_at?.toISOString() ?? null,
});

/** `body` null: past its retention, or expunged. */
export async function findEvent(db: Queryable, accountId: string, id: string) {
  const { rows } = await db.query<EventRow & { body: Buffer | null }>(
    `select ${eventColumns}, e.body from events e where e.account_id = $1 and e.id = $2`,
    [accountId, id],
  );
  const [row] = rows;
  if (!row) return null;
  return toEventSummary({ ...row, body: row.body && storedBody(db, { accountId, id }, row.body) });
}

/** Why the data of an event was removed. */
export type WhyRemoved = 'past_retention' | 'expunged';
/** Of the event `e`; null: it was not. */
export const whyRemoved = `case when e.expunged_at is not null then 'expunged' when e.body is null then 'past_retention' end`;

/** Why an event cannot be sent any more; null: it can. */
export async function findWhyRemoved(
  db: Queryable,
  accountId: string,
  id: string,
): Promise<WhyRemoved | null> {
  const { rows } = await db.query<{ removed: WhyRemoved | null }>(
    `select ${whyRemoved} as removed from events e where account_id = $1 and id = $2`,
    [accountId, id],
  );
  return rows[0] ? rows[0].removed : 'past_retention';
}

const maxOtherWebhooks = 100;

/** The webhooks that have no delivery of an event, newest first. */
export async function listOtherWebhooks(db: Queryable, accountId: string, eventId: string) {
  const { rows } = await db.query<OtherWebhookRules>(
    `select w.id, w.events, w.filter, date_trunc('milliseconds', w.created_at) > e.created_at as "isCreatedLater",
       date_trunc('milliseconds', w.matching_since) > e.created_at as "isChangedLater",
       coalesce(w.id <> all (e.webhook_ids), false) as "isNotNamed"
     from events e join webhooks w on w.account_id = e.account_id and w.deleted_at is null
     where e.account_id = $1 and e.id = $2 and not exists (
       select 1 from deliveries d where d.account_id = $1 and d.event_id = $2 and d.webhook_id = w.id)
     order by w.id desc limit $3`,
    [accountId, eventId, maxOtherWebhooks],
  );
  return rows;
}

/** The deliveries of an event in their states; null: there is no such event. */
export async function readDeliveriesOf(db: Queryable, accountId: string, id: string) {
  const { rows } = await db.query<Pick<KnownEvent, 'deliveries'>>(
    `select ${deliveriesOfEvent} from events e where e.account_id = $1 and e.id = $2`,
    [accountId, id],
  );
  return rows[0]?.deliveries ?? null;
}

type EventKey = { accountId: string; eventId: string };

/** Of which events all deliveries have ended. */
export async function findEnded(
  db: Queryable,
  events: readonly EventKey[],
): Promise<(event: EventKey) => boolean> {
  const { rows } = await db.query<EventKey>({
    name: 'find-ended',
    text: `select w.account_id as "accountId", w.event_id as "eventId"
      from unnest(${arrayOfUnknownLength(1, 'text')}, $2::text[]) as w(account_id, event_id)
      where not exists (
        select 1 from deliveries d where d.account_id = w.account_id and d.event_id = w.event_id
          and d.status in ('pending', 'retrying', 'held'))`,
    values: [events.map(({ accountId }) => accountId), events.map(({ eventId }) => eventId)],
  });
  const ended = new Set(rows.map(({ accountId, eventId }) => `${accountId} ${eventId}`));
  return ({ accountId, eventId }) => ended.has(`${accountId} ${eventId}`);
}
