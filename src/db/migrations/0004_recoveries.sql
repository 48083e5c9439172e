-- What was asked for, and how far it is; the workflow of the same id does it, page by page.
-- kind: what it sends again; null: both. filters: the webhook's event types when it was asked for.
-- until_asked: as the caller gave it, which tells the same call from another one.
-- cursor_at, cursor_id: the last event looked at. page: what is being sent again now, so that a page that is run twice
-- counts once; page_number: how many pages there were.
-- check_at: when the sweep looks whether its workflow runs; null once it has ended.
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
