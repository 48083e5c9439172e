create table accounts (
  id text primary key,
  name text not null,
  created_at timestamptz not null default now()
);

-- A key is kept as its SHA-256 digest only. account_id null: a service key, which may publish for any account.
create table api_keys (
  id text primary key,
  account_id text references accounts,
  name text not null,
  hint text not null,
  digest bytea not null unique,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  revoked_at timestamptz
);
create index api_keys_account on api_keys (account_id);

-- One sealed constant for each encryption key ever used: a wrong key is found at the start, not at the first delivery.
create table encryption_keys (
  id text primary key,
  sealed text not null,
  created_at timestamptz not null default now()
);

-- Deleting sets deleted_at and wipes the secret: the log goes on to name the webhook.
create table webhooks (
  id text primary key,
  account_id text not null references accounts,
  url text not null,
  events text[] not null,
  description text,
  active boolean not null,
  sealed_secret text,
  secret_created_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  check (deleted_at is not null or sealed_secret is not null)
);
create index webhooks_of_account on webhooks (account_id, id desc) where deleted_at is null;

-- body: the bytes that every attempt sends, fixed here. Ids are the producer's, hence unique within an account only.
create table events (
  account_id text not null,
  id text not null,
  type text not null,
  "timestamp" text not null,
  body bytea not null,
  created_at timestamptz not null default now(),
  primary key (account_id, id)
);
create index events_newest on events (account_id, created_at desc, id desc);

-- No foreign keys from here on: each would lock the webhook's or the event's row at every insert, and neither is ever
-- deleted while deliveries name it.
-- run_id: the Temporal run that carries the delivery; null until one is acknowledged.
-- check_at: when the sweep looks whether Temporal agrees with this row; null when nothing is left to do.
-- timeline: what happened since acceptance, appended by the step that made it happen; outlives the workflow's history.
create table deliveries (
  id text primary key,
  account_id text not null,
  webhook_id text not null,
  event_id text not null,
  event_type text not null,
  status text not null check (status in ('pending', 'retrying', 'delivered', 'failed', 'held', 'canceled')),
  reason text,
  created_at timestamptz not null,
  next_attempt_at timestamptz,
  ended_at timestamptz,
  attempt_count int not null default 0,
  last_status_code int,
  last_error_code text,
  workflow_id text not null,
  run_id text,
  check_at timestamptz,
  timeline jsonb not null default '[]',
  unique (webhook_id, event_id)
);
create index deliveries_of_account on deliveries (account_id, id desc);
create index deliveries_of_webhook on deliveries (webhook_id, id desc);
create index deliveries_of_event on deliveries (account_id, event_id);
create index deliveries_by_status on deliveries (account_id, status, id desc) where status <> 'delivered';
create index deliveries_by_code on deliveries (account_id, last_status_code, id desc) where status <> 'delivered';
create index deliveries_by_type on deliveries (account_id, event_type, id desc);
create index deliveries_to_check on deliveries (check_at) where check_at is not null;
create index deliveries_not_started on deliveries (id) where run_id is null and status = 'pending';

create table attempts (
  id text primary key,
  delivery_id text not null,
  number int not null,
  started_at timestamptz not null,
  duration_ms int not null,
  status_code int,
  outcome text not null check (outcome in ('delivered', 'retry', 'failed')),
  error_code text,
  wait_seconds int,
  response_headers jsonb,
  response_body bytea,
  response_truncated boolean not null default false,
  unique (delivery_id, number)
);

-- The answer of a POST that carried an Idempotency-Key, sealed: it may hold a secret.
create table idempotency_keys (
  api_key_id text not null,
  route text not null,
  key text not null,
  request_digest bytea not null,
  sealed_response text,
  created_at timestamptz not null default now(),
  primary key (api_key_id, route, key)
);

create table audit_records (
  id text primary key,
  account_id text,
  actor text not null,
  action text not null,
  target text not null,
  created_at timestamptz not null default now()
);
create index audit_records_newest on audit_records (account_id, id desc);
