-- Numbers of webhooks_version, each given once: a cache of a deleted account never fits a later one of the same id.
create sequence webhooks_versions;

-- webhooks_version: changes in the transaction of every change that affects which events the account's webhooks get, or how
-- their deliveries are created. Processes cache an account's webhooks with this number; the statement that inserts events
-- compares it.
-- id: one of the service (acc_…), or the caller's own.
-- deletion_requested_at: from then on it takes no events, webhooks and keys, and a workflow erases its rows, this one last
-- (src/db/erase-account.ts). erased_…: how many rows so far. check_at: when the reconciler checks that this workflow runs.
-- max_webhooks, deliveries_per_hour: in place of the settings, for this account alone; 0 deliveries an hour: no cap.
create table accounts (
  id text primary key,
  name text not null,
  metadata jsonb not null default '{}',
  max_webhooks int check (max_webhooks > 0),
  deliveries_per_hour int check (deliveries_per_hour >= 0),
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  updated_at timestamptz not null default now(),
  webhooks_version bigint not null default nextval('webhooks_versions'),
  deletion_requested_at timestamptz,
  erased_webhooks int not null default 0,
  erased_deliveries int not null default 0,
  erased_events int not null default 0,
  check_at timestamptz,
  check ((deletion_requested_at is null) = (check_at is null))
);
create index accounts_to_check on accounts (check_at) where check_at is not null;
create index accounts_newest on accounts (created_at, id);
-- The search for accounts by how their id or name begins.
create index accounts_by_id on accounts (lower(id) text_pattern_ops);
create index accounts_by_name on accounts (lower(name) text_pattern_ops);

-- Only the SHA-256 digest of a key is stored. account_id null: a service key, which may have scopes that concern no single
-- account.
-- last_used_at: by a call, or a session of the dashboard; written at most once a minute.
-- is_development: created by a start in development. Production refuses it, and the next development key revokes it.
create table api_keys (
  id text primary key,
  account_id text references accounts,
  name text not null,
  hint text not null,
  digest bytea not null unique,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  revoked_at timestamptz,
  last_used_at timestamptz,
  is_development boolean not null default false,
  constraint an_account_key_has_its_scopes
    check (account_id is null or scopes <@ array['webhooks:read', 'webhooks:write', 'events:write'])
);
-- The list of an account's keys, newest first: read backward.
create index api_keys_of_account on api_keys (account_id, id);

-- A one-time link to the dashboard's pages of one account; once it was opened, its session.
-- token_digest, session_digest: SHA-256. The token of the session is the only thing that identifies it.
-- ends_at: until when the link can be opened, then until when its session lasts. Ending it early sets this to now.
create table portal_links (
  id text primary key,
  account_id text not null references accounts,
  created_by text not null references api_keys,
  token_digest bytea not null unique,
  session_digest bytea unique,
  scopes text[] not null,
  accent text check (accent ~ '^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$'),
  mode text not null check (mode in ('light', 'dark', 'auto')),
  return_url text,
  created_at timestamptz not null default now(),
  redeemed_at timestamptz,
  ends_at timestamptz not null,
  check ((redeemed_at is null) = (session_digest is null))
);
create index portal_links_open on portal_links (account_id, ends_at) where redeemed_at is null;
create index portal_links_by_end on portal_links (ends_at);

-- A link that signs in to the dashboard with a key, once. token_digest: SHA-256. Opening it deletes it.
create table sign_in_links (
  token_digest bytea primary key,
  key_id text not null references api_keys,
  account_id text references accounts,
  ends_at timestamptz not null
);
create index sign_in_links_of_key on sign_in_links (key_id, ends_at);
create index sign_in_links_of_account on sign_in_links (account_id);
create index sign_in_links_by_end on sign_in_links (ends_at);

-- A constant, encrypted with each encryption key in use: a wrong key is found at the start, not at the first delivery.
create table encryption_keys (
  id text primary key,
  sealed text not null,
  created_at timestamptz not null default now()
);

