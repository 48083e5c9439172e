import pg from 'pg';
import { StartError } from '../errors.ts';
import { onlyRow, type Queryable } from './pool.ts';

/** Advisory locks in the outbox's database. `relay`: of the one process that relays. `idle`: held by it while it waits. */
export const outboxLocks = { relay: '1179407442, 1', idle: '1179407442, 2' } as const;
export const outboxChannel = 'fltr_outbox';

/** The optional parameters of `publish`, in order: name and type. */
const options = [
  ['account', 'text'],
  ['id', 'text'],
  ['event_time', 'timestamptz'],
  ['labels', 'text[]'],
  ['webhook_ids', 'text[]'],
  ['order_key', 'text'],
  ['deliver_at', 'timestamptz'],
  ['expires_at', 'timestamptz'],
  ['traceparent', 'text'],
] as const;
const parameters = options.map(([name, type]) => `${name} ${type} default null`).join(', ');
const passedOn = options.map(([name]) => `${name} => publish.${name}`).join(', ');
const signature = (data: string) => `publish(text, ${data}, ${options.map(([, type]) => type).join(', ')})`;
const signatures = ['json', 'jsonb', 'text'].map((data) => `fltr_outbox.${signature(data)}`).join(', ');

// transaction_id comes first in the key, so that the relay can leave out rows that it has taken: transactions older
// than the oldest open one have no further rows. Transactions that follow each other have ascending ids.
// A producer that commits while the relay is at work notifies nobody, because a NOTIFY makes commits wait for each other.
// It holds the lock "idle" in shared mode then, and the relay waits only while it has that lock alone.
const schemaSql = `
create schema if not exists fltr_outbox;
comment on schema fltr_outbox is 'Events on their way to FLTR webhooks. Made by: fltr-webhooks outbox install';

create table if not exists fltr_outbox.events (
  transaction_id xid8 not null default pg_current_xact_id(),
  n bigint generated always as identity,
  id text not null,
  request json not null,
  bytes int not null,
  published_at timestamptz not null default clock_timestamp(),
  primary key (transaction_id, n)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create table if not exists fltr_outbox.refused (
  n bigint generated always as identity primary key,
  id text not null,
  request json not null,
  bytes int not null,
  published_at timestamptz not null,
  refused_at timestamptz not null default now(),
  problem json not null
);

create or replace function fltr_outbox.publish(event text, data json, ${parameters}) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  event_id text := id;
  bits bit varying;
  request text;
begin
  if event_id is null then
    -- A TypeID: a UUIDv7 in base 32, so that ids ascend.
    bits := b'00' || floor(extract(epoch from clock_timestamp()) * 1000)::bigint::bit(48) || b'0111'
      || substring(('x' || replace(gen_random_uuid()::text, '-', ''))::bit(128) from 53);
    event_id := 'evt_';
    for i in 0..25 loop
      event_id := event_id
        || substr('0123456789abcdefghjkmnpqrstvwxyz', substring(bits from 1 + 5 * i for 5)::bit(5)::int + 1, 1);
    end loop;
  end if;
  request := json_strip_nulls(json_build_object(
    'event', event, 'id', event_id, 'account_id', account, 'labels', labels, 'webhook_ids', webhook_ids,
    'order_key', order_key, 'traceparent', traceparent, 'timestamp', ${rfc3339('event_time')},
    'deliver_at', ${rfc3339('deliver_at')}, 'expires_at', ${rfc3339('expires_at')}
  ))::text;
  -- As it was written: a part of an object that is built from it would be, too, but not without its nulls.
  request := left(request, -1) || ',"data":' || coalesce(data::text, 'null') || '}';
  insert into fltr_outbox.events (id, request, bytes) values (event_id, request::json, octet_length(request));
  if not pg_try_advisory_xact_lock_shared(${outboxLocks.idle}) then
    perform pg_notify('${outboxChannel}', '');
  end if;
  return event_id;
end
$$;

create or replace function fltr_outbox.publish(event text, data jsonb, ${parameters}) returns text
language sql volatile begin atomic
  select fltr_outbox.publish(publish.event, publish.data::json, ${passedOn});
end;

create or replace function fltr_outbox.publish(event text, data text, ${parameters}) returns text
language sql volatile begin atomic
  select fltr_outbox.publish(publish.event, publish.data::json, ${passedOn});
end;

revoke all on function ${signatures} from public;
`;

