import type { OperationalType } from '../contracts/event-types.ts';
import { reservedEventIds } from '../contracts/id.ts';
import { filtersThatMatch } from '../domain/subscription.ts';
import { wireBody, wireTimestamp } from '../domain/wire-body.ts';
import { acceptEvents } from './accept-events.ts';
import type { Queryable } from './pool.ts';

export type OperationalEvent = {
  accountId: string;
  /** Random, or derived from the subject of the event, so that emitting it twice adds nothing. Producers may not send such ids. */
  id: string;
  type: OperationalType;
  data: Record<string, unknown>;
  /** The webhook that it is about; it does not get the event. */
  webhookId: string;
};

/** The id of the event about a delivery that failed after that many attempts. */
export const failedEventId = (deliveryId: string, attempts: number): string =>
  `${reservedEventIds}${deliveryId}_${attempts}`;

/** Writes events of the service itself, for the webhooks that subscribe to them. Call it inside a transaction. */
export async function acceptOperationalEvents(
  db: Queryable,
  events: readonly OperationalEvent[],
): Promise<void> {
  const timestamp = wireTimestamp(new Date());
  const acceptances = await acceptEvents(
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
  if (acceptances.some(({ kind }) => kind === 'contended'))
    throw new Error('The webhooks of an account change too often to write its events');
}

/** Which of these accounts have a webhook that subscribes to the type: for events of which there may be many. */
export async function isSubscribedAccount(
  db: Queryable,
  type: OperationalType,
  of: readonly { accountId: string }[],
): Promise<(accountId: string) => boolean> {
  const { rows } = await db.query<{ accountId: string }>(
    `select distinct account_id as "accountId" from webhooks
     where account_id = any($1) and events && $2 and deleted_at is null`,
    [[...new Set(of.map(({ accountId }) => accountId))], filtersThatMatch(type)],
  );
  const subscribed = new Set(rows.map(({ accountId }) => accountId));
  return (accountId) => subscribed.has(accountId);
}