-- Event types that were defined through the API. The built-in ones and those of the file are in no table.
-- revision: event_types_version when the row was last written, by which a process finds the schemas that it has compiled.
create table event_types (
  name text primary key,
  description text not null,
  schema json,
  example json,
  validation text not null check (validation in ('strict', 'open', 'none')),
  deprecated boolean not null,
  revision bigint not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- One row. It changes whenever an event type does, in the same transaction. Processes cache the types with this number; the
-- statement that inserts events compares it.
create table event_types_version (version bigint not null);
insert into event_types_version (version) values (1);

-- Settings that SQL statements read, or that affect waiting deliveries, with the values of the process that started last.
create table applied_settings (
  name text primary key,
  value text not null
);

create function hold_until() returns timestamptz language sql stable as $$
  select now() + make_interval(hours => coalesce(
    (select value::int from applied_settings where name = 'FLTR_HOLD_HOURS'), 72))
$$;

-- Of a delivery that is held now: one that is to be delivered later is kept as long after that time.
create function hold_until_after(deliver_at timestamptz) returns timestamptz language sql stable as $$
  select hold_until() + greatest(coalesce(deliver_at - now(), interval '0'), interval '0')
$$;

-- A deleted webhook keeps its row, without its secrets, because the delivery log names it.
-- activation: the number of the webhook's activations. Auto-disable counts only deliveries of the current one.
-- previous_sealed_secret: the secret before the current one, until the overlap ends.
-- sync_at: when the reconciler next updates the webhook's deliveries to match its state; null: they match.
-- sync_until: until then the reconciler repeats that after a change, because of statements that began before the change.
-- held_action: whether held deliveries are delivered or discarded while sync_at is set and the webhook is active.
-- matching_since: when events or filter were last changed.
-- external_id, metadata: the account's own; see src/contracts. A deleted webhook's external id may be used again.
--
-- The policy, see src/contracts/webhook-policy.ts; null: the default.
-- schedule: the waits in seconds that `retry` means; null: the setting. A delivery copies it when it is accepted.
-- applied_schedule: the schedule of the deliveries that have had theirs since before schedule_applied_at, in place of it.
-- header_names, auth: the readable part of sealed_headers and sealed_auth.
-- sealed_signing_key: the ed25519 key pair; the previous one signs until previous_secret_until.
-- deferred_until: until then no attempt is made, because its receiver has requested that.
-- health_state, health_since: see src/domain/health.ts. next_probe_at: it is paced, and no attempt is made but one at that
-- time. failed_probes: so many since its pacing began. ramp_started_at: when an attempt first succeeded after that.
-- paused_until: when the reconciler activates it again. release_per_second: attempts, until its queue is empty.
-- ordering: its deliveries are made one after the other, those of each order_key or all; null: in no order. on_failure:
-- whether the deliveries behind a failed one continue or wait.
-- may_share: its first attempts may share a workflow with others.
create table webhooks (
  id text primary key,
  account_id text not null references accounts,
  url text not null,
  events text[] not null,
  description text,
  active boolean not null,
  format text not null default 'fltr' check (format in ('fltr', 'standard', 'data', 'cloudevents', 'slack', 'email')),
  external_id text,
  metadata jsonb not null default '{}',
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
  disabled_reason text check (disabled_reason in ('failure_rate', 'gone', 'down')),
  retry jsonb,
  schedule int[],
  applied_schedule int[],
  schedule_applied_at timestamptz,
  timeout_ms int check (timeout_ms between 1000 and 30000),
  header_names text[] not null default '{}',
  sealed_headers text,
  auth jsonb,
  sealed_auth text,
  filter jsonb,
  matching_since timestamptz not null default now(),
  rate_limit jsonb,
  max_concurrent int check (max_concurrent between 1 and 100),
  signatures text[] not null default '{v1}' check (signatures <@ array['v1', 'v1a'] and cardinality(signatures) > 0),
  sealed_signing_key text,
  previous_sealed_signing_key text,
  deferred_until timestamptz,
  probe_when_down boolean not null default false,
  health_state text not null default 'healthy' check (health_state in ('healthy', 'failing', 'down')),
  health_since timestamptz,
  next_probe_at timestamptz,
  failed_probes int not null default 0,
  ramp_started_at timestamptz,
  paused_at timestamptz,
  paused_until timestamptz,
  pause_reason text,
  release_per_second int check (release_per_second > 0),
  ordering text check (ordering in ('by_key', 'all')),
  on_failure text not null default 'skip' check (on_failure in ('skip', 'block')),
  may_share boolean not null generated always as
    (coalesce(timeout_ms, 0) <= 10000 and coalesce(auth ->> 'type', '') not in ('oauth2', 'mtls')) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  check (deleted_at is not null or sealed_secret is not null),
  check ((previous_sealed_secret is null) = (previous_secret_until is null)),
  check (previous_sealed_signing_key is null or previous_secret_until is not null),
  check (deleted_at is not null or sealed_signing_key is not null or 'v1a' <> all (signatures)),
  check ((format = 'email') = (url like 'mailto:%')),
  -- Each e-mail is sent by the operator's server: there is always a limit.
  check (format <> 'email' or rate_limit is not null),
  check ((auth is null) = (sealed_auth is null)),
  check (paused_at is not null or (paused_until is null and pause_reason is null)),
  check (paused_at is null or not active)
);
create index webhooks_of_account on webhooks (account_id, id desc) where deleted_at is null;
create index webhooks_deleted_of_account on webhooks (account_id) where deleted_at is not null;
create unique index webhooks_external_id on webhooks (account_id, external_id)
  where external_id is not null and deleted_at is null;
create index webhooks_deleted on webhooks (deleted_at) where deleted_at is not null;
create index webhooks_to_sync on webhooks (sync_at) where sync_at is not null;
create index webhooks_unhealthy on webhooks (id)
  where deleted_at is null and (health_state <> 'healthy' or next_probe_at is not null);
create index webhooks_paused on webhooks (paused_until) where paused_until is not null;

create function mark_matching_change() returns trigger language plpgsql as $$
begin
  new.matching_since := clock_timestamp();
  return new;
end $$;
create trigger webhooks_matching_changed before update of events, filter on webhooks for each row
  when ((old.events, old.filter) is distinct from (new.events, new.filter)) execute function mark_matching_change();

-- One row per statement and account, in the order of the ids, so that two transactions that change webhooks of the same
-- accounts wait for each other and do not deadlock.
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
      where (o.account_id, o.events, o.active, o.deleted_at, o.filter, o.schedule, o.may_share, o.ordering)
        is distinct from (n.account_id, n.events, n.active, n.deleted_at, n.filter, n.schedule, n.may_share, n.ordering));
  end if;
  if cardinality(changed) > 0 then
    perform 1 from accounts where id = any(changed) order by id for no key update;
    update accounts set webhooks_version = nextval('webhooks_versions') where id = any(changed);
  end if;
  return null;
