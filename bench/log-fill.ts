import { ensureAccount } from '../src/db/accounts.ts';
import { insertApiKey } from '../src/db/api-keys-table.ts';
import { withTransaction, type Client, type Pool } from '../src/db/pool.ts';
import { stepCount } from '../src/domain/response-times.ts';
import { newId } from '../src/domain/ids.ts';
import { digestOfKey, hintOfKey, newApiKey, accountScopes } from '../src/security/api-keys.ts';

/** The account with most of the rows; webhooks of it that a filter finds much or nothing of. */
export type FilledLog = {
  accountId: string;
  key: string;
  deliveryId: string;
  eventId: string;
  /** The one with most rows, one that failed now and then. */
  busiestId: string;
  /** Delivered all, each with status 200. */
  healthyId: string;
  /** Failed all, each with status 404. */
  deadId: string;
  /** Delivered all, each with status 204. */
  acceptingId: string;
  /** Not active. */
  heldId: string;
};

const days = 30;
const webhooksOfLargest = 100;
const smallAccounts = 9;
const webhooksOfSmall = 4;
/** Of the largest account; the others are as its first. */
const manners = { 3: 'healthy', 4: 'dead', 5: 'accepting', 6: 'held' } as const;

/**
 * Fills an empty, migrated database with a log of 30 days: half as many events as deliveries, 80 % of them one
 * account's; 90 % delivered, the rest failed, retrying, held, pending, canceled. The same rows at each call but for the
 * time, and set-based: a million takes some minutes.
 */
export async function fillLog(pool: Pool, deliveries: number): Promise<FilledLog> {
  const accountIds: string[] = [];
  for (let number = 0; number <= smallAccounts; number += 1) {
    const id = newId('acc');
    await ensureAccount(pool, id, number === 0 ? 'largest' : 'small');
    accountIds.push(id);
  }
  const [accountId = ''] = accountIds;
  const key = newApiKey();
  const digest = digestOfKey(key);
  await insertApiKey(pool, { accountId, name: 'log', hint: hintOfKey(key), digest, scopes: accountScopes });
  const webhooks = accountIds.flatMap((account, accountNumber) =>
    Array.from({ length: accountNumber === 0 ? webhooksOfLargest : webhooksOfSmall }, (_, number) => ({
      id: newId('wh'),
      account,
      accountNumber,
      number,
      manner: (accountNumber === 0 && (manners as Record<number, string>)[number]) || 'mixed',
    })),
  );
  await withTransaction(pool, async (client) => {
    await run(client, `set local synchronous_commit = off; set local statement_timeout = 0`);
    await run(client, idFunctions);
    await run(
      client,
      `insert into webhooks (id, account_id, url, events, active, sealed_secret)
       select id, account_id, 'https://example.com/' || id, '{*}', manner <> 'held', 'none'
       from unnest($1::text[], $2::text[], $3::text[]) as w(id, account_id, manner)`,
      [
        webhooks.map(({ id }) => id),
        webhooks.map(({ account }) => account),
        webhooks.map(({ manner }) => manner),
      ],
    );
    await run(
      client,
      `create temp table log_webhooks on commit drop as
       select * from unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::text[])
         as w(id, account_id, account_number, number, manner)`,
      [
        webhooks.map(({ id }) => id),
        webhooks.map(({ account }) => account),
        webhooks.map(({ accountNumber }) => accountNumber),
        webhooks.map(({ number }) => number),
        webhooks.map(({ manner }) => manner),
      ],
    );
    for (const statement of statements)
      await run(client, statement, statement.includes('$1') ? [deliveries] : []);
    await run(client, `analyze ${filledTables.join(', ')}`);
  });

  const idOf = (wanted: string) =>
    webhooks.find(({ accountNumber, manner, number }) =>
      wanted === 'busiest' ? accountNumber === 0 && number === 0 : manner === wanted,
    )?.id ?? '';
  const { rows } = await pool.query<{ id: string; eventId: string }>(
    `select id, event_id as "eventId" from deliveries where webhook_id = $1 and status = 'failed' order by id desc limit 1`,
    [idOf('busiest')],
  );
  return {
    accountId,
    key,
    deliveryId: rows[0]?.id ?? '',
    eventId: rows[0]?.eventId ?? '',
    busiestId: idOf('busiest'),
    healthyId: idOf('healthy'),
    deadId: idOf('dead'),
    acceptingId: idOf('accepting'),
    heldId: idOf('held'),
  };
}

const filledTables = [
  'events',
  'deliveries',
  'attempts',
  'webhooks',
  'webhook_stats',
  'event_type_stats',
  'audit_records',
  'idempotency_keys',
  'operations',
];

