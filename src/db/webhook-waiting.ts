import type { WebhookWaiting } from '../contracts/webhook.ts';
import type { Queryable } from './pool.ts';

/** Each count stops here, so that a client that polls does not read a million rows. */
export const mostCounted = 1000;

const countOf = (status: keyof WebhookWaiting): string =>
  `(select count(*)::int from (
     select 1 from deliveries d where d.webhook_id = w.id and d.status = '${status}' limit $2) as counted) as ${status}`;

/** How many deliveries of each webhook have not ended, by their state. */
export async function readWebhookWaiting(db: Queryable, webhookIds: readonly string[]) {
  const { rows } = await db.query<WebhookWaiting & { id: string }>(
    `select w.id, ${countOf('pending')}, ${countOf('retrying')}, ${countOf('held')} from unnest($1::text[]) as w(id)`,
    [webhookIds, mostCounted],
  );
  return new Map<string, WebhookWaiting>(rows.map(({ id, ...waiting }) => [id, waiting]));
}
