import type { Pool } from 'pg';

/**
 * What the product changed, in order: the database itself writes it down, so that nothing between two reads is missed. Only the
 * product's own connections count, no step of the runner.
 *
 *   of a webhook    paced              its probes began
 *                   back, unpaced      they ended, by a success; by a change of its policy
 *                   deferred           its receiver requested that
 *                   gone, off, on      disabled by a 410; not active for another reason; active again
 *   of a delivery   parked             it waits until the receiver is back
 *                   released, left     it no longer does: it may be started; anything else, as a cancel
 */
export type Change = {
  /** By the machine's clock: hours that pass do not move it. */
  at: number;
  /** The same for all changes of a transaction. */
  transaction: string;
  kind: 'paced' | 'back' | 'unpaced' | 'deferred' | 'gone' | 'off' | 'on' | 'parked' | 'released' | 'left';
  webhookId: string;
  deliveryId: string | null;
};

const isByProduct = `current_setting('application_name') = 'fltr-webhooks'`;

const statements = `
create schema chaos;
create table chaos.changes (n bigint generated always as identity primary key, at timestamptz not null default clock_timestamp(),
  transaction text not null default pg_current_xact_id()::text, kind text not null, webhook_id text not null, delivery_id text);

create function chaos.note_webhook() returns trigger language plpgsql as $$
begin
  insert into chaos.changes (kind, webhook_id)
  select kind, new.id from (values
    ('paced', old.next_probe_at is null and new.next_probe_at is not null),
    ('back', old.next_probe_at is not null and new.next_probe_at is null and new.ramp_started_at is not null),
    ('unpaced', old.next_probe_at is not null and new.next_probe_at is null and new.ramp_started_at is null),
    ('deferred', new.deferred_until > coalesce(old.deferred_until, '-infinity')),
    ('gone', old.active and not new.active and new.disabled_reason is not distinct from 'gone'
      and new.disabled_at is distinct from old.disabled_at),
    ('off', old.active and not new.active and (new.disabled_reason is distinct from 'gone'
      or new.disabled_at is not distinct from old.disabled_at)),
    ('on', new.active and not old.active)) as changes (kind, is_so)
  where is_so;
  return null;
end $$;
create trigger chaos_webhooks after update on webhooks for each row when (${isByProduct})
  execute function chaos.note_webhook();

create function chaos.note_delivery() returns trigger language plpgsql as $$
begin
  insert into chaos.changes (kind, webhook_id, delivery_id) values (
    case when new.wait_reason is not distinct from 'down' then 'parked'
      when new.status = 'pending' and new.wait_reason is null and new.next_attempt_at is null then 'released'
      else 'left' end, new.webhook_id, new.id);
  return null;
end $$;
create trigger chaos_deliveries after update on deliveries for each row
  when (${isByProduct} and (old.wait_reason is not distinct from 'down') <> (new.wait_reason is not distinct from 'down'))
  execute function chaos.note_delivery();`;

/** Has a database write them down from now on. */
export const noteChanges = (pool: Pool): Promise<unknown> => pool.query(statements);

export async function readChanges(pool: Pool): Promise<Change[]> {
  const { rows } = await pool.query<Change>(
    `select (extract(epoch from at) * 1000)::float8 as at, transaction, kind, webhook_id as "webhookId",
       delivery_id as "deliveryId" from chaos.changes order by n`,
  );
  return rows;
}

/** What the policies of a run led to. */
export function describeChanges(changes: readonly Change[]): string {
  const count = (kind: Change['kind']) => changes.filter((each) => each.kind === kind).length;
  return `paced ${count('paced')}, back ${count('back')}, parked ${count('parked')}, released ${count('released')}, disabled by 410 ${count('gone')}, deferred by 429 ${count('deferred')}`;
}