async function run(client: Client, text: string, values?: unknown[]): Promise<void> {
  const query = { text, query_timeout: 3_600_000, ...(values && values.length > 0 ? { values } : {}) };
  await client.query(query);
}

const digit = (position: number) =>
  `substr('0123456789abcdefghjkmnpqrstvwxyz', ((ms >> ${5 * position}) & 31)::int + 1, 1)`;
/** Ids as newId makes them, for a time; and numbers in [0, 1) that look random. */
const idFunctions = `
  create function pg_temp.id_at(prefix text, at timestamptz, n bigint) returns text language plpgsql immutable as $$
    declare ms bigint := floor(extract(epoch from at) * 1000);
    begin
      return prefix || '_' || ${Array.from({ length: 10 }, (_, index) => digit(9 - index)).join(' || ')}
        || substr(md5(n::text), 1, 16);
    end $$;
  create function pg_temp.chance(n bigint, seed bigint) returns float8 language sql immutable as $$
    select (hashint8extended(n, seed) & 1048575) / 1048576.0 $$`;

const statements = [
  `create temp table log_events on commit drop as
   select n, account_number, account_id, at, pg_temp.id_at('evt', at, n) as id,
     (array['document.processed', 'document.uploaded', 'document.processed', 'document.processing_failed', 'document.deleted',
       'dataset.created', 'dataset.updated', 'dataset.deleted'])[1 + floor(8 * pg_temp.chance(n, 1))::int] as type
   from (
     select n, case when pg_temp.chance(n, 2) < 0.8 then 0 else 1 + floor(${smallAccounts} * pg_temp.chance(n, 3))::int end as account_number,
       date_trunc('milliseconds', now()) - interval '${days} days' + n * (interval '${days} days' / ($1::bigint / 2)) as at
     from generate_series(1, $1::bigint / 2 - 1) as n
   ) as e join lateral (
     select account_id from log_webhooks w where w.account_number = e.account_number and w.number = 0) as a on true`,
  `analyze log_events, log_webhooks`,
  `insert into events (account_id, id, type, "timestamp", body, created_at)
   select account_id, id, type, to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
     convert_to(json_build_object('id', id, 'event', type, 'timestamp', to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       'data', json_build_object('document_id', 'doc_' || n, 'dataset_id', 'ds_' || n % 100, 'filename', md5(n::text) || '.pdf',
         'metadata', json_build_object('title', md5(n::text), 'category', 'docs')))::text, 'UTF8'), at
   from log_events order by n`,
  `create temp table log_deliveries on commit drop as
   select 2 * e.n + copy as n, pg_temp.id_at('dlv', e.at, 2 * e.n + copy) as id, e.account_id, w.id as webhook_id, e.id as event_id, e.type, e.at,
     made.kind, case made.kind when 'held' then 0 when 'pending' then 0 when 'canceled' then 1 when 'late' then 2 when 'exhausted' then 4
       when 'retrying' then 1 + floor(3 * pg_temp.chance(e.n, 5))::int else 1 end as attempts,
     case made.kind when 'late' then 'delivered' when 'exhausted' then 'failed' when 'refused' then 'failed' when 'timeout' then 'failed'
       else made.kind end as status,
     case made.kind when 'delivered' then case when w.manner = 'accepting' then 204 else 200 end when 'late' then 200 when 'refused' then 404
       when 'exhausted' then case when pg_temp.chance(e.n, 6) < 0.5 then 500 else 503 end
       when 'retrying' then 503 when 'canceled' then 503 end as code
   from log_events e
   cross join lateral (values (0, pg_temp.chance(e.n, 7)), (1, pg_temp.chance(e.n, 8))) as c(copy, u)
   cross join lateral (select case e.account_number when 0 then ${webhooksOfLargest} else ${webhooksOfSmall} end as count) as counted
   cross join lateral (select floor(count * pg_temp.chance(e.n, 4) ^ 4)::int as first) as chosen
   join log_webhooks w on w.account_number = e.account_number
     and w.number = (first + copy * (1 + floor((count - 1) * pg_temp.chance(e.n, 9))::int)) % count
   cross join lateral (select now() - e.at as age) as aged
   cross join lateral (select case
       when w.manner = 'dead' then 'refused'
       when w.manner = 'held' and age < interval '72 hours' then 'held'
       when w.manner <> 'mixed' or e.type = 'dataset.created' then 'delivered'
       when age < interval '1 minute' then 'pending'
       when age < interval '40 minutes' and u < 0.1 then 'retrying'
       when age < interval '3 days' and u < 0.01 then 'retrying'
       when age < interval '3 days' and u < 0.02 then 'pending'
       when u < 0.03 then 'refused' when u < 0.07 then 'exhausted' when u < 0.075 then 'timeout' when u < 0.08 then 'canceled'
       when u < 0.1 then 'late' else 'delivered' end as kind) as made`,
  `analyze log_deliveries`,
  `insert into deliveries (id, account_id, webhook_id, event_id, event_type, status, reason, created_at, next_attempt_at, wait_reason, ended_at,
     attempt_count, last_status_code, last_error_code, owner_id, run_id, reconcile_at, held_until, timeline)
   select id, account_id, webhook_id, event_id, type, status,
     case kind when 'refused' then 'client_error' when 'exhausted' then 'retries_exhausted' when 'timeout' then 'retries_exhausted'
       when 'canceled' then 'canceled' end,
     at, case status when 'retrying' then now() + pg_temp.chance(n, 10) * interval '30 minutes' end, case status when 'retrying' then 'retry' end,
     case when status in ('delivered', 'failed', 'canceled') then at + interval '1 second' end, attempts, code,
     case kind when 'refused' then 'client_error' when 'exhausted' then 'server_error' when 'retrying' then 'server_error' when 'timeout' then 'timeout_response' end,
     id, case when status not in ('pending', 'held') then md5(id)::uuid::text end,
     case when status in ('retrying', 'pending') then now() + interval '1 day'
       when status = 'held' then at + interval '96 hours' end,
     case status when 'held' then at + interval '96 hours' end,
     jsonb_build_array(jsonb_build_object('at', at, 'type', 'started', 'run_id', md5(id)::uuid),
       jsonb_build_object('at', at, 'type', 'attempt', 'id', 'att_' || md5(id), 'number', 1, 'outcome', 'delivered', 'status_code', code, 'duration_ms', 36),
       jsonb_build_object('at', at, 'type', 'ended', 'status', status, 'reason', null))
   from log_deliveries order by id`,
  `insert into attempts (id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_code, wait_seconds, response_headers,
     response_body, webhook_id, url, format, body_bytes)
   select pg_temp.id_at('att', made_at, 8 * n + number), id, number, made_at, 36,
     case when number < attempts then 503 else code end,
     case when number < attempts or status = 'retrying' then 'retry' when status = 'delivered' then 'delivered' else 'failed' end,
     null, case when number < attempts then 60 end,
     '{"content-type": "application/json", "date": "Wed, 10 Jan 2024 12:01:30 GMT"}', '{"received":true}', webhook_id,
     'https://your-app.com/webhooks/fltr', 'fltr', 200
   from log_deliveries cross join lateral generate_series(1, attempts) as number
   cross join lateral (select least(at + make_interval(secs => (array[0, 61, 363, 2165])[number]), now()) as made_at) as m
   order by made_at`,
  // The busiest webhook has an attempt in every minute: the most that statistics can have to read.
  `insert into webhook_stats (webhook_id, minute, activation, attempts, delivered, failed, durations)
   select id, minute, 0, 10, 9, 1, (select array_agg(case when step between 5 and 9 then 2 else 0 end) from generate_series(1, ${stepCount}) as step)
   from generate_series(date_trunc('minute', now()) - interval '2 days', now(), interval '1 minute') as minute, log_webhooks
   where (account_number = 0 and number = 0) or extract(minute from minute) = number % 60
   order by minute`,
  `insert into event_type_stats (account_id, hour, event_type, part, attempts, delivered, failed)
   select account_id, hour, type, part, 10, 9, 1
   from generate_series(date_trunc('hour', now()) - interval '2 days', now(), interval '1 hour') as hour,
     (select distinct account_id, type from log_deliveries) as t, generate_series(0, 7) as part
   order by hour`,
  `insert into audit_records (id, account_id, actor, action, target, created_at)
   select pg_temp.id_at('aud', at, n), account_id, 'key_1', 'webhook.secret_read', 'wh_1', at from log_events where n % 2 = 0 order by n`,
  `insert into idempotency_keys (account_id, api_key_id, route, key, request_digest, created_at)
   select 'acc_1', 'key_1', 'publishEvent', n::text, '\\x00', now() - n * interval '20 seconds' from generate_series(1, 5000) as n`,
  `insert into operations (id, account_id, action, per_second, webhook_id, requested_by, status, dry_run, since, until, filters, total, created_at, ended_at)
   select pg_temp.id_at('rec', at, n), account_id, 'recover', 50, (select id from log_webhooks limit 1), 'key_1', 'completed', false, at, at, '{*}', 0, at, at
   from log_events where n % 20 = 0 order by n limit 5000`,
];
