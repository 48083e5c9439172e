-- Null once the body is past its retention: the event, its deliveries and its id go on to be known.
alter table events alter column body drop not null;
-- What the removal of old rows asks for, oldest first.
create index events_with_body on events (created_at) where body is not null;
create index attempts_with_answer on attempts (started_at) where response_headers is not null;
create index idempotency_keys_oldest on idempotency_keys (created_at);
create index webhook_stats_oldest on webhook_stats (minute);
