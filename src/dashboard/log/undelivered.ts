import type { EventSummary } from '../../contracts/event.ts';
import type { Webhook } from '../../contracts/webhook.ts';
import { retryReason } from './retry-reason.ts';
import { maxRows, type Target } from './selection.ts';

type Event = Pick<EventSummary, 'deliveries'> & { body: string | null };
type KnownWebhook = Pick<Webhook, 'webhook_id' | 'active' | 'auto_disabled'>;

/** The deliveries of an event that are to be retried; undefined where all were delivered or canceled. */
export function undeliveredOf(
  { deliveries, body }: Event,
  webhooks: readonly KnownWebhook[],
): Target | undefined {
  const undelivered = deliveries.filter(({ status }) => status !== 'delivered' && status !== 'canceled');
  if (undelivered.length === 0) return undefined;
  if (body === null)
    return { reason: 'The payload was removed: its retention period ended, or its event was expunged.' };
  const reasons = undelivered.map((delivery) =>
    retryReason(
      delivery,
      webhooks.find((webhook) => webhook.webhook_id === delivery.webhook_id),
    ),
  );
  const possible = undelivered.filter((_, index) => reasons[index] === undefined);
  const [reason] = reasons;
  if (possible.length === 0 && reason !== undefined) return { reason };
  const ids = possible.slice(0, maxRows).map(({ id }) => id);
  return { filter: { ids }, leftOut: undelivered.length - ids.length };
}
