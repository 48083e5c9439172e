import { idFloor, type IdPrefix } from '../domain/ids.ts';
import { stepCount } from '../domain/response-times.ts';
import type { Queryable } from './pool.ts';
import { durationSums } from './read-stats.ts';

/** For how many days; 0: forever. */
export type Retention = {
  /** Bodies of events and responses of receivers. */
  payloadDays: number;
  /** Ended deliveries and operations, deleted webhooks, events and audit records. */
  days: number;
};

type Step = {
  name: string;
  /** Tables that lose rows, or columns. */
  tables: string[];
  /** After how many hours; 0: never. */
  hours: (retention: Retention) => number;
  /** One batch. $1: older rows are removed; $2: the maximum of rows; $3, with `ids`: the smallest id of the time $1. */
  sql: string;
  /** Ids sort by time, so their index finds old rows. */
  ids?: IdPrefix;
};

const payloadHours = ({ payloadDays }: Retention) => payloadDays * 24;
const endedHours = ({ days }: Retention) => days * 24;

/**
 * Deletes a batch of a table's rows. `key`: its primary key. `found`: the condition, and the order of an index. `also`:
 * statements for the rows of other tables that go with them.
 */
const deleteOld = (table: string, key: readonly string[], found: string, also = ''): string =>
  `with old as (select ${key.join(', ')} from ${table} where ${found} limit $2 for update skip locked) ${also}
   delete from ${table} as t using old where ${key.map((column) => `t.${column} = old.${column}`).join(' and ')}`;

const addedDurations = Array.from(
  { length: stepCount },
  (_, step) => `h.durations[${step + 1}] + excluded.durations[${step + 1}]`,
).join(', ');

/**
 * The removals, in this order. A batch locks only its own rows and skips locked ones. Waiting deliveries stay, however old they
 * are. Rows that must not exist are looked up one by one, because `not exists` may read the whole table.
 */
