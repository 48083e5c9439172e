import { judgeWebhook } from '../domain/auto-disable.ts';
import { newId } from '../domain/ids.ts';
import { acceptOperationalEvents, type OperationalEvent } from './operational-events.ts';
import { withTransaction, type Pool } from './pool.ts';
import { syncDeliveries, syncUntil } from './sync-deliveries.ts';

type Candidate = {
  id: string;
  accountId: string;
  activation: number;
  delivered: number;
  failed: number;
  isWarned: boolean;
  isSecretDue: boolean;
};

const batchSize = 500;

/**
 * Evaluates the next active webhooks in the order of their ids: disables, warns, emits events about old secrets.
 * A second run changes nothing.
 *
 * @returns `next`: the last id of the batch; null: there are no more
 */
export async function evaluateWebhooks(pool: Pool, after: string, minEnded: number) {
  const evaluated = await withTransaction(pool, async (client) => {
    const { rows } = await client.query<Candidate>(
      `select w.id, w.account_id as "accountId", w.activation, coalesce(s.delivered, 0)::int as delivered,
         coalesce(s.failed, 0)::int as failed, w.warned_at is not null as "isWarned",
         w.secret_created_at < now() - interval '90 days'
           and (w.secret_due_at is null or w.secret_due_at < w.secret_created_at) as "isSecretDue"
       from webhooks w
       left join lateral (
         select sum(delivered) as delivered, sum(failed) as failed from webhook_stats
         where webhook_id = w.id and activation = w.activation and minute > now() - interval '24 hours'
       ) as s on true
       where w.id > $1 and w.active and w.deleted_at is null
       order by w.id limit $2 for update of w`,
      [after, batchSize],
    );
    const judged = rows.map((row) => ({ ...row, verdict: judgeWebhook(row, minEnded) }));
    const disabled = judged.filter(({ verdict }) => verdict === 'disable');
    const warned = judged.filter(({ verdict, isWarned }) => verdict === 'warn' && !isWarned);
    const recovered = judged.filter(({ verdict, isWarned }) => verdict === 'ok' && isWarned);
    const due = judged.filter(({ isSecretDue }) => isSecretDue);
    await client.query(
      `update webhooks w set active = false, updated_at = now(), sync_at = now(), sync_until = ${syncUntil},
         disabled_at = now(), disabled_reason = 'failure_rate', disabled_ended = g.ended, disabled_failed = g.failed
       from unnest($1::text[], $2::int[], $3::int[]) as g(id, ended, failed) where w.id = g.id`,
      [idsOf(disabled), disabled.map(endedOf), disabled.map(({ failed }) => failed)],
    );
    await client.query(`update webhooks set warned_at = now() where id = any($1)`, [idsOf(warned)]);
    await client.query(`update webhooks set warned_at = null where id = any($1)`, [idsOf(recovered)]);
    await client.query(`update webhooks set secret_due_at = now() where id = any($1)`, [idsOf(due)]);
    await client.query(
      `insert into audit_records (id, account_id, actor, action, target)
       select id, account_id, 'auto-disable', 'webhook.disabled', webhook_id
       from unnest($1::text[], $2::text[], $3::text[]) as g(id, account_id, webhook_id)`,
      [disabled.map(() => newId('aud')), disabled.map(({ accountId }) => accountId), idsOf(disabled)],
    );
    await acceptOperationalEvents(client, [
      ...disabled.map((row) => eventOf('webhook.disabled', row)),
      ...warned.map((row) => eventOf('webhook.warning', row)),
      ...due.map((row) => eventOf('webhook.secret_due', row)),
    ]);
    const next = rows.length === batchSize ? (rows.at(-1)?.id ?? null) : null;
    return { next, disabledIds: idsOf(disabled) };
  });
  for (const id of evaluated.disabledIds) await syncDeliveries(pool, id);
  return { next: evaluated.next, disabled: evaluated.disabledIds.length };
}

const idsOf = (rows: readonly Candidate[]) => rows.map(({ id }) => id);

const endedOf = ({ delivered, failed }: Candidate) => delivered + failed;

function eventOf(type: OperationalEvent['type'], row: Candidate): OperationalEvent {
  const ended = endedOf(row);
  const counts =
    type === 'webhook.secret_due' ? {} : { ended, failed: row.failed, failure_rate: row.failed / ended };
  return {
    accountId: row.accountId,
    id: newId('evt'),
    type,
    data: { webhook_id: row.id, ...counts },
    webhookId: row.id,
  };
}
