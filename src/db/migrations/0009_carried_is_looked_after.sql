-- What waits and has a workflow named in its row is due for a check at some time: else it would wait for ever if whoever
-- was to start that workflow died before. Rows from before are not scanned: those few that could break it are mended here.
update deliveries set check_at = now()
where run_id is null and status = 'pending' and workflow_id is not null and check_at is null;

alter table deliveries add constraint carried_is_looked_after
  check (status not in ('pending', 'retrying') or workflow_id is null or check_at is not null) not valid;