end $$;
create trigger webhooks_inserted after insert on webhooks
  referencing new table as new_rows for each statement execute function count_webhook_changes();
create trigger webhooks_updated after update on webhooks
  referencing old table as old_rows new table as new_rows for each statement execute function count_webhook_changes();
create trigger webhooks_deleted after delete on webhooks
  referencing old table as old_rows for each statement execute function count_webhook_changes();

-- id: may be the producer's own, so it is unique within its account only.
-- body: the bytes that every attempt sends; null when their retention has ended, or the event was expunged.
-- traceparent: the W3C trace that the producer named, as version 00; null: none.
-- labels: the producer's, for filters; never sent. Null: none.
-- search_keys: values by which the search finds it besides its id, see src/domain/search-keys.ts. Null: none.
-- webhook_ids: it is for these webhooks alone; null: for those that subscribe to it. order_key, deliver_at, expires_at: as the
-- producer gave them.
-- expunged_at: since then body, traceparent, labels, search_keys and order_key are null, for good.
create table events (
  account_id text not null,
  id text not null,
  type text not null,
  "timestamp" text not null,
  body bytea,
  created_at timestamptz not null default now(),
  traceparent text,
  labels text[],
  search_keys bigint[],
  webhook_ids text[],
  order_key text,
  deliver_at timestamptz,
  expires_at timestamptz,
  expunged_at timestamptz,
  primary key (account_id, id)
);
create index events_newest on events (account_id, created_at, id);
create index events_by_search_key on events using gin (search_keys) where search_keys is not null;
-- The retention of bodies, oldest first.
create index events_with_body on events (created_at) where body is not null;

