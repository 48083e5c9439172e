import type { AcceptedEvent, EventSummary } from '../contracts/event.ts';
import type { Queryable } from './pool.ts';

/** `body` null: past its retention. */
export type KnownEvent = {
  type: string;
  timestamp: string;
  body: Buffer | null;
  deliveries: AcceptedEvent['deliveries'];
};

/** Those of the events that exist, by account id, space, event id. */
export async function loadKnownEvents(db: Queryable, events: readonly { accountId: string; id: string }[]) {
  const { rows } = await db.query<KnownEvent & { accountId: string; id: string }>(
    `select e.account_id as "accountId", e.id, e.type, e."timestamp", e.body, ${deliveriesOfEvent}
     from events e where (e.account_id, e.id) in (select * from unnest($1::text[], $2::text[]))`,
    [events.map(({ accountId }) => accountId), events.map(({ id }) => id)],
  );
  return new Map<string, KnownEvent>(rows.map((row) => [`${row.accountId} ${row.id}`, row]));
}

const deliveriesOfEvent = `(
  select coalesce(jsonb_agg(jsonb_build_object('id', d.id, 'webhook_id', d.webhook_id, 'status', d.status) order by d.id), '[]')
  from deliveries d where d.account_id = e.account_id and d.event_id = e.id) as deliveries`;

const eventColumns = `e.id, e.type as event, e."timestamp", e.traceparent, e.created_at, ${deliveriesOfEvent}`;

type EventRow = Omit<EventSummary, 'created_at'> & { created_at: Date };

const toSummary = <Row extends EventRow>(row: Row) => ({ ...row, created_at: row.created_at.toISOString() });

/** `body` null: past its retention. */
export async function findEvent(db: Queryable, accountId: string, id: string) {
  const { rows } = await db.query<EventRow & { body: Buffer | null }>(
    `select ${eventColumns}, e.body from events e where e.account_id = $1 and e.id = $2`,
    [accountId, id],
  );
  return rows[0] ? toSummary(rows[0]) : null;
}

/** Newest first; `before`: the last event of the previous page. */
export async function listEvents(
  db: Queryable,
  accountId: string,
  before: { createdAt: string; id: string } | null,
  limit: number,
): Promise<EventSummary[]> {
  const { rows } = await db.query<EventRow>(
    `select ${eventColumns} from events e
     where e.account_id = $1 and ($2::timestamptz is null or (e.created_at, e.id) < ($2, $3))
     order by e.created_at desc, e.id desc limit $4`,
    [accountId, before?.createdAt ?? null, before?.id ?? null, limit],
  );
  return rows.map(toSummary);
}

/** Whether the event can still be sent. */
export async function hasBody(db: Queryable, accountId: string, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `select 1 from events where account_id = $1 and id = $2 and body is not null`,
    [accountId, id],
  );
  return rowCount === 1;
}
