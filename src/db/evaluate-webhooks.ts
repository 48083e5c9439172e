import type { DisabledReason } from '../contracts/webhook.ts';
import { disableDownAfterHours, judgeWebhook } from '../domain/auto-disable.ts';
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
  /** It has been down for so long that it is disabled, with attempts all the while since its activation. */
  isDownForLong: boolean;
};

const batchSize = 500;

/**
 * Evaluates the next active webhooks in the order of their ids: disables, warns, emits events about old secrets.
 * A second run changes nothing.
 *
 * @returns `next`: the last id of the batch; null: there are no more. `changedIds`: those that were disabled among them
 */
export async function evaluateWebhooks(pool: Pool, after: string, minEnded: number) {
  const evaluated = await withTransaction(pool, async (client) => {
    const { rows } = await client.query<Candidate>(
      `select w.id, w.account_id as "accountId", w.activation, coalesce(s.delivered, 0)::int as delivered,
         coalesce(s.failed, 0)::int as failed, w.warned_at is not null as "isWarned",
         -- An e-mail is not signed.
         w.format <> 'email' and w.secret_created_at < now() - interval '90 days'
           and (w.secret_due_at is null or w.secret_due_at < w.secret_created_at) as "isSecretDue",
         w.probe_when_down and w.health_state = 'down' and w.health_since <= long_ago and coalesce(s.attempts, 0) > 0
           and exists (select 1 from webhook_stats
             where webhook_id = w.id and activation = w.activation and minute <= long_ago) as "isDownForLong"
       from webhooks w cross join (select now() - make_interval(hours => $3) as long_ago) as clock
       left join lateral (
         select sum(attempts) as attempts, sum(delivered) as delivered, sum(failed) as failed from webhook_stats
         where webhook_id = w.id and activation = w.activation and minute > now() - interval '24 hours'
       ) as s on true
       where w.id > $1 and w.active and w.deleted_at is null
       order by w.id limit $2 for update of w`,
      [after, batchSize, disableDownAfterHours],
    );
    const judged = rows.map((row) => ({ ...row, verdict: judgeWebhook(row, minEnded) }));
    const disabled = judged.filter(({ verdict, isDownForLong }) => verdict === 'disable' || isDownForLong);
    const reasonOf = ({ verdict }: (typeof judged)[number]): DisabledReason =>
      verdict === 'disable' ? 'failure_rate' : 'down';
    const warned = judged.filter((row) => row.verdict === 'warn' && !row.isWarned && !row.isDownForLong);
    const recovered = judged.filter(({ verdict, isWarned }) => verdict === 'ok' && isWarned);
    const due = judged.filter(({ isSecretDue }) => isSecretDue);
    await client.query(
      `update webhooks w set active = false, updated_at = now(), sync_at = now(), sync_until = ${syncUntil},
         disabled_at = now(), disabled_reason = g.reason, disabled_ended = g.ended, disabled_failed = g.failed
       from unnest($1::text[], $2::int[], $3::int[], $4::text[]) as g(id, ended, failed, reason) where w.id = g.id`,
      [idsOf(disabled), disabled.map(endedOf), disabled.map(({ failed }) => failed), disabled.map(reasonOf)],
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
      ...disabled.map((row) => eventOf('webhook.disabled', row, reasonOf(row))),
      ...warned.map((row) => eventOf('webhook.warning', row)),
      ...due.map((row) => eventOf('webhook.secret_due', row)),
    ]);
    const next = rows.length === batchSize ? (rows.at(-1)?.id ?? null) : null;
    const changed = new Set([...disabled, ...warned, ...recovered, ...due]);
    return { next, disabledIds: idsOf(disabled), changedIds: idsOf([...changed]) };
  });
  for (const id of evaluated.disabledIds) await syncDeliveries(pool, id);
  return evaluated;
}

const idsOf = (rows: readonly Candidate[]) => rows.map(({ id }) => id);

const endedOf = ({ delivered, failed }: Candidate) => delivered + failed;

/** `reason`: only where it is not the usual one, the failure rate. */
function eventOf(type: OperationalEvent['type'], row: Candidate, reason?: DisabledReason): OperationalEvent {
  const { accountId, id: webhookId, failed } = row;
  const ended = endedOf(row);
  const counts =
    type === 'webhook.secret_due' ? {} : { ended, failed, failure_rate: ended === 0 ? null : failed / ended };
  const data = { webhook_id: webhookId, ...(reason === 'down' && { reason }), ...counts };
  return { accountId, id: newId('evt'), type, data, webhookId };
}