-- The state of a delivery is in its row. These are the legal states; the checks below enforce them.
--
--   status     owner_id  next_attempt_at, wait_reason  reconcile_at  meaning
--   pending    null      null                          null          accepted or released: the dispatcher assigns an owner,
--                                                                    unless start_after is set
--   pending    null      set                           null          parked: deferred by its webhook, which is down. The release
--                                                                    sets its time to null; without one, it fails at that time
--   pending    set       null                          set           an attempt is being started or made
--   pending    set       set                           set           deferred by a limit, or rescheduled by a call
--   retrying   set       set                           set           was attempted; waits for the next attempt or makes it
--   held       null      null                          set           its webhook is not active; expires at held_until
--   held       set       null                          set           the same; its owner must still be stopped
--   delivered  any       null                          null          ended at ended_at
--   failed     any       null                          null          ended at ended_at
--   failed     set       null                          set           ended at ended_at, expired; its owner must still be stopped
--   canceled   null      null                          null          ended at ended_at
--   canceled   set       null                          null or set   ended at ended_at; set: its owner must still be stopped
--
-- owner_id: the workflow that owns the delivery: its own, which has the delivery's id, or a group's.
-- run_id: the Temporal run of that workflow; null: Temporal has not acknowledged one. Without an owner: its last run.
-- reconcile_at: when the reconciler compares this row with Temporal.
-- retries_used: waits of the schedule that were used since the delivery was accepted or last reopened.
-- operation_id: the last operation that acted on it.
-- schedule: the waits before its retries, in seconds; null: the setting. schedule_since: since when it has this schedule, where
-- it was sent again; null: since it was accepted.
-- deferred_at: since when it is parked; kept when it is released, until it waits for something else.
-- start_after: it gets no owner before: `deliver_at`, its time; `line`, the end of the deliveries before it in its line.
-- order_key: the line of its webhook that it belongs to; null: none. line_position: in that line, by acceptance; null: it has
-- not joined it yet, because its time has not come.
-- expires_at: if it has not been delivered by then, it fails.
-- expunged_at: since when its event is expunged. No response is stored from then on.
-- timeline: entries for people to read. No code decides by it. It is kept longer than the workflow's history.
--
-- Neither deliveries nor attempts have foreign keys: each would lock the row of the webhook or event at every insert. Neither
-- is deleted while deliveries name it.
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
  operation_id text,
  schedule int[],
  schedule_since timestamptz,
  deferred_at timestamptz,
  start_after text,
  deliver_at timestamptz,
  expires_at timestamptz,
  order_key text,
  line_position bigint,
  expunged_at timestamptz,
  timeline jsonb not null default '[]',
  constraint deliveries_of_event unique (account_id, event_id, webhook_id),
  constraint status_is_known check (status in ('pending', 'retrying', 'delivered', 'failed', 'held', 'canceled')),
  constraint wait_reason_is_known check (wait_reason in ('retry', 'rescheduled', 'hourly_cap', 'rate_limit', 'receiver_requested', 'down')),
  constraint start_after_is_known check (start_after in ('deliver_at', 'line')),
  constraint start_after_its_time check (start_after <> 'deliver_at' or deliver_at is not null),
  constraint in_a_line check ((line_position is null or order_key is not null) and (start_after <> 'line' or line_position is not null)),
  constraint an_owner_starts_it check (start_after is null or owner_id is null),
  constraint a_wait_has_a_reason check ((next_attempt_at is null) = (wait_reason is null)),
  constraint only_a_waiting_delivery_has_a_time check (next_attempt_at is null or status in ('pending', 'retrying')),
  constraint a_retry_has_a_time check (status <> 'retrying' or next_attempt_at is not null),
  constraint an_owner_is_its_workflow_or_a_group check (owner_id = id or owner_id like 'grp\_%'),
  constraint a_time_has_an_owner_unless_parked check (next_attempt_at is null or (owner_id is null) = (wait_reason = 'down')),
  constraint a_parked_one_is_pending check (wait_reason <> 'down' or (status = 'pending' and start_after is null and deferred_at is not null)),
  constraint an_owner_is_reconciled
    check (status not in ('pending', 'retrying') or (owner_id is null) = (reconcile_at is null)),
  constraint held_until_a_time check ((status = 'held') = (held_until is not null)),
  constraint held_is_reconciled check (status <> 'held' or reconcile_at is not null),
  constraint ended_at_a_time check ((status in ('delivered', 'failed', 'canceled')) = (ended_at is not null)),
  constraint ended_is_not_reconciled check (status <> 'delivered' and (status <> 'failed' or reason is not distinct from 'expired') or reconcile_at is null)
) with (fillfactor = 85);

