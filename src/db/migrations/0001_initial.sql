-- webhooks_version counts the changes to which events an account's webhooks get, inside the change's own transaction. A
-- process that remembers an account's webhooks together with this number learns from the inserting statement whether
-- they are still the same.
create table accounts (
  id text primary key,
  name text not null,
  created_at timestamptz not null default now(),
  webhooks_version bigint not null default 0
);

-- A key is kept as its SHA-256 digest only. account_id null: a service key, which may publish for any account.
-- is_development: made by a start in development; production refuses it, and one that replaces it revokes it.
create table api_keys (
  id text primary key,
  account_id text references accounts,
  name text not null,
  hint text not null,
  digest bytea not null unique,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  revoked_at timestamptz,
  is_development boolean not null default false
);
-- An account lists its own keys, newest first: read backward.
create index api_keys_of_account on api_keys (account_id, id);

-- One sealed constant for each encryption key ever used: a wrong key is found at the start, not at the first delivery.
create table encryption_keys (
  id text primary key,
  sealed text not null,
  created_at timestamptz not null default now()
);

-- Settings that statements read, or that change what already waits, as the process that started last has them.
create table applied_settings (
  name text primary key,
  value text not null
);

create function hold_until() returns timestamptz language sql stable as $$
  select now() + make_interval(hours => coalesce(
    (select value::int from applied_settings where name = 'FLTR_HOLD_HOURS'), 72))
$$;

-- Deleting sets deleted_at and wipes the secrets: the log goes on to name the webhook.
-- activation: counts the webhook's activations, so that what ended before the last one can be told apart.
-- previous_sealed_secret: the secret before the current one, until the overlap ends.
-- sync_at: when the reconciler next makes the webhook's deliveries agree with its state; null: they do.
-- sync_until: until then it does so again and again after a change, for statements that had begun before it.
-- held_action: what becomes of held deliveries while sync_at is set and the webhook is active.
create table webhooks (
  id text primary key,
  account_id text not null references accounts,
  url text not null,
  events text[] not null,
  description text,
  active boolean not null,
  format text not null default 'fltr' check (format in ('fltr', 'slack')),
  sealed_secret text,
  secret_created_at timestamptz not null default now(),
  previous_sealed_secret text,
  previous_secret_until timestamptz,
  secret_due_at timestamptz,
  activation int not null default 0,
  sync_at timestamptz,
  sync_until timestamptz,
  held_action text not null default 'deliver' check (held_action in ('deliver', 'discard')),
  warned_at timestamptz,
  disabled_at timestamptz,
  disabled_ended int,
  disabled_failed int,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  check (deleted_at is not null or sealed_secret is not null),
  check ((previous_sealed_secret is null) = (previous_secret_until is null))
);
create index webhooks_of_account on webhooks (account_id, id desc) where deleted_at is null;
create index webhooks_deleted on webhooks (deleted_at) where deleted_at is not null;
create index webhooks_to_sync on webhooks (sync_at) where sync_at is not null;

-- Once a statement, and in the order of the ids: two transactions that change webhooks of the same accounts wait for
-- each other instead of locking up.
create function count_webhook_changes() returns trigger language plpgsql as $$
declare changed text[];
begin
  if tg_op = 'INSERT' then
    changed := array(select account_id from new_rows);
  elsif tg_op = 'DELETE' then
    changed := array(select account_id from old_rows);
  else
    changed := array(
      select unnest(array[o.account_id, n.account_id]) from old_rows o full join new_rows n on n.id = o.id
      where (o.account_id, o.events, o.active, o.deleted_at)
        is distinct from (n.account_id, n.events, n.active, n.deleted_at));
  end if;
  if cardinality(changed) > 0 then
    perform 1 from accounts where id = any(changed) order by id for no key update;
    update accounts set webhooks_version = webhooks_version + 1 where id = any(changed);
  end if;
  return null;
end $$;
create trigger webhooks_inserted after insert on webhooks
  referencing new table as new_rows for each statement execute function count_webhook_changes();
create trigger webhooks_updated after update on webhooks
  referencing old table as old_rows new table as new_rows for each statement execute function count_webhook_changes();
create trigger webhooks_deleted after delete on webhooks
  referencing old table as old_rows for each statement execute function count_webhook_changes();

-- body: the bytes that every attempt sends, fixed here; null once past its retention. Ids are the producer's, hence unique
-- within an account only. traceparent: the W3C trace that the event's producer named, as version 00; null, as mostly: none.
create table events (
  account_id text not null,
  id text not null,
  type text not null,
  "timestamp" text not null,
  body bytea,
  created_at timestamptz not null default now(),
  traceparent text,
  primary key (account_id, id)
);
create index events_newest on events (account_id, created_at, id);
-- The removal of old rows looks for these, oldest first.
create index events_with_body on events (created_at) where body is not null;

