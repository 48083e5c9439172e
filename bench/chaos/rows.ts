import type { Pool } from 'pg';
import { isOperational } from '../../src/domain/subscription.ts';

/** All that the runner knows of the product's tables and columns stands in this file and in `shift-time.ts`. */
export type DeliveryRow = {
  id: string;
  eventId: string;
  eventType: string;
  webhookId: string;
  status: 'pending' | 'retrying' | 'delivered' | 'failed' | 'held' | 'canceled';
  reason: string | null;
  waitReason: string | null;
  nextAttemptAt: number | null;
  endedAt: number | null;
  attemptCount: number;
  /** Its run has written that it waits for a requested time. A call alone only shows that time in the row. */
  isRescheduled: boolean;
  /** It waits for its time, without a workflow. */
  isScheduled: boolean;
  /** It waits for another one of its line. */
  isBehindOther: boolean;
  /** How often it was parked: each time its workflow ended, and another run begins. */
  parked: number;
};
export type AttemptRow = {
  id: string;
  deliveryId: string;
  webhookId: string;
  number: number;
  startedAt: number;
  statusCode: number | null;
  outcome: string;
  /** Of an event of the service itself. */
  isOperational: boolean;
  /** Its webhook was paced, or just back. */
  isProbe: boolean;
};

export type GoneRecord = { webhookId: string; attemptId: string };

const milliseconds = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`;

const isScheduled = `(status = 'pending' and coalesce(start_after = 'deliver_at', false))`;

export async function readDeliveries(pool: Pool): Promise<DeliveryRow[]> {
  const { rows } = await pool.query<DeliveryRow>(
    `select id, event_id as "eventId", event_type as "eventType", webhook_id as "webhookId", status, reason,
       wait_reason as "waitReason",
       ${milliseconds(`case when ${isScheduled} then deliver_at else next_attempt_at end`)} as "nextAttemptAt",
       ${isScheduled} as "isScheduled", ${milliseconds('ended_at')} as "endedAt",
       attempt_count as "attemptCount", timeline @> '[{"type": "wait", "reason": "rescheduled"}]' as "isRescheduled",
       start_after = 'line' and ended_at is null and exists (
         select 1 from deliveries h where h.webhook_id = d.webhook_id and h.order_key = d.order_key
           and h.line_position is not null and h.start_after is null and h.ended_at is null) is true as "isBehindOther",
       jsonb_array_length(jsonb_path_query_array(timeline, '$[*] ? (@.type == "wait" && @.reason == "down")')) as parked
     from deliveries d order by id`,
  );
  return rows;
}

/** Deliveries that have ended and that the reconciler has nothing more to check of. */
export async function readEndedIds(pool: Pool): Promise<Set<string>> {
  const { rows } = await pool.query<{ id: string }>(
    'select id from deliveries where ended_at is not null and reconcile_at is null',
  );
  return new Set(rows.map(({ id }) => id));
}

export async function readAttempts(pool: Pool): Promise<AttemptRow[]> {
  const { rows } = await pool.query<Omit<AttemptRow, 'isOperational'> & { eventType: string }>(
    `select d.event_type as "eventType", a.id, a.delivery_id as "deliveryId", d.webhook_id as "webhookId", a.number,
       ${milliseconds('a.started_at')} as "startedAt", a.status_code as "statusCode", a.outcome,
       a.is_probe as "isProbe"
     from attempts a join deliveries d on d.id = a.delivery_id order by a.started_at`,
  );
  return rows.map(({ eventType, ...row }) => ({ ...row, isOperational: isOperational(eventType) }));
}

export async function readEventIds(pool: Pool): Promise<Set<string>> {
  const { rows } = await pool.query<{ id: string }>(`select id from events`);
  return new Set(rows.map(({ id }) => id));
}

/** Of webhooks that were disabled by a 410, and the attempts that got it. */
export async function readGoneRecords(pool: Pool): Promise<GoneRecord[]> {
  const { rows } = await pool.query<GoneRecord>(
    `select target as "webhookId", 'att_' || substr(id, 5) as "attemptId" from audit_records where actor = 'gone'`,
  );
  return rows;
}

/**
 * Makes the reconciler look at the deliveries that are now due, as a timer of Temporal would have done had the hour really
 * passed.
 */
export async function wakeDue(pool: Pool): Promise<void> {
  await pool.query(
    `update deliveries set reconcile_at = now()
     where status in ('pending', 'retrying') and next_attempt_at <= now() and owner_id is not null`,
  );
}

export async function isPaced(pool: Pool, webhookId: string): Promise<boolean> {
  const { rowCount } = await pool.query('select from webhooks where id = $1 and next_probe_at is not null', [
    webhookId,
  ]);
  return rowCount === 1;
}

export type ParkedRow = { id: string; webhookId: string; isDue: boolean };

/** Parked deliveries of active webhooks; `isDue`: its webhook is not paced, or its probe is due, and no other limit defers one. */
export async function readParked(pool: Pool): Promise<ParkedRow[]> {
  const { rows } = await pool.query<ParkedRow>(
    `select d.id, d.webhook_id as "webhookId", coalesce(w.next_probe_at <= now(), true) and not exists (
         select 1 from deliveries q where q.webhook_id = w.id and q.status in ('pending', 'retrying')
           and q.wait_reason in ('hourly_cap', 'rate_limit', 'receiver_requested')) as "isDue"
     from deliveries d join webhooks w on w.id = d.webhook_id
     where d.wait_reason = 'down' and w.active and w.deleted_at is null order by d.id`,
  );
  return rows;
}

/** Lets the time pass until the next probe of a webhook, for this webhook alone. */
export async function endProbeWait(pool: Pool, webhookId: string): Promise<void> {
  await pool.query(
    'update webhooks set next_probe_at = least(next_probe_at, now()) where id = $1 and next_probe_at is not null',
    [webhookId],
  );
  await pool.query('update rate_limit_queues set check_at = now() where webhook_id = $1', [webhookId]);
}

/** Cuts every connection of the product to this database, but none of the runner's. */
export async function cutConnections(pool: Pool): Promise<void> {
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name = 'fltr-webhooks'`,
  );
}

/** Every column that refers to a delivery by its id. */
async function referenceColumns(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select c.table_name as name from information_schema.columns c
     join information_schema.tables t using (table_schema, table_name)
     where c.table_schema = 'public' and c.column_name = 'delivery_id' and t.table_type = 'BASE TABLE'`,
  );
  return rows.map(({ name }) => name);
}

/** Gives ended deliveries ids of an older time: the retention finds old rows by their ids. */
export async function renameDeliveries(pool: Pool, renamed: ReadonlyMap<string, string>): Promise<void> {
  const tables = await referenceColumns(pool);
  const client = await pool.connect();
  try {
    await client.query('begin');
    const values = [[...renamed.keys()], [...renamed.values()]];
    const from = `unnest($1::text[], $2::text[]) as r(old_id, new_id)`;
    await client.query(
      `update deliveries d set id = r.new_id, owner_id = null from ${from} where d.id = r.old_id`,
      values,
    );
    for (const table of tables)
      await client.query(
        `update ${table} t set delivery_id = r.new_id from ${from} where t.delivery_id = r.old_id`,
        values,
      );
    await client.query('commit');
    client.release();
  } catch (error) {
    client.release(true);
    throw error;
  }
}