-- Each delivery writes to every index twice, when it is accepted and when it ends, because some of them hold the state.
-- So there are few, and each serves several queries.
-- The log, newest first: read backward.
create index deliveries_of_account on deliveries (account_id, id);
create index deliveries_of_webhook on deliveries (webhook_id, id);
-- The log, filtered: the rows of each kind, newest first. src/db/delivery-log.ts merges the kinds that match.
-- Deliveries before their first attempt are in deliveries_pending, deliveries_for_later or deliveries_in_order only; here they
-- would leave a dead entry behind.
create index deliveries_of_account_by_kind
  on deliveries (account_id, status, event_type,
    ((coalesce(last_status_code::text, '') || coalesce(last_error_code, '')) collate "C"), id)
  where status <> 'pending' or attempt_count > 0;
create index deliveries_of_webhook_by_kind
  on deliveries (webhook_id, status, event_type,
    ((coalesce(last_status_code::text, '') || coalesce(last_error_code, '')) collate "C"), id)
  where status <> 'pending' or attempt_count > 0;
create index deliveries_pending on deliveries (webhook_id, id) where status = 'pending' and start_after is null;
create index deliveries_for_later on deliveries (webhook_id, id) where status = 'pending' and start_after = 'deliver_at';
create index deliveries_in_order on deliveries (webhook_id, id) where status = 'pending' and start_after = 'line';
create index deliveries_of_order_key on deliveries (account_id, order_key, id) where order_key <> '';
-- The dispatcher assigns owners to these, oldest first.
create index deliveries_unowned on deliveries (id)
  where owner_id is null and status = 'pending' and start_after is null and next_attempt_at is null;
create index deliveries_scheduled on deliveries (deliver_at, id) where start_after = 'deliver_at' and status = 'pending';
create index deliveries_expiring on deliveries (expires_at, id)
  where expires_at is not null and status in ('pending', 'retrying', 'held');
-- The open deliveries of each line, in order.
create index deliveries_in_line on deliveries (webhook_id, order_key, line_position)
  where line_position is not null and status in ('pending', 'retrying', 'held');
-- Deliveries whose owner Temporal has not acknowledged, and all others that the reconciler checks. They are two indexes, so
-- that a long queue of starts delays no other check.
create index deliveries_to_start on deliveries (reconcile_at, id)
  where reconcile_at is not null and run_id is null and status in ('pending', 'retrying');
create index deliveries_to_check on deliveries (reconcile_at, id)
  where reconcile_at is not null and not (run_id is null and status in ('pending', 'retrying'));
-- Deliveries deferred by the limits of a webhook, by acceptance, and by time for each limit.
create index deliveries_deferred on deliveries (webhook_id, id)
  where wait_reason in ('hourly_cap', 'rate_limit', 'receiver_requested', 'down');
create index deliveries_deferred_until on deliveries (webhook_id, wait_reason, next_attempt_at)
  where wait_reason in ('hourly_cap', 'rate_limit', 'receiver_requested', 'down');
-- Parked deliveries: the oldest of a webhook, and those that fail next.
create index deliveries_parked on deliveries (webhook_id, id) where wait_reason = 'down';
create index deliveries_parked_until on deliveries (next_attempt_at) where wait_reason = 'down';
-- The deliveries of an operation, newest first: read backward. With their states, for its outcome.
create index deliveries_of_operation on deliveries (operation_id, id) include (status) where operation_id is not null;

-- The lines of webhooks with ordering, see src/domain/delivery-line.ts. Whoever adds to a line locks its row first.
-- last_position: of the delivery that joined last. They come from a sequence, so that those of a line that was deleted are lower.
-- head_id: the last delivery that became the head. blocked_at: since when it has failed and holds up those behind it.
create sequence line_positions;
create table delivery_lines (
  webhook_id text not null,
  order_key text not null,
  last_position bigint not null,
  head_id text,
  blocked_at timestamptz,
  primary key (webhook_id, order_key)
);
create index delivery_lines_blocked on delivery_lines (webhook_id, head_id) where blocked_at is not null;

-- Lines that may need another head. A table of its own: a transaction that ends deliveries locks no line, so that two that end
-- many at once do not deadlock.
create table line_checks (
  id bigint generated always as identity primary key,
  webhook_id text not null,
  order_key text not null
);