const steps: readonly Step[] = [
  {
    name: 'event bodies',
    tables: ['events'],
    hours: payloadHours,
    sql: `with old as (
        select account_id, id from events e
        where created_at < $1 and body is not null and (
          select 1 from deliveries d where d.account_id = e.account_id and d.event_id = e.id
            and d.status in ('pending', 'retrying', 'held') limit 1) is null
        order by created_at limit $2 for update skip locked)
      update events e set body = null from old where e.account_id = old.account_id and e.id = old.id`,
  },
  {
    name: 'responses',
    tables: ['attempts'],
    hours: payloadHours,
    sql: `with old as (
        select delivery_id, number from attempts where started_at < $1 and response_headers is not null
        order by started_at limit $2 for update skip locked)
      update attempts a set response_headers = null, response_body = null, response_truncated = false
      from old where a.delivery_id = old.delivery_id and a.number = old.number`,
  },
  {
    name: 'deliveries',
    tables: ['deliveries', 'attempts'],
    hours: endedHours,
    ids: 'dlv',
    sql: deleteOld(
      'deliveries',
      ['id'],
      `id < $3 and ended_at < $1 and status in ('delivered', 'failed', 'canceled') order by id`,
      ', their_attempts as (delete from attempts a using old where a.delivery_id = old.id)',
    ),
  },
  {
    name: 'events',
    tables: ['events'],
    hours: endedHours,
    // By account, to use the index that lists an account's events.
    sql: `with old as (
        select e.account_id, e.id from accounts a cross join lateral (
          select account_id, id from events e
          where e.account_id = a.id and e.created_at < $1 and (
            select 1 from deliveries d where d.account_id = e.account_id and d.event_id = e.id limit 1) is null
          order by created_at limit $2 for update skip locked) e
        limit $2)
      delete from events e using old where e.account_id = old.account_id and e.id = old.id`,
  },
  {
    name: 'operations',
    tables: ['operations'],
    hours: endedHours,
    sql: deleteOld('operations', ['id'], 'ended_at < $1'),
  },
  {
    name: 'deleted webhooks',
    tables: ['webhooks', 'rate_limit_queues'],
    hours: endedHours,
    sql: deleteOld(
      'webhooks',
      ['id'],
      `deleted_at < $1 and not exists (select 1 from deliveries d where d.webhook_id = webhooks.id)
         and not exists (select 1 from operations o where o.webhook_id = webhooks.id)`,
      ', their_queues as (delete from rate_limit_queues q using old where q.webhook_id = old.id)',
    ),
  },
  {
    name: 'grants under the hourly cap',
    tables: ['rate_limit_grants'],
    // They count for minutes.
    hours: () => 1,
    sql: deleteOld('rate_limit_grants', ['delivery_id', 'number'], 'granted_at < $1'),
  },
  {
    name: 'webhook statistics',
    tables: ['webhook_stats'],
    // By the minute for two days; then they are added up by the hour.
    hours: () => 48,
    sql: `with old as (
        select webhook_id, minute, activation from webhook_stats where minute < $1 order by minute limit $2 for update skip locked),
      removed as (
        delete from webhook_stats s using old
        where s.webhook_id = old.webhook_id and s.minute = old.minute and s.activation = old.activation returning s.*),
      added as (
        insert into webhook_stats_hours as h (webhook_id, hour, attempts, delivered, failed, durations)
        select webhook_id, date_trunc('hour', minute), sum(attempts), sum(delivered), sum(failed), array[${durationSums}]
        from removed group by 1, 2 order by 1, 2
        on conflict (webhook_id, hour) do update set attempts = h.attempts + excluded.attempts,
          delivered = h.delivered + excluded.delivered, failed = h.failed + excluded.failed,
          durations = array[${addedDurations}])
      select 1 from removed`,
  },
  {
    name: 'webhook statistics by the hour',
    tables: ['webhook_stats_hours'],
    // The longest range of statistics is 30 days.
    hours: () => 31 * 24,
    sql: deleteOld('webhook_stats_hours', ['webhook_id', 'hour'], 'hour < $1 order by hour'),
  },
  {
    name: 'statistics of event types',
    tables: ['event_type_stats'],
    // They are read for 24 hours.
    hours: () => 48,
    sql: deleteOld(
      'event_type_stats',
      ['account_id', 'hour', 'event_type', 'part'],
      'hour < $1 order by hour',
    ),
  },
  {
    name: 'audit records',
    tables: ['audit_records'],
    hours: endedHours,
    ids: 'aud',
    sql: deleteOld('audit_records', ['id'], 'id < $3 and created_at < $1 order by id'),
  },
  {
    name: 'idempotency keys',
    tables: ['idempotency_keys'],
    // As long as a key counts.
    hours: () => 24,
    sql: deleteOld(
      'idempotency_keys',
      ['account_id', 'api_key_id', 'route', 'key'],
      'created_at < $1 order by created_at',
    ),
  },
  {
    name: 'portal links',
    tables: ['portal_links'],
    // Until then, a used link gets the error that it was used.
    hours: () => 24,
    sql: deleteOld('portal_links', ['id'], 'ends_at < $1 order by ends_at'),
  },
  {
    name: 'sign-in links',
    tables: ['sign_in_links'],
    hours: () => 1,
    sql: deleteOld('sign_in_links', ['token_digest'], 'ends_at < $1 order by ends_at'),
  },
];

/** Tables whose rows are kept forever, and why. Each other table has a step above; a test checks that. */
export const keptTables: Record<string, string> = {
  accounts: 'removed by their deletion only',
  api_keys: 'timelines and audit records name them, revoked ones too; removed with their account',
  event_types: 'deleted by a call',
  event_types_version: 'one row',
  encryption_keys: 'the start finds a wrong key by them',
  migrations: 'the state of the schema',
  applied_settings: 'one row a setting',
  delivery_lines: 'a line is deleted with its last open delivery',
  line_checks: 'deleted when the line was checked',
  failure_counts: 'the digest of a minute deletes its rows',
};

export const tablesWithRemoval: ReadonlySet<string> = new Set(steps.flatMap(({ tables }) => tables));

/** The next step; the first one after null and after an unknown one; null after the last. */
export function nextStep(name: string | null): string | null {
  return steps[steps.findIndex((step) => step.name === name) + 1]?.name ?? null;
}

/** Runs one batch of a step; returns how many rows it removed. */
export async function removeOld(db: Queryable, name: string, retention: Retention, limit: number) {
  const step = steps.find((each) => each.name === name);
  const hours = step?.hours(retention) ?? 0;
  if (!step || hours === 0) return 0;
  const cutoff = new Date(Date.now() - hours * 3_600_000);
  const { rowCount } = await db.query(step.sql, [
    cutoff,
    limit,
    ...(step.ids === undefined ? [] : [idFloor(step.ids, cutoff)]),
  ]);
  return rowCount ?? 0;
}
