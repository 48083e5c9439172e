import { searchKey } from '../domain/search-keys.ts';
import { maxFound, type Found } from '../contracts/search.ts';
import type { Queryable } from './pool.ts';

/** A time as the API shows it. */
const shown = (time: string) => `to_char(${time} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

// Each finds by an index the object of the account ($1) that has this id ($2).
const byId: readonly string[] = [
  `select jsonb_build_object('type', 'event', 'id', e.id, 'event', e.type, 'created_at', ${shown('e.created_at')}) as found
   from events e where e.account_id = $1 and e.id = $2`,
  `select jsonb_build_object('type', 'delivery', 'id', d.id, 'event_id', d.event_id, 'event', d.event_type,
     'webhook_id', d.webhook_id, 'status', d.status, 'created_at', ${shown('d.created_at')}) as found
   from deliveries d where d.id = $2 and d.account_id = $1`,
  `select jsonb_build_object('type', 'attempt', 'id', a.id, 'delivery_id', a.delivery_id, 'webhook_id', a.webhook_id,
     'number', a.number, 'outcome', a.outcome, 'status_code', a.status_code, 'started_at', ${shown('a.started_at')}) as found
   from attempts a join deliveries d on d.id = a.delivery_id where a.id = $2 and d.account_id = $1`,
  `select jsonb_build_object('type', 'operation', 'id', o.id, 'action', o.action, 'status', o.status,
     'created_at', ${shown('o.created_at')}) as found
   from operations o where o.id = $2 and o.account_id = $1`,
];

const webhooks = `select jsonb_build_object('type', 'webhook', 'id', w.id, 'url', w.url, 'external_id', w.external_id,
    'active', w.active) as found
  from webhooks w
  where w.account_id = $1 and w.deleted_at is null
    and (w.id = $2 or w.external_id = $2 or starts_with(w.url, $2) or starts_with(regexp_replace(w.url, '^https?://', ''), $2))
  order by (w.id = $2 or w.external_id is not distinct from $2) desc, w.id desc limit ${maxFound}`;

/** Events with a key that are read: of one that more events have, those that are found may be old ones. */
const mostWithKey = 10_000;
// By the index of keys alone: the key contains the account, too.
const bySearchKey = `select jsonb_build_object('type', 'event', 'id', e.id, 'event', e.type, 'created_at', ${shown('e.created_at')}) as found
  from (
    select account_id, id, type, created_at from events
    where search_keys is not null and search_keys @> array[$2::bigint] limit ${mostWithKey}) as e
  where e.account_id = $1 order by e.created_at desc, e.id desc limit ${maxFound}`;

/**
 * The objects of an account with an id: an event, a delivery, an attempt, an operation, a webhook by its own or its external
 * id; then the webhooks whose URL begins so, and the events with it in their data or published by that request, newest first.
 */
export async function search(db: Queryable, accountId: string, text: string): Promise<Found[]> {
  const found: Found[] = [];
  for (const statement of [...byId, webhooks]) {
    const { rows } = await db.query<{ found: Found }>(statement, [accountId, text]);
    found.push(...rows.map((row) => row.found));
  }
  const { rows } = await db.query<{ found: Found }>(bySearchKey, [accountId, searchKey(accountId, text)]);
  const known = new Set(found.map(({ id }) => id));
  found.push(...rows.map((row) => row.found).filter(({ id }) => !known.has(id)));
  return found.slice(0, maxFound);
}