-- A delivery's whole state is in its row. These are the legal states; the checks below hold them.
--
--   status     owner_id  next_attempt_at, wait_reason  reconcile_at  meaning
--   pending    null      null                          null          accepted or released: the dispatcher assigns an owner
--   pending    set       null                          set           an attempt is being started or made
--   pending    set       set                           set           waits for a limit, or for a time that somebody chose
--   retrying   set       set                           set           was attempted, waits for the next attempt or makes it
--   held       null      null                          set           its webhook is not active; expires at held_until
--   held       set       null                          set           the same, and its owner has still to be stopped
--   delivered  any       null                          null          has ended, at ended_at
--   failed     any       null                          null          the same
--   canceled   null      null                          null          the same
--   canceled   set       null                          null or set   the same; set: its owner has still to be stopped
--
-- owner_id: the workflow that owns the delivery: its own, which has the delivery's id, or a group's.
-- run_id: the Temporal run of that workflow; null: Temporal has not acknowledged one. Without an owner: the run that was.
-- reconcile_at: when the reconciler checks that Temporal agrees with this row.
-- retries_used: waits of the schedule that were used since the delivery began, or last began again.
-- recovery_id: the recovery that sent it again last.
-- timeline: what happened, for people to read; no code decides by it. It outlives the workflow's history.
--
-- Neither deliveries nor attempts have foreign keys: each would lock the webhook's or the event's row at every insert, and
-- neither is ever deleted while deliveries name it.
create table deliveries (
  id text primary key,
  account_id text not null,
  webhook_id text not null,
  event_id text not null,
  event_type text not null,
  status text not null,
  reason text,
  created_at timestamptz not null,
  next_attempt_at timestamptz,
  wait_reason text,
  held_until timestamptz,
  ended_at timestamptz,
  attempt_count int not null default 0,
  retries_used int not null default 0,
  last_status_code int,
  last_error_code text,
  owner_id text,
  run_id text,
  reconcile_at timestamptz,
  recovery_id text,
  timeline jsonb not null default '[]',
  constraint deliveries_of_event unique (account_id, event_id, webhook_id),
  constraint status_is_known check (status in ('pending', 'retrying', 'delivered', 'failed', 'held', 'canceled')),
  constraint wait_reason_is_known check (wait_reason in ('retry', 'hourly_cap', 'rescheduled')),
  constraint a_wait_has_a_reason check ((next_attempt_at is null) = (wait_reason is null)),
  constraint only_a_waiting_delivery_has_a_time check (next_attempt_at is null or status in ('pending', 'retrying')),
  constraint a_retry_has_a_time check (status <> 'retrying' or next_attempt_at is not null),
  constraint a_time_has_an_owner check (next_attempt_at is null or owner_id is not null),
  constraint an_owner_is_reconciled
    check (status not in ('pending', 'retrying') or (owner_id is null) = (reconcile_at is null)),
  constraint held_until_a_time check ((status = 'held') = (held_until is not null)),
  constraint held_is_reconciled check (status <> 'held' or reconcile_at is not null),
  constraint ended_at_a_time check ((status in ('delivered', 'failed', 'canceled')) = (ended_at is not null)),
  constraint ended_is_not_reconciled check (status not in ('delivered', 'failed') or reconcile_at is null)
) with (fillfactor = 85);

-- Every index of deliveries is paid for twice by each delivery, when it is accepted and when it ends, for the state is in
-- some of them: so each of these serves several questions.
-- The log, newest first: read backward.
create index deliveries_of_account on deliveries (account_id, id);
create index deliveries_of_webhook on deliveries (webhook_id, id);
-- The log, filtered: the rows of each kind, newest first; src/db/delivery-log.ts merges the kinds that are wanted.
-- Of these, what waits for its first attempt is in deliveries_pending only: it would leave a dead entry behind here.
create index deliveries_of_account_by_kind
  on deliveries (account_id, status, event_type, coalesce(last_status_code, 0), id)
  where status <> 'pending' or last_status_code is not null;
create index deliveries_of_webhook_by_kind
  on deliveries (webhook_id, status, event_type, coalesce(last_status_code, 0), id)
  where status <> 'pending' or last_status_code is not null;
create index deliveries_pending on deliveries (webhook_id, id) where status = 'pending';
-- What the dispatcher assigns owners to, oldest first.
create index deliveries_unowned on deliveries (id) where owner_id is null and status = 'pending';
-- What has an owner that Temporal has not acknowledged, and all else that the reconciler checks: apart, so that a long
-- queue of starts delays no other check.
create index deliveries_to_start on deliveries (reconcile_at, id)
  where reconcile_at is not null and run_id is null and status in ('pending', 'retrying');
create index deliveries_to_check on deliveries (reconcile_at, id)
  where reconcile_at is not null and not (run_id is null and status in ('pending', 'retrying'));
-- The deliveries that wait for room under a webhook's hourly cap, by acceptance and by time.
create index deliveries_deferred on deliveries (webhook_id, id) where wait_reason = 'hourly_cap';
create index deliveries_deferred_until on deliveries (webhook_id, next_attempt_at) where wait_reason = 'hourly_cap';
-- How the deliveries of a recovery ended.
create index deliveries_of_recovery on deliveries (recovery_id, status) where recovery_id is not null;

