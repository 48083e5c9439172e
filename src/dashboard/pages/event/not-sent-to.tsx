import { useQuery } from '@tanstack/react-query';
import type { EventSummary } from '../../../contracts/event.ts';
import type { Webhook } from '../../../contracts/webhook.ts';
import { WebhookLink } from '../../components/webhook-name.tsx';
import { isSubscribed } from '../../event-filters.ts';
import { webhooksQuery } from '../../queries.ts';

/** The account's other webhooks, and why the event was not sent to them. */
export function NotSentTo({ event }: { event: EventSummary }) {
  const { data: webhooks = [] } = useQuery(webhooksQuery);
  const others = webhooks.filter(
    ({ webhook_id: id }) => !event.deliveries.some((delivery) => delivery.webhook_id === id),
  );
  if (others.length === 0) return null;
  return (
    <details className="card">
      <summary>
        Not sent to {others.length === 1 ? '1 webhook' : `${others.length} webhooks`}, and why
      </summary>
      <ul className="plain-list">
        {others.map((webhook) => (
          <li key={webhook.webhook_id}>
            <WebhookLink webhookId={webhook.webhook_id} />
            <span className="muted small">{reasonOf(webhook, event)}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

function reasonOf({ created_at: createdAt, events }: Webhook, event: EventSummary): string {
  const isNow = isSubscribed(events, event.event);
  if (createdAt > event.created_at)
    return isNow
      ? 'Created after the event. Use “Recover” on its page to send missed events.'
      : 'Created after the event, and not subscribed to this type.';
  return isNow
    ? 'Not subscribed to this type when the event was accepted. Use “Recover” on its page to send missed events.'
    : `Not subscribed to this type, only to ${events.join(', ')}.`;
}
