import type { OperationalType } from '../contracts/event-types.ts';
import { reservedEventIds } from '../contracts/id.ts';
import { filtersThatMatch } from '../domain/subscription.ts';
import { wireBody, wireTimestamp } from '../domain/wire-body.ts';
import { acceptEvents } from './accept-events.ts';
import { withTransaction, type Pool, type Queryable } from './pool.ts';

export type OperationalEvent = {
  accountId: string;
  /** Random, or made from what the event is about: then nobody else may send it, and emitting it twice is emitting it once. */
  id: string;
  type: OperationalType;
  data: Record<string, unknown>;
  /** The webhook that it is about, which does not get it. */
  webhookId: string;
};

/** Of the event about a delivery that failed after so many attempts. */
export const failedEventId = (deliveryId: string, attempts: number): string =>
  `${reservedEventIds}${deliveryId}_${attempts}`;

/** Writes events of the service itself, for the webhooks that ask for them; call it inside a transaction. */
export async function acceptOperationalEvents(
  db: Queryable,
  events: readonly OperationalEvent[],
): Promise<void> {
  const timestamp = wireTimestamp(new Date());
  await acceptEvents(
    db,
    events.map(({ accountId, id, type, data, webhookId }) => ({
      accountId,
      id,
      type,
      timestamp: null,
      acceptedTimestamp: timestamp,
      body: wireBody({ id, event: type, timestamp, data }),
      exceptWebhookId: webhookId,
    })),
  );
}

/** The same, but only where a webhook subscribes to them: for what happens often. Returns whether any was written. */
export async function acceptIfSubscribed(pool: Pool, events: readonly OperationalEvent[]): Promise<boolean> {
  const filters = [...new Set(events.flatMap(({ type }) => filtersThatMatch(type)))];
  const { rows } = await pool.query<{ accountId: string }>(
    `select distinct account_id as "accountId" from webhooks
     where account_id = any($1) and events && $2 and deleted_at is null`,
    [[...new Set(events.map(({ accountId }) => accountId))], filters],
  );
  const listening = new Set(rows.map(({ accountId }) => accountId));
  const wanted = events.filter(({ accountId }) => listening.has(accountId));
  if (wanted.length === 0) return false;
  await withTransaction(pool, (client) => acceptOperationalEvents(client, wanted));
  return true;
}