/** As in a call of the API, without zeros at the end. A value that is not a time is refused later. */
function rfc3339(name: string): string {
  return `regexp_replace(to_char(${name} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '[.]?0+Z$', 'Z')`;
}

/** Any fixed number: two that install at once wait for each other. */
const installLock = 7_170_881_214;

/** The grants of a producer's role and of the relay's role, to be run by the owner of the schema. */
export const outboxGrants = {
  producer: [
    'grant usage on schema fltr_outbox to ROLE;',
    `grant execute on all functions in schema fltr_outbox to ROLE;`,
  ],
  relay: [
    'grant usage on schema fltr_outbox to ROLE;',
    'grant select, delete on fltr_outbox.events to ROLE;',
    'grant select, insert on fltr_outbox.refused to ROLE;',
  ],
} as const;

/**
 * Makes the schema, or brings an existing one up to date, inside the caller's transaction.
 *
 * @throws StartError where the schema belongs to another role: its owner could change the functions
 */
export async function installOutbox(db: Queryable): Promise<void> {
  await db.query(`select pg_advisory_xact_lock($1)`, [installLock]);
  const { rows } = await db.query<{ owner: string | null; isOwn: boolean; encoding: string }>(
    `select given.name as owner, coalesce(given.name = current_user, true) as "isOwn", current_setting('server_encoding') as encoding
     from (values (1)) one left join (
       select pg_get_userbyid(nspowner) as name from pg_namespace where nspname = 'fltr_outbox'
       union
       select pg_get_userbyid(c.relowner) from pg_class c where c.relnamespace = to_regnamespace('fltr_outbox')
       union
       select pg_get_userbyid(p.proowner) from pg_proc p where p.pronamespace = to_regnamespace('fltr_outbox')
     ) given on true`,
  );
  const other = rows.find(({ isOwn }) => !isOwn);
  if (other)
    throw new StartError(
      `The schema fltr_outbox, or something in it, belongs to the role ${other.owner}. Install as that role, or remove the schema first.`,
    );
  if (onlyRow(rows.slice(0, 1), 'install-outbox').encoding === 'SQL_ASCII')
    throw new StartError(
      'The database has the encoding SQL_ASCII, so its texts have no known characters. Use one in UTF8.',
    );
  await db.query(schemaSql);
}

/** Removes the schema, inside the caller's transaction. @throws StartError where rows would be lost, unless `dropsRows` */
export async function uninstallOutbox(db: Queryable, dropsRows: boolean): Promise<void> {
  // So that nobody publishes after the rows were counted.
  await db.query('lock table fltr_outbox.events, fltr_outbox.refused in access exclusive mode');
  const { rows } = await db.query<{ waiting: number; refused: number }>(
    `select (select count(*) from fltr_outbox.events)::int as waiting, (select count(*) from fltr_outbox.refused)::int as refused`,
  );
  const { waiting, refused } = onlyRow(rows, 'uninstall-outbox');
  if (waiting + refused > 0 && !dropsRows)
    throw new StartError(
      `The outbox holds ${waiting} events that were not relayed and ${refused} that were refused. Relay or retry them first, or drop them with --drop-events.`,
    );
  // One by one: CASCADE would remove objects of others that depend on them, too.
  await db.query(`drop function ${signatures}`);
  await db.query('drop table fltr_outbox.events, fltr_outbox.refused');
  await db.query('drop schema fltr_outbox');
}

/** Whether a statement failed because the outbox is not there. */
export const isOutboxMissing = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && (error.code === '42P01' || error.code === '3F000');
