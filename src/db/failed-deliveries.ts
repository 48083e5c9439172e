import type { FailureReason } from '../contracts/delivery.ts';
import { newId } from '../domain/ids.ts';
import { isOperational } from '../domain/subscription.ts';
import { acceptOperationalEvents, failedEventId, isSubscribedAccount } from './operational-events.ts';
import { withTransaction, type Client, type Pool } from './pool.ts';

/** A delivery that ended failed. */
export type FailedDelivery = {
  accountId: string;
  webhookId: string;
  deliveryId: string;
  /** Of its last attempt. */
  number: number;
  eventId: string;
  eventType: string;
  reason: FailureReason;
};

/** The first failures of a webhook in a minute are an event each; the others of that minute are one event together. */
export const maxSingleFailures = 10;
/** By then the transactions that counted in a minute have ended. */
const afterMinute = `interval '65 seconds'`;
const digestsAtOnce = 500;

/**
 * Emits `delivery.failed` for each where a webhook of the account subscribes to it, or counts it for the minute's digest.
 * A failure adds nothing when its attempt is marked as notified.
 *
 * @returns whether any event was written
 */
export async function notifyFailed(pool: Pool, failed: readonly FailedDelivery[]): Promise<boolean> {
  const isSubscribed = await isSubscribedAccount(pool, 'delivery.failed', failed);
  const wanted = failed.filter(({ accountId }) => isSubscribed(accountId));
  if (wanted.length === 0) return false;
  return withTransaction(pool, async (client) => {
    return accept(client, await claim(client, wanted));
  });
}

/** `number` 0: no attempt was made. */
export type Expired = Omit<FailedDelivery, 'reason'>;

/**
 * Parts of the statements that end `deliveries d` as expired: the columns, but those of their owner; the last entry of the
 * timeline; the time of both; and the rows for `acceptExpired`, which is called in the same transaction.
 */
export const expiry = {
  set: `status = 'failed', reason = 'expired', ended_at = ended.at, next_attempt_at = null, wait_reason = null, deferred_at = null,
    held_until = null`,
  entry: `timeline_entry('ended', ended.at, '{"status": "failed", "reason": "expired"}')`,
  from: `(select date_trunc('milliseconds', clock_timestamp()) as at) as ended`,
  returning: `d.id as "deliveryId", d.account_id as "accountId", d.webhook_id as "webhookId", d.event_id as "eventId",
    d.event_type as "eventType", d.attempt_count as number`,
};

/** Emits `delivery.failed` in the same way for deliveries that expire in this transaction. */
export async function acceptExpired(client: Client, expired: readonly Expired[]): Promise<void> {
  const counted = expired.filter(({ eventType }) => !isOperational(eventType));
  if (counted.length === 0) return;
  const isSubscribed = await isSubscribedAccount(client, 'delivery.failed', counted);
  const wanted = counted.filter(({ accountId }) => isSubscribed(accountId));
  if (wanted.length > 0)
    await accept(
      client,
      wanted.map((each) => ({ ...each, reason: 'expired' })),
    );
}

/** Returns whether any event was written; the others are counted. */
async function accept(
  client: Client,
  failed: readonly (Omit<FailedDelivery, 'reason'> & { reason: FailureReason | 'expired' })[],
): Promise<boolean> {
  const before = await count(client, failed);
  const singles = failed.filter(({ webhookId }) => {
    const failures = before.get(webhookId) ?? 0;
    before.set(webhookId, failures + 1);
    return failures < maxSingleFailures;
  });
  await acceptOperationalEvents(
    client,
    singles.map(({ accountId, webhookId, deliveryId, number, eventId, eventType, reason }) => ({
      accountId,
      id: failedEventId(deliveryId, number),
      type: 'delivery.failed',
      data: {
        delivery_id: deliveryId,
        webhook_id: webhookId,
        event_id: eventId,
        event: eventType,
        reason,
        attempts: number,
      },
      webhookId,
    })),
  );
  return singles.length > 0;
}

/** Marks those as notified that were not, and returns them. */
async function claim(client: Client, failed: readonly FailedDelivery[]): Promise<FailedDelivery[]> {
  // One order for all, so that two transactions wait for each other and do not deadlock.
  const ordered = failed.toSorted((a, b) => (a.deliveryId < b.deliveryId ? -1 : 1));
  const { rows } = await client.query<{ deliveryId: string; number: number }>(
    `with given as (
       select a.delivery_id, a.number from unnest($1::text[], $2::int[]) as g(delivery_id, number)
       join attempts a on a.delivery_id = g.delivery_id and a.number = g.number
       where not a.notified order by a.delivery_id, a.number for update of a)
     update attempts a set notified = true from given g where a.delivery_id = g.delivery_id and a.number = g.number
     returning a.delivery_id as "deliveryId", a.number`,
    [ordered.map(({ deliveryId }) => deliveryId), ordered.map(({ number }) => number)],
  );
  const claimed = new Set(rows.map(({ deliveryId, number }) => `${deliveryId} ${number}`));
  return ordered.filter(({ deliveryId, number }) => claimed.delete(`${deliveryId} ${number}`));
}

/** Adds them to their webhooks' counts of this minute; returns the counts before. */
async function count(
  client: Client,
  failed: readonly Pick<FailedDelivery, 'webhookId' | 'accountId'>[],
): Promise<Map<string, number>> {
  const { rows } = await client.query<{ webhookId: string; before: number }>(
    `insert into failure_counts as f (webhook_id, minute, account_id, failed)
     select webhook_id, date_trunc('minute', now()), min(account_id), count(*)
     from unnest($1::text[], $2::text[]) as g(webhook_id, account_id) group by webhook_id order by webhook_id
     on conflict (webhook_id, minute) do update set failed = f.failed + excluded.failed
     returning f.webhook_id as "webhookId", f.failed
       - (select count(*)::int from unnest($1::text[]) as g(id) where g.id = f.webhook_id) as before`,
    [failed.map(({ webhookId }) => webhookId), failed.map(({ accountId }) => accountId)],
  );
  return new Map(rows.map(({ webhookId, before }) => [webhookId, before]));
}

/** An event for the failures of a minute. */
type Digest = { accountId: string; id: string };

/**
 * Emits one event for the failures of a webhook and minute that have none of their own. The count is deleted in the same
 * transaction, so each failure is reported once.
 */
export async function emitFailureDigests(pool: Pool): Promise<{ written: Digest[]; hasMore: boolean }> {
  return withTransaction(pool, async (client) => {
    const { rows } = await client.query<
      Pick<FailedDelivery, 'accountId' | 'webhookId'> & { minute: Date; failed: number }
    >(
      `delete from failure_counts f using (
         select webhook_id, minute from failure_counts where minute < now() - ${afterMinute}
         order by minute limit $1 for update skip locked) as due
       where f.webhook_id = due.webhook_id and f.minute = due.minute
       returning f.account_id as "accountId", f.webhook_id as "webhookId", f.minute, f.failed`,
      [digestsAtOnce],
    );
    const digests = rows
      .filter(({ failed }) => failed > maxSingleFailures)
      .map((row) => ({ ...row, id: newId('evt') }));
    await acceptOperationalEvents(
      client,
      digests.map(({ accountId, id, webhookId, minute, failed }) => ({
        accountId,
        id,
        type: 'delivery.failed',
        data: {
          webhook_id: webhookId,
          count: failed - maxSingleFailures,
          since: minute.toISOString(),
          until: new Date(minute.getTime() + 60_000).toISOString(),
        },
        webhookId,
      })),
    );
    return { written: digests, hasMore: rows.length === digestsAtOnce };
  });
}
