-- The hourly cap. Each attempt of a webhook takes the next number, its slot; slot n may be used an hour after slot
-- n - cap was, so no hour ever holds more than cap attempts. webhook_slots: the last number given out.
-- deliveries.slot: the number that a deferred delivery keeps while it waits for its time.
create table webhook_slots (
  webhook_id text primary key,
  last_slot bigint not null
) with (fillfactor = 50);
alter table attempts add column webhook_id text;
alter table attempts add column slot bigint;
create index attempts_by_slot on attempts (webhook_id, slot) where slot is not null;
alter table deliveries add column slot bigint;
create index deliveries_by_slot on deliveries (webhook_id, slot) where slot is not null;

-- When a held delivery expires.
alter table deliveries add column held_until timestamptz;

-- What became of a webhook's deliveries and attempts, by the minute; kept up as attempts are recorded.
-- activation: counts the webhook's activations, so that what ended before the last one can be told apart.
-- durations: attempts by response time, in the steps of src/domain/response-times.ts.
create table webhook_stats (
  webhook_id text not null,
  minute timestamptz not null,
  activation int not null,
  attempts int not null,
  delivered int not null,
  failed int not null,
  durations int[] not null,
  primary key (webhook_id, minute, activation)
) with (fillfactor = 70);

create function add_counts(a int[], b int[]) returns int[] language sql immutable as $$
  select array_agg(coalesce(x, 0) + coalesce(y, 0) order by i) from unnest(a, b) with ordinality as t(x, y, i)
$$;

alter table webhooks add column activation int not null default 0;
alter table webhooks add column format text not null default 'fltr' check (format in ('fltr', 'slack'));
alter table webhooks add column warned_at timestamptz;
alter table webhooks add column disabled_at timestamptz;
alter table webhooks add column disabled_ended int;
alter table webhooks add column disabled_failed int;
alter table webhooks add column secret_due_at timestamptz;

-- Settings that statements read, or that change what already waits, as the process that started last has them.
create table applied_settings (
  name text primary key,
  value text not null
);

create function hold_until() returns timestamptz language sql stable as $$
  select now() + make_interval(hours => coalesce(
    (select value::int from applied_settings where name = 'FLTR_HOLD_HOURS'), 72))
$$;
