import { insertAuditRecord } from './audit-records.ts';
import { withTransaction, type Client, type Pool } from './pool.ts';

type Expunge = {
  accountId: string;
  ids: readonly string[];
  /** Who requested it: the id of a key. */
  by: string;
};

type Expunged = {
  expunged: string[];
  notFound: string[];
  /** The webhooks of the deliveries that were canceled. */
  webhookIds: Set<string>;
};

/** Events of one transaction, with at most a hundred deliveries each: done in well under a second. */
const eventsAtOnce = 20;

/**
 * Wipes events: their data, and the responses to their deliveries. Waiting deliveries end `canceled`; the reconciler stops
 * their workflows. Rows, ids, types, times and URLs stay, so an id that is published again is recognised.
 *
 * Some events are a transaction. A call that was cut off is repeated: it wipes the rest, and changes nothing about those that
 * were expunged before.
 */
export async function expungeEvents(pool: Pool, { accountId, ids, by }: Expunge): Promise<Expunged> {
  const wanted = [...new Set(ids)];
  const found = new Set<string>();
  const webhookIds = new Set<string>();
  for (let start = 0; start < wanted.length; start += eventsAtOnce) {
    const part = wanted.slice(start, start + eventsAtOnce);
    const done = await withTransaction(pool, (client) => expungePart(client, { accountId, ids: part, by }));
    for (const id of done.found) found.add(id);
    for (const id of done.webhookIds) webhookIds.add(id);
  }
  return {
    expunged: wanted.filter((id) => found.has(id)),
    notFound: wanted.filter((id) => !found.has(id)),
    webhookIds,
  };
}

async function expungePart(client: Client, { accountId, ids, by }: Expunge) {
  // Locked first: who adds a delivery to an event, or begins one again, waits for this and finds it without a body.
  const { rows } = await client.query<{ id: string; isNew: boolean }>(
    `select id, expunged_at is null as "isNew" from events where account_id = $1 and id = any($2) order by id for update`,
    [accountId, ids],
  );
  const found = rows.map(({ id }) => id);
  const added = rows.filter(({ isNew }) => isNew).map(({ id }) => id);
  if (added.length === 0) return { found, webhookIds: [] };
  const of = [accountId, added];
  await client.query(
    `update events set expunged_at = now(), body = null, traceparent = null, labels = null, search_keys = null, order_key = null
     where account_id = $1 and id = any($2)`,
    of,
  );
  await checkLines(client, of);
  const webhookIds = await endDeliveries(client, of, by);
  // After the deliveries: an attempt that is being recorded holds its delivery's row until it can be seen here.
  await client.query(
    `update attempts a set response_headers = null, response_body = null, response_truncated = false, error_detail = null
     from deliveries d
     where d.account_id = $1 and d.event_id = any($2) and a.delivery_id = d.id
       and (a.response_headers is not null or a.error_detail is not null)`,
    of,
  );
  for (const target of added)
    await insertAuditRecord(client, { accountId, actor: by, action: 'event.expunged', target });
  return { found, webhookIds };
}

/** The lines of their deliveries: one that has failed holds up nobody any longer. */
async function checkLines(client: Client, of: unknown[]): Promise<void> {
  await client.query(
    `insert into line_checks (webhook_id, order_key)
     select distinct webhook_id, order_key from deliveries
     where account_id = $1 and event_id = any($2) and line_position is not null`,
    of,
  );
}

const waits = `d.status in ('pending', 'retrying', 'held')`;

/** Ends those that wait, and marks all of them; a trigger wipes their order keys. Returns the webhooks of those that it ended. */
async function endDeliveries(client: Client, of: unknown[], by: string): Promise<string[]> {
  const { rows } = await client.query<{ webhookId: string }>(
    `with found as materialized (
       select id from deliveries where account_id = $1 and event_id = any($2) order by id for update)
     update deliveries d set expunged_at = ended.at, start_after = null,
       status = case when ${waits} then 'canceled' else d.status end,
       reason = case when ${waits} then 'expunged' else d.reason end,
       ended_at = case when ${waits} then ended.at else d.ended_at end,
       next_attempt_at = null, wait_reason = null, held_until = null,
       reconcile_at = case when ${waits} then case when d.owner_id is not null then now() end else d.reconcile_at end,
       timeline = case when ${waits} then d.timeline
         || timeline_entry('signal', ended.at, jsonb_build_object('name', 'expunge', 'by', $3::text))
         || timeline_entry('ended', ended.at, '{"status": "canceled", "reason": "expunged"}') else d.timeline end
     from found, (select date_trunc('milliseconds', clock_timestamp()) as at) as ended
     where d.id = found.id
     returning case when d.ended_at = ended.at then d.webhook_id end as "webhookId"`,
    [...of, by],
  );
  return [...new Set(rows.flatMap(({ webhookId }) => webhookId ?? []))];
}