-- notified: it ended its delivery failed, and the event `delivery.failed` was written, or is counted in failure_counts.
-- url, format, body_bytes: what was sent, and where to: the webhook may change, or be deleted.
create table attempts (
  id text not null,
  delivery_id text not null,
  webhook_id text not null,
  number int not null,
  started_at timestamptz not null,
  duration_ms int not null,
  status_code int,
  outcome text not null check (outcome in ('delivered', 'retry', 'failed')),
  error_code text,
  error_detail text,
  wait_seconds int,
  url text not null,
  format text not null,
  body_bytes int not null,
  response_headers jsonb,
  response_body bytea,
  response_truncated boolean not null default false,
  counts_for_cap boolean not null default true,
  notified boolean not null default false,
  primary key (delivery_id, number)
);
-- The hourly cap counts these: all but those of operational events.
create index attempts_of_webhook on attempts (webhook_id, started_at) where counts_for_cap;
create index attempts_with_answer on attempts (started_at) where response_headers is not null;

-- The hourly cap: see src/domain/hourly-cap.ts. An attempt of a webhook that is near its cap has a row here from the
-- moment it may be sent until it is recorded; one that is not recorded within a minute counts no longer.
create table rate_limit_grants (
  delivery_id text not null,
  number int not null,
  webhook_id text not null,
  granted_at timestamptz not null,
  primary key (delivery_id, number)
);
create index rate_limit_grants_of_webhook on rate_limit_grants (webhook_id, granted_at);

-- A webhook that has deferred deliveries, or had some lately; check_at: when their times are computed anew.
create table rate_limit_queues (
  webhook_id text primary key,
  check_at timestamptz not null
);
create index rate_limit_queues_due on rate_limit_queues (check_at);

-- What became of a webhook's deliveries and attempts, by the minute; kept up as attempts are recorded.
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
create index webhook_stats_oldest on webhook_stats (minute);

-- Deliveries of a webhook that ended failed in a minute, where somebody subscribes to `delivery.failed`: the first ones are
-- an event each, the others one together, once the minute is over. That takes the row away.
create table failure_counts (
  webhook_id text not null,
  minute timestamptz not null,
  account_id text not null,
  failed int not null,
  primary key (webhook_id, minute)
);
create index failure_counts_oldest on failure_counts (minute);

-- What was requested, and how far it is; the workflow of the same id does it, page by page.
-- kind: what it sends again; null: both. filters: the webhook's event types when it was requested.
-- until_asked: as the caller gave it, which tells the same call from another one.
-- cursor_at, cursor_id: the last event looked at. page: what is being sent again now, so that a page that is run twice
-- counts once; page_number: how many pages there were.
-- check_at: when the reconciler checks that its workflow runs; null once it has ended.
create table recoveries (
  id text primary key,
  account_id text not null,
  webhook_id text not null,
  asked_by text not null,
  status text not null check (status in ('running', 'paused', 'completed', 'canceled')),
  dry_run boolean not null,
  since timestamptz not null,
  until timestamptz not null,
  until_asked timestamptz,
  kind text check (kind in ('failed', 'missed')),
  filters text[] not null,
  total int not null,
  done int not null default 0,
  failed int not null default 0,
  cursor_at timestamptz,
  cursor_id text,
  page_number int not null default 0,
  page jsonb,
  created_at timestamptz not null,
  ended_at timestamptz,
  check_at timestamptz
);
-- The same call while the first one is under way finds that one.
create unique index recoveries_under_way on recoveries (webhook_id, since, until_asked, kind) nulls not distinct
  where status in ('running', 'paused');
create index recoveries_to_check on recoveries (check_at) where check_at is not null;

-- The response of a POST that carried an Idempotency-Key, sealed: it may hold a secret, that of webhook_id. Deleting the
-- webhook wipes it.
create table idempotency_keys (
  api_key_id text not null,
  route text not null,
  key text not null,
  request_digest bytea not null,
  sealed_response text,
  webhook_id text,
  created_at timestamptz not null default now(),
  primary key (api_key_id, route, key)
);
create index idempotency_keys_of_webhook on idempotency_keys (webhook_id) where webhook_id is not null;
create index idempotency_keys_oldest on idempotency_keys (created_at);

create table audit_records (
  id text primary key,
  account_id text,
  actor text not null,
  action text not null,
  target text not null,
  created_at timestamptz not null default now()
);
create index audit_records_newest on audit_records (account_id, id desc);

-- An entry of a timeline that no run of a workflow makes, such as that a delivery was held while none ran.
create function timeline_entry(type text, at timestamptz, more jsonb default '{}') returns jsonb
  language sql immutable parallel safe as $$
  select jsonb_build_array(jsonb_build_object('type', type, 'outside', true,
    'at', to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) || more)
$$;
