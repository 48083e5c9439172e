-- Counts what changes which events an account's webhooks get, in the change's own transaction: who remembers an account's
-- webhooks together with the number that they were read at can tell, in the statement that inserts, whether they are
-- still the same.
alter table accounts add column webhooks_version bigint not null default 0;

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