create function check_line() returns trigger language plpgsql as $$
begin
  insert into line_checks (webhook_id, order_key) values (old.webhook_id, old.order_key);
  return null;
end $$;
-- It ended, was reopened or canceled after it failed, or its owner has stopped.
create trigger deliveries_in_line_changed after update on deliveries for each row
  when (old.line_position is not null and (old.ended_at is distinct from new.ended_at
    or (new.ended_at is not null and old.reconcile_at is not null and new.reconcile_at is null)))
  execute function check_line();
-- Of an expunged event, once no owner must be stopped: until then its line waits for that.
create function forget_order_key() returns trigger language plpgsql as $$
begin
  update deliveries set order_key = null, line_position = null where id = new.id;
  return null;
end $$;
-- After the update: a trigger before it would have each update of a delivery lock its row first.
create trigger deliveries_expunged after update on deliveries for each row
  when (new.expunged_at is not null and new.order_key is not null and new.reconcile_at is null)
  execute function forget_order_key();
create trigger deliveries_in_line_deleted after delete on deliveries for each row
  when (old.line_position is not null) execute function check_line();

-- notified: the attempt ended its delivery failed, and `delivery.failed` was emitted for it or counted in failure_counts.
-- url, format, body_bytes: of the request that was sent, because the webhook may change or be deleted.
-- is_probe: it tested a receiver that was down, and used no wait of the schedule.
-- headers_as: the settings of its headers (prefix, user agent, signatures), because they may change; null: the defaults.
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
  headers_as text,
  response_headers jsonb,
  response_body bytea,
  response_truncated boolean not null default false,
  counts_for_cap boolean not null default true,
  notified boolean not null default false,
  is_probe boolean not null default false,
  primary key (delivery_id, number)
);
-- Attempts that count under the hourly cap: all but those of operational events.
create index attempts_of_webhook on attempts (webhook_id, started_at) where counts_for_cap;
-- A receiver names an attempt by its id. Ids grow with time, so new entries stand together.
create index attempts_by_id on attempts (id);
create index attempts_with_response on attempts (started_at) where response_headers is not null;

-- The limits of a webhook, see src/domain/webhook-limits.ts. An attempt of a webhook near one has a row here from the time when it
-- may be sent until it is recorded. A grant without a recorded attempt counts for as long as an attempt may take.
create table rate_limit_grants (
  delivery_id text not null,
  number int not null,
  webhook_id text not null,
  granted_at timestamptz not null,
  primary key (delivery_id, number)
);
create index rate_limit_grants_of_webhook on rate_limit_grants (webhook_id, granted_at);

-- A webhook that has deferred deliveries or had some recently. check_at: when their times are computed again.
create table rate_limit_queues (
  webhook_id text primary key,
  check_at timestamptz not null
);
create index rate_limit_queues_due on rate_limit_queues (check_at);

-- Counts of a webhook's attempts and ended deliveries per minute, updated as attempts are recorded.
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

-- The same by the hour, once they are two days old.
create table webhook_stats_hours (
  webhook_id text not null,
  hour timestamptz not null,
  attempts int not null,
  delivered int not null,
  failed int not null,
  durations int[] not null,
  primary key (webhook_id, hour)
);
create index webhook_stats_hours_oldest on webhook_stats_hours (hour);

-- Counts of an account's attempts and ended deliveries by event type and hour, updated as attempts are recorded.
-- part: connections write to several rows, so that they need not wait for each other; their sum counts.
create table event_type_stats (
  account_id text not null,
  hour timestamptz not null,
  event_type text not null,
  part smallint not null,
  attempts int not null,
  delivered int not null,
  failed int not null,
  primary key (account_id, hour, event_type, part)
) with (fillfactor = 70);
create index event_type_stats_oldest on event_type_stats (hour);

-- Failed deliveries of a webhook per minute, where a webhook of the account subscribes to `delivery.failed`. The first ones
-- are an event each; the others are one event together when the minute has ended, which deletes the row.
create table failure_counts (
  webhook_id text not null,
  minute timestamptz not null,
  account_id text not null,
  failed int not null,
  primary key (webhook_id, minute)
);
create index failure_counts_oldest on failure_counts (minute);

