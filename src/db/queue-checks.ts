import type { Queryable } from './pool.ts';

/**
 * How often a queue's times are computed again, unless a change requests it before. Some reasons are no change, such as a grant
 * without an attempt. A check reads the webhook's log of an hour, so one with a long log is checked less often.
 */
const minSecondsBetweenChecks = 2;
const checkEvery = `interval '${minSecondsBetweenChecks} seconds'`;
export const secondsBetweenChecks = (logLength: number) => minSecondsBetweenChecks + logLength / 100;

/** The next webhooks whose queue is to be checked; claimed, so that several processes share the work. */
export async function claimQueues(db: Queryable, limit: number): Promise<string[]> {
  const { rows } = await db.query<{ webhookId: string }>(
    `update rate_limit_queues q set check_at = now() + ${checkEvery}
     from (select webhook_id from rate_limit_queues where check_at <= now()
       order by check_at limit $1 for update skip locked) as due
     where q.webhook_id = due.webhook_id returning q.webhook_id as "webhookId"`,
    [limit],
  );
  return rows.map(({ webhookId }) => webhookId);
}

/** Checks every queue now, because the cap has changed. */
export async function checkAllQueues(db: Queryable): Promise<void> {
  await db.query(`update rate_limit_queues set check_at = now()`);
}

/** Checks the queues of an account's webhooks now, because its cap has changed. */
export async function checkQueuesOf(db: Queryable, accountId: string): Promise<void> {
  await db.query(
    `update rate_limit_queues q set check_at = now() from webhooks w
     where w.account_id = $1 and w.deleted_at is null and q.webhook_id = w.id`,
    [accountId],
  );
}

/** For a webhook whose queue deliveries have left: the others' times may be earlier now. */
export async function checkQueue(db: Queryable, webhookId: string): Promise<void> {
  await db.query(`update rate_limit_queues set check_at = now() where webhook_id = $1`, [webhookId]);
}

/** Has a webhook's queue checked from now on, until it is empty. */
export async function keepQueue(db: Queryable, webhookId: string): Promise<void> {
  await db.query(
    `insert into rate_limit_queues (webhook_id, check_at) values ($1, now() + ${checkEvery})
     on conflict (webhook_id) do nothing`,
    [webhookId],
  );
}

/** Sets the next check of a claimed queue, unless a change has requested one since the claim. */
export async function checkQueueIn(db: Queryable, webhookId: string, seconds: number): Promise<void> {
  await db.query(
    `update rate_limit_queues set check_at = clock_timestamp() + make_interval(secs => $2)
     where webhook_id = $1 and check_at > clock_timestamp()`,
    [webhookId, seconds],
  );
}

/** A claimed queue is empty. It stays where a change has requested a check since the claim. */
export async function dropQueue(db: Queryable, webhookId: string): Promise<void> {
  await db.query(`delete from rate_limit_queues where webhook_id = $1 and check_at > clock_timestamp()`, [
    webhookId,
  ]);
}
