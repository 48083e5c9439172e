-- Every index of deliveries is paid for twice by each delivery, when it is accepted and when it ends, for the state is in
-- some of them: so each of these serves several questions.

-- One delivery for an event and a webhook, and all of an event. A webhook belongs to one account: it is the same rule.
drop index deliveries_of_event;
alter table deliveries
  drop constraint deliveries_webhook_id_event_id_key,
  add constraint deliveries_of_event unique (account_id, event_id, webhook_id);

-- The log, newest first: read backward.
drop index deliveries_of_account;
drop index deliveries_of_webhook;
create index deliveries_of_account on deliveries (account_id, id);
create index deliveries_of_webhook on deliveries (webhook_id, id);

-- The log, filtered: the rows of each kind, newest first; src/db/delivery-log.ts merges the kinds that are asked for.
-- Of these, what waits for its first attempt is in deliveries_pending only: it would leave a dead entry behind here.
drop index deliveries_by_status;
drop index deliveries_by_code;
drop index deliveries_by_type;
create index deliveries_of_account_by_kind
  on deliveries (account_id, status, event_type, coalesce(last_status_code, 0), id)
  where status <> 'pending' or last_status_code is not null;
create index deliveries_of_webhook_by_kind
  on deliveries (webhook_id, status, event_type, coalesce(last_status_code, 0), id)
  where status <> 'pending' or last_status_code is not null;
create index deliveries_pending on deliveries (webhook_id, id) where status = 'pending';

-- With the id: many are due at the same moment when a webhook is activated, and they go oldest first.
drop index deliveries_to_check;
create index deliveries_to_check on deliveries (check_at, id) where check_at is not null;

-- Nothing asks for an attempt by its id.
alter table attempts
  drop constraint attempts_pkey,
  drop constraint attempts_delivery_id_number_key,
  add primary key (delivery_id, number);

drop index events_newest;
create index events_newest on events (account_id, created_at, id);

-- The removal of old rows asks for these.
create index webhooks_deleted on webhooks (deleted_at) where deleted_at is not null;