-- An operation on many deliveries, and its progress. The workflow of the same id runs it, page by page. action `recover`: a recovery
-- of one webhook; the others act on each selected delivery as the call for one delivery does.
-- per_second: most deliveries in a second. next_attempt_at: of `reschedule`.
-- since, until: of a recovery, when its events were accepted; of the others, when the deliveries were, null: at any time.
-- requested_until: `until` as the caller gave it, by which a repeated call finds the running recovery.
-- kind: which deliveries a recovery sends again; null: both kinds. filters, filter: the webhook's event types and its filter when
-- a recovery was requested; they decide which events it missed.
-- selection: of all but recoveries, the filter of the call.
-- failures: why deliveries failed, as counts by reason.
-- cursor_at, cursor_id: the last event of a recovery that was read, or the last delivery. page: the deliveries being acted on now,
-- so that a page that runs twice counts once. page_number: the number of pages so far.
-- check_at: when the reconciler checks that its workflow runs; null: it has ended.
create table operations (
  id text primary key,
  account_id text not null,
  action text not null check (action in ('recover', 'retry', 'cancel', 'reschedule', 'resend')),
  webhook_id text,
  requested_by text not null,
  status text not null check (status in ('running', 'paused', 'completed', 'canceled')),
  dry_run boolean not null,
  per_second int not null check (per_second between 1 and 1000),
  next_attempt_at timestamptz,
  since timestamptz,
  until timestamptz,
  requested_until timestamptz,
  kind text check (kind in ('failed', 'missed')),
  filters text[],
  filter jsonb,
  selection jsonb,
  total int not null,
  done int not null default 0,
  failed int not null default 0,
  failures jsonb not null default '{}',
  cursor_at timestamptz,
  cursor_id text,
  page_number int not null default 0,
  page jsonb,
  created_at timestamptz not null,
  ended_at timestamptz,
  check_at timestamptz,
  constraint a_recovery_has_a_window check (action <> 'recover'
    or (webhook_id is not null and since is not null and until is not null and filters is not null)),
  constraint others_have_a_selection check ((action = 'recover') = (selection is null)),
  constraint a_reschedule_has_a_time check ((action = 'reschedule') = (next_attempt_at is not null))
);
-- A repeated call finds the recovery that is still running.
create unique index recoveries_under_way on operations (webhook_id, since, requested_until, kind) nulls not distinct
  where action = 'recover' and status in ('running', 'paused');
create index operations_of_account on operations (account_id, created_at, id);
create index operations_of_webhook on operations (webhook_id) where webhook_id is not null;
create index operations_to_check on operations (check_at) where check_at is not null;

-- The response to a request with an Idempotency-Key, encrypted because it may hold the secret of webhook_id. Deleting the
-- webhook wipes it. account_id: the account that the key acts for; empty: a service key that named it in the body.
create table idempotency_keys (
  account_id text not null,
  api_key_id text not null,
  route text not null,
  key text not null,
  request_digest bytea not null,
  sealed_response text,
  webhook_id text,
  created_at timestamptz not null default now(),
  primary key (account_id, api_key_id, route, key)
);
create index idempotency_keys_of_webhook on idempotency_keys (webhook_id) where webhook_id is not null;
create index idempotency_keys_oldest on idempotency_keys (created_at);

-- account_id null: it concerns no account. fields: the names of the changed fields, without the values.
create table audit_records (
  id text primary key,
  account_id text,
  actor text not null,
  action text not null,
  target text not null,
  fields text[] not null default '{}',
  created_at timestamptz not null default now()
);
-- In these, the empty text means no account.
create index audit_records_newest on audit_records (coalesce(account_id, ''), id);
create index audit_records_of_target on audit_records (coalesce(account_id, ''), target, id);

create function time_text(at timestamptz) returns text language sql immutable parallel safe as $$
  select to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

-- A timeline entry that no workflow run writes, such as `held` while no workflow runs.
create function timeline_entry(type text, at timestamptz, more jsonb default '{}') returns jsonb
  language sql immutable parallel safe as $$
  select jsonb_build_array(jsonb_build_object('type', type, 'outside', true,
    'at', time_text(at)) || more)
$$;

-- That a delivery waits for the time for which its event is scheduled.
create function scheduled_entry(at timestamptz, until timestamptz) returns jsonb
  language sql immutable parallel safe as $$
  select timeline_entry('wait', at, jsonb_build_object('reason', 'scheduled', 'until', time_text(until),
    'seconds', round(extract(epoch from until - at), 3)))
$$;
