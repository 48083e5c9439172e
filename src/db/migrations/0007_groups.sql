-- workflow_id: what carries the delivery, its own workflow or a group's; null: not settled yet.
alter table deliveries alter column workflow_id drop not null;
-- Room beside a row for its next version: settling changes no index.
alter table deliveries set (fillfactor = 85);
